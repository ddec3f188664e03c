"""Which ways by code are open for a request, and why one is not: for the page that offers them."""

from datetime import datetime
from typing import Literal, final

import msgspec

from backend.access.phones import verified_record
from backend.errors import RecordRefused, SignerFrozen, TooManyTries, TransactionOver
from backend.protocol.approval import CodeMethod
from backend.protocol.ask import AskClaims, verify_ask
from backend.protocol.codes import operation_number
from backend.protocol.jose import PublicJwk
from backend.protocol.record import CellRecord
from backend.sam.code_policy import check_code_allowed
from backend.signing.code_asked import AskedByCode, check_may_send, check_open

WhyNot = Literal["", "not_allowed", "too_soon", "amount", "used_up", "over", "frozen", "expired"]


@final
class Way(msgspec.Struct, frozen=True, kw_only=True):
    """One way to approve without a phone."""

    open: bool
    """A code may be typed now."""
    why_not: WhyNot = ""
    opens_at: datetime | None = None
    """SMS: when it is due, where it is not yet."""
    valid_until: datetime | None = None
    """SMS: until when the code is good, where it may be typed now."""
    may_send: bool = False
    """SMS: it may be sent now, once more."""


@final
class WaysOut(msgspec.Struct, frozen=True, kw_only=True):
    """What the waiting page offers beside the phone."""

    operation: str
    """By these eight characters page and SMS are told to belong together."""
    tries_left: int
    sms: Way
    totp: Way
    hotp: Way


def ways_of(asked: AskedByCode, *, ks: PublicJwk, now: datetime) -> WaysOut:
    """Tell the ways of a request.

    Raises:
        MalformedMessage: a row holds what KS did not sign.
    """
    record = verified_record(asked.record, ks)
    ask = verify_ask(asked.ask, expected_ks=ks)
    sms = _why_closed(asked, record, ask.claims, method="password+sms", now=now)
    totp = _why_closed(asked, record, ask.claims, method="password+totp", now=now)
    hotp = _why_closed(asked, record, ask.claims, method="password+hotp", now=now)
    return WaysOut(
        operation=operation_number(ask.tx_hash),
        tries_left=asked.tries_left(now),
        sms=_sms_way(asked, why_not=sms, now=now),
        totp=Way(open=not totp, why_not=totp),
        hotp=Way(open=not hotp, why_not=hotp),
    )


def _why_closed(
    asked: AskedByCode, record: CellRecord, claims: AskClaims, *, method: CodeMethod, now: datetime
) -> WhyNot:
    try:
        check_open(asked, now)
    except SignerFrozen:
        return "frozen"
    except TransactionOver:
        return "over"
    if method not in record.policy.methods or asked.lock is None:
        return "not_allowed"
    try:
        check_code_allowed(record, method, kind=claims.kind, fields=claims.fields)
    except RecordRefused:
        return "amount"
    return "" if asked.tries_left(now) else "used_up"


def _sms_way(asked: AskedByCode, *, why_not: WhyNot, now: datetime) -> Way:
    if why_not:
        return Way(open=False, why_not=why_not)
    due_at, valid_until = asked.sms_due_at, asked.sms_valid_until
    if due_at is None or valid_until is None or asked.number is None:
        return Way(open=False, why_not="not_allowed")
    if now < due_at:
        return Way(open=False, why_not="too_soon", opens_at=due_at)
    may_send = _may_send(asked, now)
    if now > valid_until:
        return Way(open=False, why_not="expired", may_send=may_send)
    return Way(open=True, valid_until=valid_until, may_send=may_send)


def _may_send(asked: AskedByCode, now: datetime) -> bool:
    try:
        check_may_send(asked, now)
    except TooManyTries:
        return False
    return True
