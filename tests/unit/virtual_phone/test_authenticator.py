"""The software passkey; python-fido2's server, which is not ours, judges its answers."""

import hashlib
import hmac
import json
from typing import Any

import msgspec
import pytest
from fido2.server import Fido2Server
from fido2.webauthn import (
    AttestedCredentialData,
    AuthenticationResponse,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    RegistrationResponse,
    UserVerificationRequirement,
)

from backend.virtual_phone.authenticator import Assertion, Passkey, Registration, create, get
from backend.virtual_phone.errors import CannotAnswer
from tests.unit.virtual_phone.other_side import b64u, sha256, unb64u

APP = "https://app.cellkey.test:8602/phone"
CHALLENGE = sha256(b"challenge")
USER = PublicKeyCredentialUserEntity(id=b"signer", name="signer")


@pytest.fixture
def judge() -> Fido2Server:
    rp = PublicKeyCredentialRpEntity(id="app.cellkey.test", name="Cellkey")
    return Fido2Server(rp, verify_origin=lambda origin: origin == "https://app.cellkey.test:8602")


def wire(answer: Registration | Assertion) -> dict[str, Any]:
    """The answer as a browser's toJSON gives it: ours leaves out what section 2 does not send."""
    members: dict[str, Any] = msgspec.to_builtins(answer)
    ident = members.pop("id")
    return {"id": ident, "rawId": ident, "type": "public-key", "response": members}


def registered(judge: Fido2Server, registration: Registration) -> AttestedCredentialData:
    _, state = judge.register_begin(
        USER, user_verification=UserVerificationRequirement.REQUIRED, challenge=CHALLENGE
    )
    answer = RegistrationResponse.from_dict(wire(registration))
    credential = judge.register_complete(state, answer).credential_data
    assert credential is not None
    return credential


def asserted(judge: Fido2Server, credential: AttestedCredentialData, answer: Assertion) -> None:
    _, state = judge.authenticate_begin(
        [credential],
        user_verification=UserVerificationRequirement.REQUIRED,
        challenge=CHALLENGE,
    )
    judge.authenticate_complete(state, [credential], AuthenticationResponse.from_dict(wire(answer)))


def test_a_foreign_server_accepts_registration_and_assertion(judge: Fido2Server) -> None:
    passkey, registration = create(app=APP, challenge=CHALLENGE)
    credential = registered(judge, registration)
    assert credential.credential_id == unb64u(passkey.id)
    assert credential.public_key[3] == -7
    assertion, _ = get(passkey, challenge=CHALLENGE, salt=b"salt")
    asserted(judge, credential, assertion)


def test_a_foreign_server_refuses_another_challenge_passkey_or_origin(judge: Fido2Server) -> None:
    passkey, registration = create(app=APP, challenge=CHALLENGE)
    credential = registered(judge, registration)
    other, _ = create(app=APP, challenge=CHALLENGE)
    elsewhere = msgspec.structs.replace(passkey, origin="https://evil.test")
    for wrong, challenge in ((passkey, bytes(32)), (other, CHALLENGE), (elsewhere, CHALLENGE)):
        assertion, _ = get(wrong, challenge=challenge, salt=b"salt")
        with pytest.raises(ValueError, match=r".+"):
            asserted(judge, credential, assertion)


def test_presence_and_verification_are_set_and_nothing_else() -> None:
    passkey, registration = create(app=APP, challenge=CHALLENGE)
    assertion, _ = get(passkey, challenge=CHALLENGE, salt=b"salt")
    data = unb64u(assertion.authenticator_data)
    assert len(data) == 37
    assert data[32] == 0x05
    attestation = unb64u(registration.attestation_object)
    assert attestation[-164:][32] == 0x45
    assert b"\x64none" in attestation


def test_client_data_is_what_a_browser_writes() -> None:
    _, registration = create(app=APP, challenge=CHALLENGE)
    assert json.loads(unb64u(registration.client_data)) == {
        "type": "webauthn.create",
        "challenge": b64u(CHALLENGE),
        "origin": "https://app.cellkey.test:8602",
        "crossOrigin": False,
    }


def test_the_prf_is_hmac_secret_under_the_browsers_prefix() -> None:
    """WebAuthn level 3, 10.1.4."""
    passkey, _ = create(app=APP, challenge=CHALLENGE)
    _, output = get(passkey, challenge=CHALLENGE, salt=b"salt")
    salt = hashlib.sha256(b"WebAuthn PRF\0salt").digest()
    assert output == hmac.new(unb64u(passkey.prf_secret), salt, "sha256").digest()


def test_the_prf_output_depends_on_the_passkey_and_the_salt_alone() -> None:
    def output(passkey: Passkey, salt: bytes, challenge: bytes = CHALLENGE) -> bytes:
        return get(passkey, challenge=challenge, salt=salt)[1]

    one, other = (create(app=APP, challenge=CHALLENGE)[0] for _ in range(2))
    assert output(one, b"a") == output(one, b"a", challenge=bytes(32))
    assert len({output(one, b"a"), output(one, b"b"), output(other, b"a")}) == 3


@pytest.mark.parametrize("app", ["", "app.cellkey.test", "file:///app", "https://"])
def test_a_passkey_is_made_for_an_address_of_the_web_alone(app: str) -> None:
    with pytest.raises(CannotAnswer):
        create(app=app, challenge=CHALLENGE)
