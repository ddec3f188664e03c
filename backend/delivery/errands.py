"""What one message asks its worker to do, as the rows have it when it is claimed."""

from datetime import datetime
from typing import final
from uuid import UUID

import msgspec
from sqlalchemy import Row

from backend.delivery.outbox import Channel, Event
from backend.delivery.sms import CountedSms
from backend.delivery.webhook_secrets import SealedSecrets
from backend.model.tables import TransactionState
from backend.protocol.known_types import known


@final
class PushErrand(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to wake, as the rows have it; the endpoint is still to be checked."""

    unverified_endpoint: str
    unverified_p256dh: str
    unverified_auth: str
    lang: str


@final
class SmsErrand(msgspec.Struct, frozen=True, kw_only=True):
    """A text that only the worker's key opens; it is still to be counted."""

    sealed_sms: str
    asked_by: UUID | None
    """The relying party."""
    is_counted: bool
    """It has its place in the budgets, and surely did not use it."""


@final
class RefusedSms(msgspec.Struct, frozen=True, kw_only=True):
    """A text that has no place in the budgets, or is none that we send."""

    reason: str


@final
class WebhookErrand(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to tell what, as the rows have it; the address is still to be checked."""

    relying_party: UUID
    unverified_url: str
    secrets: SealedSecrets
    event: Event
    happened_at: datetime
    handle_hash: bytes
    credential: UUID
    state: str | None
    """What the relying party called it, where it asked by OAuth."""


@final
class _Request(msgspec.Struct, frozen=True):
    """Of an authorisation's request, as far as it is told."""

    state: str | None = None


Errand = PushErrand | SmsErrand | CountedSms | RefusedSms | WebhookErrand


def errand_of(row: Row[*tuple[object, ...]]) -> Errand | str:
    """Say what is to be done, or why nothing is."""
    if row.channel == Channel.WEBHOOK:
        return _telling(row)
    if row.state != TransactionState.PENDING:
        return f"the transaction is {row.state}"
    if row.is_frozen:
        return "the signer's access is locked"
    if row.channel == Channel.SMS:
        return _text(row) if row.sealed_sms else "there is no text"
    if row.endpoint is None:
        return "the phone has no subscription"
    return PushErrand(
        unverified_endpoint=row.endpoint,
        unverified_p256dh=row.p256dh,
        unverified_auth=row.auth,
        lang=row.lang,
    )


def _text(row: Row[*tuple[object, ...]]) -> SmsErrand:
    """Whoever still has its lease died with it, and may have sent it."""
    return SmsErrand(
        sealed_sms=row.sealed_sms,
        asked_by=row.asked_by,
        is_counted=row.is_counted and row.leased_by is None,
    )


def _telling(row: Row[*tuple[object, ...]]) -> WebhookErrand | str:
    if row.url is None:
        return "the relying party has no webhook"
    if row.handle_hash is None:
        return "the relying party has no name for the transaction"
    return WebhookErrand(
        relying_party=row.relying_party_id,
        unverified_url=row.url,
        secrets=SealedSecrets(
            newest=row.secret, before=row.secret_before, replaced_at=row.replaced_at
        ),
        event=Event(row.event),
        happened_at=row.happened_at,
        handle_hash=row.handle_hash,
        credential=row.cell_id,
        state=_state(row.request),
    )


def _state(request: str | None) -> str | None:
    return None if request is None else msgspec.json.decode(request, type=known(_Request)).state
