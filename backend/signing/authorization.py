"""The relying party learns that the signer approved, and gets what it collects by.

1. ``handle`` and ``csc_sad`` are opaque; of both only hashes are kept. The second follows from the
   first, so that handing it out writes nothing.
2. They count only for the relying party that asked, and only while the approval may be used.
3. No ``csc_sad`` before the evidence is there. It opens nothing by itself: the door asks the
   evidence again. None either once it was exchanged for another (``extension.py``).
"""

from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from itertools import chain
from typing import Any, Final, final
from uuid import UUID

import msgspec
from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from backend.errors import AuthorizationInvalid, SignerFrozen, TransactionOver
from backend.model.changes import Watching
from backend.model.steps import look, table_of, value
from backend.model.tables import Approval, Transaction, TransactionState
from backend.protocol.encoding import b64u
from backend.signers.freeze import not_frozen
from backend.signing.cancellation import cancel
from backend.signing.moves import state_at

PHONE: Final = "app"
_CSC_SAD: Final = b"cellkey-csc-sad-v1\x00"


@final
class Authorization(msgspec.Struct, frozen=True, kw_only=True):
    """The signer approved."""

    csc_sad: str
    expires_in: int
    """Seconds, at least one."""
    method: str = PHONE
    """How: what is not ``app`` is the service's word (design, invariant 7)."""


@final
class Waiting(msgspec.Struct, frozen=True):
    """The signer has not answered yet."""


def csc_sad_of(handle: bytes) -> str:
    """Derive the ``csc_sad`` of a handle (design 5.4)."""
    return b64u(sha256(_CSC_SAD + handle).digest())


def authorization(
    session: Session,
    *,
    handle: bytes,
    relying_party: UUID,
    now: datetime,
    signer: UUID | None = None,
) -> Authorization | Waiting:
    """Tell a relying party how the signer answered. Writes nothing.

    Args:
        session: read from.
        handle: what stands for the request.
        relying_party: who asks for the answer.
        now: the time.
        signer: whose answer it must be; ``None``: anybody's.

    Raises:
        AuthorizationInvalid: the handle is not this relying party's, or its ``csc_sad`` counts no
            more.
        SignerFrozen: the signer's access is locked.
        TransactionOver: rejected, expired, cancelled or failed; or signed, and its time is over.
    """
    found = _asked(session, handle, relying_party)
    if signer not in {None, found.signer_id}:
        raise AuthorizationInvalid("the handle is of another signer")
    if not found.may_go_on:
        raise SignerFrozen("the signer's access is locked")
    state = state_at(found.state, expires_at=found.expires_at, use_by=found.use_by, now=now)
    approved = state in {TransactionState.APPROVED, TransactionState.REDEEMED}
    if state is TransactionState.PENDING or (approved and found.evidence is None):
        return Waiting()
    if not approved or now >= found.use_by:
        raise TransactionOver(state)
    csc_sad = csc_sad_of(handle)
    if found.csc_sad_hash != sha256(csc_sad.encode()).digest():
        raise AuthorizationInvalid("its SAD was exchanged or revoked")
    seconds = int((found.use_by - now).total_seconds())
    return Authorization(csc_sad=csc_sad, expires_in=max(seconds, 1), method=found.method or PHONE)


_T: Final = table_of(Transaction).c
_ANSWER: Final = (
    select(
        Transaction.state,
        Transaction.expires_at,
        Transaction.use_by,
        Transaction.signer_id,
        Transaction.csc_sad_hash,
        Transaction.method,
        Approval.transaction_id.label("evidence"),
        not_frozen(Transaction.signer_id).label("may_go_on"),
    )
    .outerjoin(Approval, Approval.transaction_id == Transaction.id)
    .where(
        Transaction.handle_hash == value(_T.handle_hash),
        Transaction.relying_party_id == value(_T.relying_party_id),
    )
)


def _asked(session: Session, handle: bytes, relying_party: UUID) -> Row[*tuple[Any, ...]]:
    names = {"handle_hash": sha256(handle).digest(), "relying_party_id": relying_party}
    found = look(session, _ANSWER, names)
    if found is None:
        raise AuthorizationInvalid("the handle is not known")
    return found


def wait_for_authorization(
    sessions: Callable[[], Session],
    *,
    transaction: UUID,
    handle: bytes,
    relying_party: UUID,
    until: datetime,
    clock: Callable[[], datetime],
    gone: Callable[[], bool],
    watching: Watching,
) -> Authorization:
    """Wait for the signer in the name of a caller that blocks (CSC v1.0.4, ``implicit``).

    The transaction is cancelled when the time is up or the caller has gone: nobody would collect
    what is approved afterwards (CSC-128). No session is open between two looks.

    Args:
        sessions: makes a session for each look.
        transaction: what is cancelled.
        handle: of the transaction.
        relying_party: who asked.
        until: when the time is up.
        clock: tells the time.
        gone: tells whether the caller has closed its connection.
        watching: tells when to look again.

    Raises:
        SignerFrozen: the signer's access is locked.
        TransactionOver: there is no approval; ``cancelled`` when the time is up.
    """
    with sessions() as session:
        wait_id = session.scalars(
            select(Transaction.wait_id).where(Transaction.id == transaction)
        ).one()
        session.commit()
    with watching(wait_id) as watch:
        for may_differ in chain([True], watch((until - clock()).total_seconds())):
            if may_differ:
                with sessions() as session:
                    found = authorization(
                        session, handle=handle, relying_party=relying_party, now=clock()
                    )
                if isinstance(found, Authorization):
                    return found
            if gone() or clock() >= until:
                break
    with sessions() as session:
        cancel(session, transaction=transaction, because="nobody waits for it", now=clock())
    raise TransactionOver(TransactionState.CANCELLED)
