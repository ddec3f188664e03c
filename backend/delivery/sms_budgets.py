"""How many texts may be sent in a day, counted before they are (T-14).

1. What is counted are parts, for they are paid for. A text counts in four budgets: of its number,
   of the number's neighbours (all that differ in the last four digits alone), of the relying party
   that asks, and of the whole installation. The codes of pairings, which no relying party asks for,
   have a budget as if they were one.
2. It counts in all four or in none, in the commit that claims it. Two workers that count at once
   are counted one after the other: rows are locked in one order.
3. A text that may have been taken, and is sent again, counts again: what a gateway may be paid for
   is never more than the budget. One that surely was not taken keeps the place that it has. A place
   that is not used is not given back.
4. A number that begins with none of the listed prefixes gets nothing.
5. A text that has no place is a dead letter, which says whose budget is used up.
6. A number stands in no row in clear, nor as a hash that can be tried.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final, final
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import bindparam, delete, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from backend.delivery.bulk import padded
from backend.delivery.claiming import ClaimedMessage
from backend.delivery.errands import RefusedSms, SmsErrand
from backend.delivery.sms import CountedSms, OutgoingSms, Reports, open_text
from backend.delivery.sms_keys import SmsKeys, hash_of_token
from backend.errors import MalformedMessage, SmsRefused
from backend.model.steps import table_of
from backend.model.tables import OutboxMessage, SmsBudget, SmsPart
from backend.model.upsert import is_postgresql

REPORTS_WAITED: Final = timedelta(days=3)
BUDGETS_KEPT: Final = timedelta(days=2)
NEIGHBOURS: Final = 4
"""So many digits at the end tell neighbours apart."""


@final
class SmsRules(msgspec.Struct, frozen=True, kw_only=True):
    """To whom, and how much; the numbers are parts in a day."""

    prefixes: tuple[str, ...] = ("+79",)
    per_number: int = 45
    per_neighbourhood: int = 300
    per_relying_party: int = 3_000
    per_day: int = 10_000


@final
class _Share(msgspec.Struct, frozen=True, kw_only=True):
    """A budget that a text counts in."""

    payer: str
    limit: int
    reason: str
    """Why a text is not sent when it is used up."""


@final
class _Text(msgspec.Struct, frozen=True, kw_only=True):
    message: ClaimedMessage
    errand: SmsErrand
    sms: OutgoingSms
    shares: tuple[_Share, ...]


@final
class SmsCounter:
    """Counts what is claimed; knows numbers only while it does."""

    def __init__(
        self, private_key: ec.EllipticCurvePrivateKey, *, rules: SmsRules, reports: Reports
    ) -> None:
        """Count by these rules; ``reports`` says of what the gateway reports."""
        self._private_key = private_key
        self._keys = SmsKeys(private_key)
        self._rules = rules
        self._reports = reports

    def count_texts(
        self, session: Session, claimed: Sequence[ClaimedMessage], *, now: datetime
    ) -> list[ClaimedMessage]:
        """Give each claimed text its place, or the reason why it has none. Does not commit."""
        texts: list[_Text] = []
        verdicts: dict[UUID, CountedSms | RefusedSms] = {}
        for message in claimed:
            if not isinstance(message.errand, SmsErrand):
                continue
            try:
                texts.append(self._opened(message, message.errand))
            except (MalformedMessage, SmsRefused) as error:
                verdicts[message.id] = RefusedSms(reason=str(error))
        if texts:
            verdicts |= self._counted(session, texts, now=now)
        return [
            msgspec.structs.replace(message, errand=verdicts.get(message.id, message.errand))
            for message in claimed
        ]

    def _opened(self, message: ClaimedMessage, errand: SmsErrand) -> _Text:
        sms = open_text(
            errand.sealed_sms,
            message_id=message.id,
            expires_at=message.expires_at,
            private_key=self._private_key,
        )
        if not sms.number.startswith(self._rules.prefixes):
            raise SmsRefused("texts are not sent to numbers that begin so: CELLKEY_SMS_PREFIXES")
        return _Text(
            message=message, errand=errand, sms=sms, shares=self._shares(sms.number, errand)
        )

    def _shares(self, number: str, errand: SmsErrand) -> tuple[_Share, ...]:
        rules, name = self._rules, self._keys.name_of_number
        party = errand.asked_by
        return (
            _Share(
                payer=f"number:{name(number)}",
                limit=rules.per_number,
                reason="the number had its texts of today",
            ),
            _Share(
                payer=f"neighbours:{name(number[:-NEIGHBOURS])}",
                limit=rules.per_neighbourhood,
                reason="the number's neighbours had their texts of today",
            ),
            _Share(
                payer=f"party:{party}" if party else "pairing",
                limit=rules.per_relying_party,
                reason="the relying party had its texts of today",
            ),
            _Share(
                payer="all", limit=rules.per_day, reason="the installation had its texts of today"
            ),
        )

    def _counted(
        self, session: Session, texts: Sequence[_Text], *, now: datetime
    ) -> dict[UUID, CountedSms | RefusedSms]:
        day = now.date()
        anew = [text for text in texts if not text.errand.is_counted]
        payers = {share.payer for text in anew for share in text.shares}
        before = _locked(session, payers, day=day)
        spent = dict(before)
        refused: dict[UUID, CountedSms | RefusedSms] = {}
        for text in anew:
            reason = _spend(spent, text.shares, parts=len(text.sms.parts))
            if reason is not None:
                refused[text.message.id] = RefusedSms(reason=reason)
        _write(session, {payer: n for payer, n in spent.items() if n != before[payer]}, day=day)
        placed = [text for text in texts if text.message.id not in refused]
        if placed:
            _mark(session, [text.message.id for text in placed])
            self._expect_reports(session, placed, until=now + REPORTS_WAITED)
        return refused | {
            text.message.id: CountedSms(sealed_sms=text.errand.sealed_sms) for text in placed
        }

    def _expect_reports(self, session: Session, texts: Sequence[_Text], *, until: datetime) -> None:
        """Write down what reports may come, for one may be faster than our next commit."""
        if self._reports is Reports.NOTHING:
            return
        rows = [
            {
                "message_id": text.message.id,
                "part": part,
                "token_hash": hash_of_token(self._keys.report_token(text.message.id, part)),
                "expires_at": until,
            }
            for text in texts
            for part in range(1, self._reported(text.sms) + 1)
        ]
        insert = postgresql.insert if is_postgresql(session) else sqlite.insert
        session.connection().execute(insert(table_of(SmsPart)).on_conflict_do_nothing(), rows)

    def _reported(self, sms: OutgoingSms) -> int:
        return len(sms.parts) if self._reports is Reports.PARTS else 1


def _locked(session: Session, payers: Iterable[str], *, day: date) -> dict[str, int]:
    """Lock the budgets, in one order for all, and read what is spent."""
    rows = [{"day": day, "payer": payer, "parts": 0} for payer in sorted(payers)]
    if not rows:
        return {}
    table = table_of(SmsBudget)
    insert = postgresql.insert if is_postgresql(session) else sqlite.insert
    statement = insert(table).values(rows)
    locked = statement.on_conflict_do_update(
        index_elements=list(table.primary_key), set_={"parts": table.c.parts}
    ).returning(table.c.payer, table.c.parts)
    return {row.payer: row.parts for row in session.execute(locked)}


def _spend(spent: dict[str, int], shares: Sequence[_Share], *, parts: int) -> str | None:
    """Count in all budgets, or say which has no room and count in none."""
    for share in shares:
        if spent[share.payer] + parts > share.limit:
            return share.reason
    for share in shares:
        spent[share.payer] += parts
    return None


def _write(session: Session, spent: Mapping[str, int], *, day: date) -> None:
    if not spent:
        return
    session.connection().execute(
        update(SmsBudget)
        .where(SmsBudget.day == bindparam("on_day"), SmsBudget.payer == bindparam("who"))
        .values(parts=bindparam("now_spent")),
        [{"on_day": day, "who": payer, "now_spent": n} for payer, n in sorted(spent.items())],
    )


def _mark(session: Session, messages: list[UUID]) -> None:
    session.execute(
        update(OutboxMessage)
        .where(OutboxMessage.id.in_(padded(messages)))
        .values(is_counted=True)
        .execution_options(synchronize_session=False)
    )


def forget_budgets(session: Session, now: datetime) -> None:
    """Delete the budgets of days that are over. Commits."""
    session.execute(delete(SmsBudget).where(SmsBudget.day < (now - BUDGETS_KEPT).date()))
    session.commit()
