"""A browser names a security key (docs/phone-protocol.md, 2 and 8.6)."""

from typing import Any

import pytest

from backend.errors import MalformedMessage
from backend.protocol.approval import check_user_verification, read_approval
from backend.protocol.record import verify_record
from backend.protocol.security_key import (
    SecurityKeyClaims,
    check_consent,
    presenting_kid,
    read_security_key,
    verify_new_key,
)
from tests.unit.protocol import by_hand, cast
from tests.unit.protocol.authenticator import FLAG, ORIGIN, RP_ID
from tests.unit.protocol.cast import APPROVAL, KS, PASSKEY, REQUEST, SECURITY_KEY
from tests.unit.protocol.examples import BY_TYP

EXAMPLE = BY_TYP["cell-security-key+jwt"]
OTHER = by_hand.octets("another challenge")


def claims(**changes: object) -> SecurityKeyClaims:
    return read_security_key(EXAMPLE.compact(**changes), expected_device=cast.device())


def new_key(**changes: object) -> dict[str, Any]:
    return {"webauthn": cast.SECURITY_KEY_CLAIMS["webauthn"] | changes}


def verified(given: SecurityKeyClaims) -> object:
    return verify_new_key(given, kid=cast.tp(APPROVAL), rp_id=RP_ID, origin=ORIGIN)


def test_what_is_verified_is_what_the_record_will_know() -> None:
    compact = by_hand.jws(cast.SECURITY_KEY_RECORD_CLAIMS, KS, typ="cell-record+jwt")
    record = verify_record(compact, expected_ks=cast.public(KS))
    check_consent(claims(), cast.device())
    assert (verified(claims()),) == record.devices[0].security_keys
    assert presenting_kid(EXAMPLE.compact()) == cast.tp(APPROVAL)


def test_only_the_phones_approval_key_names_a_security_key() -> None:
    compact = by_hand.jws(EXAMPLE.good, REQUEST, typ=EXAMPLE.typ)
    with pytest.raises(MalformedMessage):
        read_security_key(compact, expected_device=cast.device())


@pytest.mark.parametrize(
    "consent",
    [
        PASSKEY.sign(OTHER),
        PASSKEY.sign(cast.NEW_KEY_CHALLENGE),
        PASSKEY.sign(cast.APPROVAL_CHALLENGE),
        PASSKEY.sign(cast.CONSENT_CHALLENGE, flags=FLAG.UP),
        SECURITY_KEY.sign(cast.CONSENT_CHALLENGE),
    ],
    ids=["another challenge", "the new key's", "an approval's", "no finger", "the new key itself"],
)
def test_a_security_key_that_nobody_agreed_to_is_refused(consent: dict[str, str]) -> None:
    with pytest.raises(MalformedMessage):
        check_consent(claims(consent=consent), cast.device())


def test_the_consent_is_to_this_very_key() -> None:
    other = SECURITY_KEY.register(cast.NEW_KEY_CHALLENGE, extensions={"credProtect": 1})
    with pytest.raises(MalformedMessage):
        check_consent(claims(**new_key(registration=other)), cast.device())


@pytest.mark.parametrize(
    "changes",
    [
        {"record": by_hand.b64(bytes(32))},
        new_key(registration=SECURITY_KEY.register(OTHER)),
        new_key(registration=SECURITY_KEY.register(cast.NEW_KEY_CHALLENGE, flags=FLAG.UP)),
        new_key(assertion=SECURITY_KEY.sign(OTHER)),
        new_key(assertion=SECURITY_KEY.sign(cast.NEW_KEY_CHALLENGE, flags=FLAG.UP)),
        new_key(assertion=PASSKEY.sign(cast.NEW_KEY_CHALLENGE)),
    ],
    ids=["record", "registration", "made without PIN", "assertion", "used without PIN", "passkey"],
)
def test_a_security_key_proves_itself_for_this_record(changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedMessage):
        verified(claims(**changes))


def test_an_approval_carries_the_assertion_of_any_passkey_that_the_record_knows() -> None:
    compact = by_hand.jws(cast.SECURITY_KEY_RECORD_CLAIMS, KS, typ="cell-record+jwt")
    believes = verify_record(compact, expected_ks=cast.public(KS)).devices[0]
    approval = BY_TYP["cell-approval+jwt"]
    by_key = approval.compact(webauthn=SECURITY_KEY.sign(cast.APPROVAL_CHALLENGE))
    answered = read_approval(by_key, expected_device=believes)
    check_user_verification(answered, believes)
    check_user_verification(read_approval(approval.compact(), expected_device=believes), believes)
    with pytest.raises(MalformedMessage, match="another passkey"):
        check_user_verification(answered, cast.device())
    other = approval.compact(
        webauthn=SECURITY_KEY.sign(cast.APPROVAL_CHALLENGE)
        | {"id": by_hand.b64(PASSKEY.credential_id)}
    )
    with pytest.raises(MalformedMessage, match="signature"):
        check_user_verification(read_approval(other, expected_device=believes), believes)
