"""What a service says about when to come again."""

from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST_RETRY_AFTER_SECONDS: Final = 3600


def read_retry_after(unverified: str | None, *, now: datetime) -> int | None:
    """Read ``Retry-After`` (RFC 9110, 10.2.3): seconds or a date; what is neither is not heard."""
    if unverified is None:
        return None
    if unverified.isascii() and unverified.isdecimal():
        # Bounded before it is read: Python reads no integers of thousands of digits.
        seconds = int(unverified[:10])
    else:
        try:
            seconds = int((parsedate_to_datetime(unverified) - now).total_seconds())
        except (ValueError, TypeError):
            return None
    return max(0, min(seconds, LONGEST_RETRY_AFTER_SECONDS))
