"""One good example of every message, and who reads it."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any, final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from backend.protocol.approval import read_approval, verify_code_approval, verify_refusal
from backend.protocol.ask import verify_ask
from backend.protocol.enrolment import read_enrolment
from backend.protocol.key_history import follow_key_history
from backend.protocol.password_proof import verify_password_proof
from backend.protocol.receipt import verify_receipt
from backend.protocol.record import verify_record
from backend.protocol.request_proof import verify_request_proof
from backend.protocol.security_key import read_security_key
from tests.unit.protocol import by_hand
from tests.unit.protocol.cast import (
    ADDRESS,
    APPROVAL,
    APPROVAL_CLAIMS,
    ASK_CLAIMS,
    BODY,
    CODE_APPROVAL_CLAIMS,
    ENROLMENT_CLAIMS,
    KA,
    KEY_CHANGE_CLAIMS,
    KS,
    NOW,
    PASSWORD_PROOF_CLAIMS,
    PROOF_CLAIMS,
    RECEIPT_CLAIMS,
    RECORD_CLAIMS,
    REFUSAL_CLAIMS,
    REQUEST,
    SECURITY_KEY_CLAIMS,
    ask,
    device,
    public,
)


@final
class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of message: a good one, and who reads it."""

    typ: str
    signed_by: str
    key: ec.EllipticCurvePrivateKey
    good: dict[str, Any]
    read: Callable[[str], object]

    def claims(self, **changes: object) -> dict[str, Any]:
        return deepcopy(self.good) | changes

    def compact(self, **changes: object) -> str:
        return by_hand.jws(self.claims(**changes), self.key, typ=self.typ)


EXAMPLES: tuple[Example, ...] = (
    Example(
        typ="cell-ask+jwt",
        signed_by="KS",
        key=KS,
        good=ASK_CLAIMS,
        read=lambda text: verify_ask(text, expected_ks=public(KS)).claims,
    ),
    Example(
        typ="cell-approval+jwt",
        signed_by="approval",
        key=APPROVAL,
        good=APPROVAL_CLAIMS,
        read=lambda text: read_approval(text, expected_device=device()),
    ),
    Example(
        typ="cell-code-approval+jwt",
        signed_by="KS",
        key=KS,
        good=CODE_APPROVAL_CLAIMS,
        read=lambda text: verify_code_approval(text, ask=ask(), expected_ks=public(KS)),
    ),
    Example(
        typ="cell-refusal+jwt",
        signed_by="request",
        key=REQUEST,
        good=REFUSAL_CLAIMS,
        read=lambda text: verify_refusal(text, ask=ask(), expected_request_key=public(REQUEST)),
    ),
    Example(
        typ="cell-enrolment+jwt",
        signed_by="approval",
        key=APPROVAL,
        good=ENROLMENT_CLAIMS,
        read=read_enrolment,
    ),
    Example(
        typ="cell-record+jwt",
        signed_by="KS",
        key=KS,
        good=RECORD_CLAIMS,
        read=lambda text: verify_record(text, expected_ks=public(KS)),
    ),
    Example(
        typ="cell-security-key+jwt",
        signed_by="approval",
        key=APPROVAL,
        good=SECURITY_KEY_CLAIMS,
        read=lambda text: read_security_key(text, expected_device=device()),
    ),
    Example(
        typ="cell-password-proof+jwt",
        signed_by="KS",
        key=KS,
        good=PASSWORD_PROOF_CLAIMS,
        read=lambda text: verify_password_proof(text, expected_ks=public(KS)),
    ),
    Example(
        typ="cell-keys+jwt",
        signed_by="KS",
        key=KS,
        good=KEY_CHANGE_CLAIMS,
        read=lambda text: follow_key_history([text], known=public(KS)),
    ),
    Example(
        typ="cell-receipt+jwt",
        signed_by="KA",
        key=KA,
        good=RECEIPT_CLAIMS,
        read=lambda text: verify_receipt(text, expected_ka=public(KA)),
    ),
    Example(
        typ="dpop+jwt",
        signed_by="request",
        key=REQUEST,
        good=PROOF_CLAIMS,
        read=lambda text: verify_request_proof(
            text,
            expected_key=public(REQUEST),
            method="PUT",
            address=ADDRESS,
            body=BODY,
            now=NOW,
        ),
    ),
)
BY_TYP = {example.typ: example for example in EXAMPLES}
