"""A relying party's ask is written: transaction, list and messages, or nothing of it.

1. It is one step (``model/steps.py``): the limits let it pass (``limits.py``), the list stands
   beside it, and the phones are woken unless the signer has silence (``delivery/wakes.py``).
2. What stood in the way in a race is looked at; then it is tried again, or refused in words.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Final, cast

from sqlalchemy import CTE, FromClause, select, true
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import Delete, Insert, Update

from backend.access.turns import any_shard, take_turn, turn_parameters
from backend.delivery.outbox import SealedText, pushes, text_message, text_parameters
from backend.delivery.wakes import may_wake, wake_parameters, was_woken
from backend.errors import TooManyRequests
from backend.model.steps import Bulk, Step, table_of
from backend.model.tables import AuthorisedHash, Transaction
from backend.signing.limits import (
    Asking,
    adding,
    refuse_or_go_on,
    row_parameters,
    slot_parameters,
)

if TYPE_CHECKING:
    from uuid import UUID

MOST_ATTEMPTS: Final = 64
"""In a race each attempt lets at least one other through."""
_RETURNED: Final = ("id", "cell_id", "created_at", "expires_at")


def add_asked(
    session: Session,
    row: Mapping[str, object],
    listed: Sequence[tuple[str, bytes]],
    asked: Asking,
    *,
    at_once: int,
    now: datetime,
    sms: SealedText | None = None,
) -> None:
    """Write what the SAM opened. Commits.

    Args:
        session: in whose database it happens.
        row: the transaction's.
        listed: each item with its hash.
        asked: who asks whom.
        at_once: pushes before the first pause.
        now: the time.
        sms: where the signer may approve by SMS too; it is silent when pushes are.

    Raises:
        TooManyRequests: no slot or no turn is free.
        PartyStopped: the signer said "not me".
        SignerFrozen: the signer's access is locked.
    """
    step = _adding(tuple(row), asked.slots, at_once, with_sms=sms is not None)
    party = asked.relying_party
    fixed = row_parameters(row) | {"ask_signer": asked.signer}
    fixed |= wake_parameters(
        signer=asked.signer,
        relying_party=party,
        transaction=cast("UUID", row["id"]),
        at_once=at_once,
        now=now,
    )
    parameters: dict[str, object] = {
        "position": list(range(len(listed))),
        "item": [item for item, _ in listed],
        "hash": [wanted for _, wanted in listed],
    }
    if sms is not None:
        parameters |= text_parameters(sms)
    shard = any_shard(asked.turns_per_minute)
    for _ in range(MOST_ATTEMPTS):
        turn = turn_parameters(shard, relying_party=party, now=now)
        slots = slot_parameters(relying_party=party, slots=asked.slots)
        if step.run(session, parameters, named=fixed | turn | slots) is not None:
            return
        shard = refuse_or_go_on(session, asked, now=now)
    raise TooManyRequests("too many ask this signer at the same time", retry_after_seconds=1)


@cache
def _adding(names: tuple[str, ...], slots: int, at_once: int, *, with_sms: bool) -> Step:
    """Make the step for rows of these columns and for these limits."""

    def guard(on_postgresql: bool) -> Insert:  # noqa: FBT001  # as Guard has it
        return adding(names=names, slots=slots, on_postgresql=on_postgresql)

    def follow(asked: FromClause) -> Sequence[Bulk | Insert | Update | Delete]:
        items = Bulk(
            table_of(AuthorisedHash),
            columns=("position", "item", "hash"),
            constants={"transaction_id": asked.c.id},
        )
        if isinstance(asked, CTE):
            wake = may_wake(at_once=at_once, on_postgresql=True, beside=asked).cte("wake")
            woken = select(*asked.c).select_from(asked.join(wake, true())).subquery("woken")
            return items, *_messages(woken, with_sms=with_sms)
        wakes = may_wake(at_once=at_once, on_postgresql=False)
        woken = select(*asked.c).where(was_woken(asked.c.id)).subquery("woken")
        return items, wakes, *_messages(woken, with_sms=with_sms)

    columns = table_of(Transaction).c
    return Step(
        guard,
        returning=[columns[name] for name in _RETURNED],
        first=lambda: take_turn(on_postgresql=False),
        follow=follow,
    )


def _messages(woken: FromClause, *, with_sms: bool) -> tuple[Insert, ...]:
    return (pushes(woken), text_message(woken)) if with_sms else (pushes(woken),)
