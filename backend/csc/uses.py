"""What the CSC routes work with: use cases, bound by ``backend.app`` to the SAM that they need.

So no route holds a SAM object, and none can ask it anything else.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final, final

import msgspec
from sqlalchemy.orm import Session

from backend.access.allotments import Allotments
from backend.access.buckets import Buckets
from backend.access.doorman import Doorman
from backend.access.seats import Seats
from backend.model.changes import Watching
from backend.protocol.public_keys import PublicKeys
from backend.settings import Settings
from backend.signing.release import Collection
from backend.signing.request import RequestedTransaction, SignatureOrder

MOST_WAITING: Final = 8
"""Calls that one process lets block for a phone; each keeps a thread of the WSGI server."""
MOST_WAITING_OF_ONE: Final = 6
"""Of them for one relying party."""


@final
class CscUses(msgspec.Struct, frozen=True, kw_only=True):
    """One application's."""

    settings: Settings
    public_keys: PublicKeys
    clock: Callable[[], datetime]
    session: Callable[[], Session]
    """Gives the session of the web request, which the application ends."""
    sessions: Callable[[], Session]
    """Makes sessions of one's own, for who waits: ``with sessions() as session``."""
    watching: Watching
    """What a caller that blocks waits by."""
    request: Callable[[Session, SignatureOrder], RequestedTransaction]
    """See :func:`backend.signing.request.request_signatures`."""
    release: Callable[[Session, Collection], tuple[bytes, ...]]
    """See :func:`backend.signing.release.release`."""
    seats: Seats = msgspec.field(
        default_factory=lambda: Seats(total=MOST_WAITING, each=MOST_WAITING_OF_ONE)
    )
    """For callers that block."""
    calls: Allotments
    """How often each relying party may call."""
    strangers: Buckets
    """How often an address may call what needs no token."""
    doorman: Doorman
    """Looks less often at who fails to log in; the authorisation server's own."""
    tokens: Allotments
    """How often each relying party gets a token; the authorisation server's own."""
