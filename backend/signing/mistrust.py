"""A signer said "not me": that relying party asks this signer no more, until the signer allows it.

1. The row is written by the word of a paired phone, in the commit of its refusal, or of who signed
   in with the password on our own page and has a paired phone to allow it again (T-21). Who has the
   password could freeze the signer's access altogether, which is more.
2. With it, whatever else that relying party asks this signer and has no answer yet is over. What
   the signer approved stays: for that there is the freeze.
3. Other relying parties, and other signers, notice nothing. The authority cannot be stopped:
   without it no certificate is issued and no phone paired.
4. Only a phone of the signer allows it again. Operators see it.
5. The initiator's session at our pages ends with it: its transaction has no other way on.
"""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Final, final
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Uuid, delete, exists, literal, select, update
from sqlalchemy.orm import Session

from backend.access.phones import AuthenticatedPhone
from backend.errors import NotFound
from backend.model.base import Instant
from backend.model.tables import RelyingParty, StoppedParty, Transaction, TransactionState
from backend.model.upsert import is_postgresql, upsert
from backend.signing.moves import PENDING

log = logging.getLogger(__name__)

MOST_LISTED: Final = 100
BECAUSE: Final = "not_me"
"""What a refusal's ``decision`` is called that stops."""


@final
class Stopped(msgspec.Struct, frozen=True, kw_only=True):
    """A relying party that a signer has stopped."""

    id: str
    """``client_id``, the ask's ``rp.id``."""
    name: str
    stopped_at: datetime


def not_stopped(
    signer: ColumnElement[UUID], relying_party: ColumnElement[UUID]
) -> ColumnElement[bool]:
    """Say in SQL that a signer has not stopped a relying party."""
    return ~exists().where(
        StoppedParty.signer_id == signer, StoppedParty.relying_party_id == relying_party
    )


def stop(session: Session, *, signer: UUID, refused: UUID, now: datetime) -> None:
    """Stop who asked what was refused. Does not commit: it goes with the refusal.

    Args:
        session: of the refusal.
        signer: whose phone refused.
        refused: the transaction; one of the authority's stops nobody.
        now: the time.
    """
    party = session.scalar(select(Transaction.relying_party_id).where(Transaction.id == refused))
    if party is None:
        return
    moment = literal(now, Instant())
    stops = upsert(
        StoppedParty,
        {
            "signer_id": literal(signer, Uuid()),
            "relying_party_id": literal(party, Uuid()),
            "stopped_at": moment,
        },
        otherwise={"stopped_at": moment},
        where=StoppedParty.stopped_at < now,
        on_postgresql=is_postgresql(session),
    )
    session.execute(stops)
    session.execute(
        update(Transaction)
        .where(
            Transaction.signer_id == signer,
            Transaction.relying_party_id == party,
            Transaction.state == PENDING,
        )
        .values(
            state=TransactionState.CANCELLED, ended_because="the signer stopped the relying party"
        )
        .execution_options(synchronize_session=False)
    )
    log.warning("relying party stopped", extra={"signer_id": signer, "transaction_id": refused})


def stop_from_page(session: Session, *, signer: UUID, refused: UUID, now: datetime) -> None:
    """Stop who asked, by the word of who signed in on our page. Commits."""
    stop(session, signer=signer, refused=refused, now=now)
    session.commit()


def stopped_of(session: Session, *, signer: UUID) -> Sequence[Stopped]:
    """List whom a signer has stopped, the newest first. Commits: a phone's proof goes with it."""
    rows = session.execute(
        select(RelyingParty.client_id.label("id"), RelyingParty.name, StoppedParty.stopped_at)
        .join(StoppedParty, StoppedParty.relying_party_id == RelyingParty.id)
        .where(StoppedParty.signer_id == signer)
        .order_by(StoppedParty.stopped_at.desc(), RelyingParty.client_id)
        .limit(MOST_LISTED)
    ).all()
    session.commit()
    return [Stopped(**row._asdict()) for row in rows]


def allow_again(session: Session, *, phone: AuthenticatedPhone, unverified_id: str) -> None:
    """Let a relying party ask again; who is not stopped may already. Commits.

    Raises:
        NotFound: there is no relying party of that id.
    """
    party = session.scalar(select(RelyingParty.id).where(RelyingParty.client_id == unverified_id))
    if party is None:
        raise NotFound("no such relying party")
    session.execute(
        delete(StoppedParty)
        .where(
            StoppedParty.signer_id == literal(phone.signer), StoppedParty.relying_party_id == party
        )
        .execution_options(synchronize_session=False)
    )
    session.commit()
    log.warning("relying party allowed again", extra={"signer_id": phone.signer})
