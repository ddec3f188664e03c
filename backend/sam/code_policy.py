"""Whether a cell's record lets a code approve: asked when a code is made, given, and at the door.

1. The record names the method, and has what it needs: the verified number, or a seed.
2. Each amount is at most the record's for its currency; a currency that it does not name has no way
   by code (R-126).
3. A code signs, or asks for the certificate; it neither pairs a phone nor loosens the policy.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from backend.errors import RecordRefused
from backend.protocol.approval import CodeMethod
from backend.protocol.ask import AskKind
from backend.protocol.record import CellRecord, Method
from backend.summary.amounts import amounts


def check_code_allowed(
    record: CellRecord, method: CodeMethod, *, kind: AskKind, fields: Mapping[str, Any]
) -> None:
    """Keep the three rules.

    Raises:
        RecordRefused: the record does not allow it.
        SummaryRefused: an amount of the request is none.
    """
    held = record.sms if method == "password+sms" else record.seed(method)
    if method not in record.policy.methods or held is None:
        raise RecordRefused(f"{method} is not among the methods of this cell")
    if kind not in {"sign", "certificate_request"}:
        raise RecordRefused("a code approves signatures alone")
    most = {cap.currency: Decimal(cap.value) for cap in record.policy.caps.amounts}
    for currency, value in amounts(fields):
        if value > most.get(currency, Decimal(-1)):
            raise RecordRefused(f"more {currency} than a code may approve")


def open_methods(
    record: CellRecord, *, kind: AskKind, fields: Mapping[str, Any]
) -> tuple[Method, ...]:
    """Name the methods by which a request may be approved, as the record has it."""
    by_code: tuple[CodeMethod, ...] = ("password+sms", "password+totp", "password+hotp")
    found: list[Method] = ["app"] if record.devices else []
    for method in by_code:
        try:
            check_code_allowed(record, method, kind=kind, fields=fields)
        except RecordRefused:
            continue
        found.append(method)
    return tuple(found)
