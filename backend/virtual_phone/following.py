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


READ_AFTER_ROUNDS = 5
"""So many waits without a change, about two minutes, and the list is read anyway."""


class NextList:
    """Gives the list that comes after another one, by the best way of waiting that there is."""

    def __init__(self, phone: VirtualPhone) -> None:
        """Wait as this phone."""
        self._phone = phone
        self._cursor: str | None = None
        self._quiet_rounds = 0

    def after(self, before: PendingList) -> PendingList:
        """Wait a while for another list; it may be the same.

        The cursor comes first, then the list is read, then one waits: so nothing is missed.
        """
        if before.wait is None:
            return self._long_poll(before)
        answer = self._phone.wait_calls.ask(before.wait, cursor=self._cursor)
        if answer is None:
            self._cursor = None
            return self._long_poll(before)
        self._cursor = answer.cursor
        self._quiet_rounds += 1
        if not answer.changed and self._quiet_rounds < READ_AFTER_ROUNDS:
            return before
        self._quiet_rounds = 0
        return self._phone.pending()

    def _long_poll(self, before: PendingList) -> PendingList:
        return self._phone.pending(version=before.version, wait_seconds=LONGEST_WAIT_SECONDS)


def lists(phone: VirtualPhone) -> Iterator[PendingList]:
    """The list of pending transactions, now and after each change."""
    pending = phone.pending()
    yield pending
    following = NextList(phone)
    while True:
        before = pending.version
        pending = following.after(pending)
        if pending.version != before:
            yield pending


def events(phone: VirtualPhone, service: PushService | None = None) -> Iterator[Event]:
    """Push messages (with a push service) and each pending transaction once."""
    seen: set[str] = set()
    following = NextList(phone)
    pending = phone.pending()
    while True:
        for transaction in pending.transactions:
            if transaction.id not in seen:
                seen.add(transaction.id)
                yield _looked_at(phone, transaction.id)
        if service is None:
            pending = following.after(pending)
            continue
        message = phone.wait_for_push(service)
        if message is not None:
            yield message
        pending = phone.pending()


def _looked_at(phone: VirtualPhone, transaction: str) -> Event:
    try:
        return phone.show(transaction)
    except (MessageRefused, ServerRefused) as error:
        return NotShown(id=transaction, reason=str(error))
