"""A phone waits for news: it looks again when something has changed, until time is up.

No database connection is held between two looks, and each process holds so many waiting phones and
no more: a thread that waits answers nobody else. ``cellkey wait`` holds the others.
"""

from collections.abc import Callable

from backend.access.phones import AuthenticatedPhone
from backend.signing.pending import PendingList
from mobile_api.services import Services


def wait_for_change(
    look: Callable[[], PendingList],
    *,
    phone: AuthenticatedPhone,
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
    with here.seats.taken_by(phone.kid), here.watching(phone.wait_id) as watch:
        for may_differ in watch(wait_seconds):
            if may_differ:
                found = look()
            if found.version != version:
                break
    return found
