"""Where a relying party is told, as an operator registers it; its secret is shown once.

1. One address for a relying party. Another address begins with another secret, and the old one
   counts no more.
2. An address is checked by its text as it will be before each message; what its name resolves to is
   asked when a connection is made.
"""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Final, final
from uuid import UUID

import msgspec
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.orm import Session

from backend.delivery.endpoints import AllowedHost, check_webhook
from backend.delivery.webhook_secrets import new_secret, seal_secret
from backend.errors import NotFound
from backend.model.tables import OutboxMessage, RelyingParty, Webhook
from backend.protocol.jose import PublicJwk

log = logging.getLogger(__name__)

_DEAD: Final = text("outbox.channel = 'webhook' AND outbox.dead_at IS NOT NULL")
"""Word for word the condition of the index ``ix_outbox_dead_webhooks``."""


@final
class NewSecret(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown once."""

    url: str
    webhook_secret: str
    """``whsec_…``."""


@final
class DeadLetters(msgspec.Struct, frozen=True, kw_only=True):
    """What a relying party was not told."""

    client_id: str
    count: int


def register_webhook(
    session: Session,
    *,
    client_id: str,
    unverified_url: str,
    pinned: Sequence[AllowedHost],
    recipient: PublicJwk,
) -> NewSecret:
    """Tell a relying party at this address from now on. Commits.

    Args:
        session: in whose transaction it happens.
        client_id: whom.
        unverified_url: where.
        pinned: hosts of our own network.
        recipient: the worker's key.

    Raises:
        NotFound: there is no such relying party, or it is disabled.
        EndpointRefused: the address is not one that we send to.
    """
    url = check_webhook(unverified_url, pinned).url
    party = _party(session, client_id)
    secret = new_secret()
    session.execute(delete(Webhook).where(Webhook.relying_party_id == party))
    session.add(
        Webhook(
            relying_party_id=party,
            url=url,
            secret=seal_secret(secret, recipient, relying_party=party),
        )
    )
    session.commit()
    log.warning("webhook registered", extra={"client_id": client_id})
    return NewSecret(url=url, webhook_secret=secret)


def replace_secret(
    session: Session, *, client_id: str, recipient: PublicJwk, now: datetime
) -> NewSecret:
    """Sign by another secret, and for a while by the one before, too. Commits.

    Raises:
        NotFound: there is no such relying party, or it has no webhook.
    """
    party = _party(session, client_id)
    secret = new_secret()
    url = session.scalar(
        update(Webhook)
        .where(Webhook.relying_party_id == party)
        .values(
            secret=seal_secret(secret, recipient, relying_party=party),
            secret_before=Webhook.secret,
            replaced_at=now,
        )
        .returning(Webhook.url)
        .execution_options(synchronize_session=False)
    )
    session.commit()
    if url is None:
        raise NotFound("it has no webhook")
    log.warning("webhook's secret replaced", extra={"client_id": client_id})
    return NewSecret(url=url, webhook_secret=secret)


def remove_webhook(session: Session, *, client_id: str) -> None:
    """Tell a relying party nothing more; what is not sent yet is not sent. Commits.

    Raises:
        NotFound: there is no such relying party, or it has no webhook.
    """
    party = _party(session, client_id)
    removed = session.scalar(
        delete(Webhook).where(Webhook.relying_party_id == party).returning(Webhook.url)
    )
    session.commit()
    if removed is None:
        raise NotFound("it has no webhook")
    log.warning("webhook removed", extra={"client_id": client_id})


def find_webhook(session: Session, *, client_id: str) -> str | None:
    """Give a relying party's address. Commits, which ends the read."""
    url: str | None = session.scalar(
        select(Webhook.url)
        .join(RelyingParty, RelyingParty.id == Webhook.relying_party_id)
        .where(RelyingParty.client_id == client_id)
    )
    session.commit()
    return url


def dead_letters(session: Session, *, since: datetime) -> Sequence[DeadLetters]:
    """Count what relying parties that have a webhook were not told since then. Does not commit."""
    rows = session.execute(
        select(RelyingParty.client_id, func.count().label("count"))
        .join(OutboxMessage, OutboxMessage.relying_party_id == RelyingParty.id)
        .join(Webhook, Webhook.relying_party_id == RelyingParty.id)
        .where(_DEAD, OutboxMessage.dead_at >= since)
        .group_by(RelyingParty.client_id)
        .order_by(RelyingParty.client_id)
    )
    return [DeadLetters(**row._asdict()) for row in rows]


def _party(session: Session, client_id: str) -> UUID:
    party = session.scalar(
        select(RelyingParty.id).where(
            RelyingParty.client_id == client_id, RelyingParty.disabled_at.is_(None)
        )
    )
    if party is None:
        raise NotFound("no such relying party")
    return party
