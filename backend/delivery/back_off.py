"""How long to wait before a message is tried again."""

from typing import Final, final

import msgspec


@final
class Steps(msgspec.Struct, frozen=True, kw_only=True):
    """How pauses grow."""

    first_seconds: float
    factor: float
    longest_seconds: float


WAKING: Final = Steps(first_seconds=1.0, factor=2.0, longest_seconds=900.0)
"""Doubled, from one second to a quarter of an hour: somebody waits for it now."""
TELLING: Final = Steps(first_seconds=5.0, factor=3.0, longest_seconds=21_600.0)
"""Of a webhook: its attempts last most of a day, for who repairs a server in the morning."""
MOST_GROWTH: Final = 10


def pause_seconds(
    attempts: int, *, jitter: float, retry_after_seconds: int | None, steps: Steps = WAKING
) -> float:
    """Say how long to wait after so many attempts.

    ``jitter``, from 0 to 1, takes up to half of a step away, so that what failed together is not
    repeated together. What the service asked for comes on top, never less.
    """
    # Bounded, for an outage counts its failures without end and a float ends at 2 ** 1023.
    growth = min(attempts - 1, MOST_GROWTH)
    step = min(steps.longest_seconds, steps.first_seconds * steps.factor**growth)
    return (retry_after_seconds or 0) + step * (1.0 - jitter / 2)
