"""What happens at the phone, as it happens: push messages and the transactions behind them.

A push message only wakes. The list of pending transactions is the truth: it is read at the start
and after each wait, so a message that was lost or came twice changes nothing.
"""

from collections.abc import Iterator

import msgspec

from backend.virtual_phone.calls import LONGEST_WAIT_SECONDS, PendingList
from backend.virtual_phone.errors import MessageRefused, ServerRefused
from backend.virtual_phone.phone import VirtualPhone
from backend.virtual_phone.push import PushMessage, PushService
from backend.virtual_phone.transactions import Shown


class NotShown(msgspec.Struct, frozen=True, kw_only=True):
    """A pending transaction that failed a check; nothing of it is shown."""

    id: str
    reason: str


Event = PushMessage | Shown | NotShown


def lists(phone: VirtualPhone) -> Iterator[PendingList]:
    """The list of pending transactions, now and after each change."""
    pending = phone.pending()
    yield pending
    while True:
        before = pending.version
        pending = phone.pending(version=before, wait_seconds=LONGEST_WAIT_SECONDS)
        if pending.version != before:
            yield pending


def events(phone: VirtualPhone, service: PushService | None = None) -> Iterator[Event]:
    """Push messages (with a push service) and each pending transaction once."""
    seen: set[str] = set()
    version: str | int | None = None
    while True:
        wait_seconds = LONGEST_WAIT_SECONDS if service is None else 0
        pending = phone.pending(version=version, wait_seconds=wait_seconds)
        version = pending.version
        for transaction in pending.transactions:
            if transaction.id not in seen:
                seen.add(transaction.id)
                yield _looked_at(phone, transaction.id)
        message = None if service is None else phone.wait_for_push(service)
        if message is not None:
            yield message


def _looked_at(phone: VirtualPhone, transaction: str) -> Event:
    try:
        return phone.show(transaction)
    except (MessageRefused, ServerRefused) as error:
        return NotShown(id=transaction, reason=str(error))
