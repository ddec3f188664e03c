"""The SMS of a transaction: rendered here, sealed to the worker, read by nobody between.

1. Only where the record allows it, to the number that the record knows (T-14).
2. Where a phone is paired it is due after the record's delay, whatever anybody asks (T-24).
3. The code in it is good for ``VALID_SECONDS`` from when it is due, and no longer than the ask.
4. Where no text fits, a phone is asked alone; without a phone the request is refused.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, final

from backend.errors import (
    CodeRefused,
    MalformedMessage,
    RecordRefused,
    RequestRefused,
    SummaryRefused,
)
from backend.protocol.ask import AskClaims, VerifiedAsk
from backend.protocol.codes import operation_number
from backend.protocol.encoding import sha256
from backend.protocol.jose import PublicJwk
from backend.protocol.names import salutation
from backend.protocol.record import CellRecord
from backend.protocol.sms import Sms, seal_sms
from backend.protocol.tree import verify_list
from backend.sam.code_policy import check_code_allowed
from backend.sam.codes import SmsCodes
from backend.sam.locks import PasswordSeals
from backend.sam.transactions import CodeSms, SmsAddress
from backend.summary.sms import SmsFrame, render_sms

VALID_SECONDS: Final = 300


@final
class SmsTexts:
    """Writes them."""

    def __init__(
        self, *, codes: SmsCodes, numbers: PasswordSeals, worker_key: PublicJwk, domain: str
    ) -> None:
        """Keep what a text is made with; ``domain`` is the host of the page that takes codes."""
        self._codes = codes
        self._numbers = numbers
        self._worker_key = worker_key
        self._domain = domain

    def at_once(
        self,
        ask: VerifiedAsk,
        labels: Sequence[str],
        *,
        record: CellRecord,
        address: SmsAddress | None,
        zone: str,
    ) -> CodeSms | None:
        """Write the SMS of an ask that is being opened; ``None`` where there is none.

        Raises:
            SummaryRefused: no text fits, and there is no phone that could be asked.
        """
        claims = ask.claims
        if address is None or not self._is_verified(address, record):
            return None
        try:
            check_code_allowed(record, "password+sms", kind=claims.kind, fields=claims.fields)
        except RecordRefused:
            return None
        due_at = _due_at(claims, record)
        if due_at >= claims.exp:
            return None
        try:
            return self._write(ask, labels, address=address, zone=zone, due_at=due_at)
        except SummaryRefused:
            if record.devices:
                return None
            raise

    def again(
        self,
        ask: VerifiedAsk,
        unverified_items: Sequence[str],
        *,
        record: CellRecord,
        address: SmsAddress,
        zone: str,
        now: int,
    ) -> CodeSms:
        """Write it anew, for an ask that is under way; it is due at once, or when it would be.

        Raises:
            CodeRefused: a rule is not kept; the numbers are those of ``code_approvals.py``.
            SummaryRefused: no text fits.
        """
        claims = ask.claims
        try:
            check_code_allowed(record, "password+sms", kind=claims.kind, fields=claims.fields)
        except (RecordRefused, SummaryRefused) as error:
            raise CodeRefused(3, str(error)) from error
        if not self._is_verified(address, record):
            raise CodeRefused(3, "the number is not the one that was verified")
        due_at = max(now, _due_at(claims, record))
        if due_at >= claims.exp:
            raise CodeRefused(1, "it is too late to approve")
        labels = _labels(claims, unverified_items)
        return self._write(ask, labels, address=address, zone=zone, due_at=due_at)

    def _is_verified(self, address: SmsAddress, record: CellRecord) -> bool:
        """Rule 1. The name beside the number is the registered one, or it is not used."""
        return (
            self._numbers.number_mac(record.cell, address.number) == record.sms
            and sha256(address.subject) == record.subject
        )

    def _write(
        self,
        ask: VerifiedAsk,
        labels: Sequence[str],
        *,
        address: SmsAddress,
        zone: str,
        due_at: int,
    ) -> CodeSms:
        """Rule 3.

        Raises:
            SummaryRefused: no text fits.
        """
        claims = ask.claims
        valid_until = min(due_at + VALID_SECONDS, claims.exp)
        text = render_sms(
            fields=claims.fields,
            lang=claims.text.lang,
            zone=zone,
            rp_name=claims.rp.name,
            document_labels=labels,
            frame=SmsFrame(
                code=self._codes.code(ask.tx_hash),
                operation=operation_number(ask.tx_hash),
                domain=self._domain,
                valid_until=datetime.fromtimestamp(valid_until, UTC),
                salutation=salutation(address.subject),
            ),
        )
        sealed = seal_sms(Sms(number=address.number, text=text), self._worker_key)
        return CodeSms(sealed=sealed, due_at=due_at, valid_until=valid_until)


def _due_at(claims: AskClaims, record: CellRecord) -> int:
    """Rule 2."""
    return claims.iat + (record.policy.caps.sms_delay if record.devices else 0)


def _labels(claims: AskClaims, unverified_items: Sequence[str]) -> tuple[str, ...]:
    """The labels of an ask's list; those of a certificate request are not told."""
    if claims.kind != "sign" or claims.documents is None:
        return ()
    try:
        listed = verify_list(unverified_items, expected=claims.documents)
    except MalformedMessage as error:
        raise RequestRefused(str(error)) from error
    return tuple(item.label for item in listed.items)
