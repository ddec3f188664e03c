"""How long to wait before a message is tried again."""

from typing import Final

FIRST_STEP_SECONDS: Final = 1.0
LONGEST_STEP_SECONDS: Final = 900.0
MOST_DOUBLINGS: Final = 10


def pause_seconds(attempts: int, *, jitter: float, retry_after_seconds: int | None) -> float:
    """Say how long to wait after so many attempts.

    Steps double from one second to a quarter of an hour; ``jitter``, from 0 to 1, takes up to half
    of a step away, so that what failed together is not repeated together. What the service asked
    for comes on top, never less.
    """
    # Bounded, for an outage counts its failures without end and a float ends at 2 ** 1023.
    doublings = min(attempts - 1, MOST_DOUBLINGS)
    step = min(LONGEST_STEP_SECONDS, FIRST_STEP_SECONDS * 2.0**doublings)
    return (retry_after_seconds or 0) + step * (1.0 - jitter / 2)
