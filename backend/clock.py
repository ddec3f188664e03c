"""What time it is; passed in wherever it decides anything."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Tells the time: an aware UTC instant."""


def utc_now() -> datetime:
    """Tell the machine's time."""
    return datetime.now(UTC)
