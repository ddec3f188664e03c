"""What became of a transaction's messages, for the authority's people; never what they say."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, final
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.delivery.outbox import Channel
from backend.model.tables import OutboxMessage

MOST_LISTED: Final = 50


@final
class MessageSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One message of the outbox."""

    id: UUID
    channel: Channel
    event: str | None
    """Of a webhook."""
    attempts: int
    due_at: datetime
    sent_at: datetime | None
    dead_at: datetime | None
    """Since when it is a dead letter."""
    last_error: str | None

    def told(self) -> str:
        """Say it in a line."""
        what = self.channel if self.event is None else f"{self.channel} {self.event!r}"
        tries = f", {self.attempts} attempts" if self.attempts > 1 else ""
        because = "" if self.last_error is None else f": {self.last_error}"
        if self.sent_at is not None:
            return f"{what} taken at {self.sent_at}{tries}"
        if self.dead_at is not None:
            return f"{what} dead since {self.dead_at}{tries}{because}"
        return f"{what} due at {self.due_at}{tries}{because}"


def messages_of(session: Session, *, transaction: UUID) -> Sequence[MessageSummary]:
    """List a transaction's messages. Commits, which ends the read."""
    rows = session.execute(
        select(*(getattr(OutboxMessage, name) for name in MessageSummary.__struct_fields__))
        .where(OutboxMessage.transaction_id == transaction)
        .order_by(OutboxMessage.expires_at, OutboxMessage.id)
        .limit(MOST_LISTED)
    ).all()
    session.commit()
    return [MessageSummary(**row._asdict()) for row in rows]
