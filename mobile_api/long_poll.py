"""A phone waits for news: look, and look again, until something has changed or time is up.

No database connection is held between two looks, and each process holds so many waiting phones and
no more: a thread that waits answers nobody else.
"""

from collections.abc import Callable
from typing import Final

from backend.signing.pending import PendingList
from mobile_api.services import Services

LOOKS_PER_SECOND: Final = 4


def wait_for_change(
    look: Callable[[], PendingList],
    *,
    phone: bytes,
    version: str | None,
    wait_seconds: int,
    here: Services,
) -> PendingList:
    """Give the list once its version is another, or when ``wait_seconds`` are over.

    Raises:
        Overloaded: too many wait here already, or this phone too often.
    """
    found = look()
    if found.version != version or not wait_seconds:
        return found
    with here.seats.taken_by(phone):
        for _ in range(wait_seconds * LOOKS_PER_SECOND):
            if here.pause(1 / LOOKS_PER_SECOND):
                break
            found = look()
            if found.version != version:
                break
    return found
