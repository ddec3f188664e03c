"""Passkeys against a software authenticator (WebAuthn level 3, 7.1 and 7.2)."""

from typing import Any

import cbor2
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from fido2.cose import ESP256, RS256

from backend.errors import MalformedMessage
from backend.protocol.encoding import Octets, read_octets
from backend.protocol.record import Passkey
from backend.protocol.webauthn import (
    Assertion,
    Registration,
    approval_challenge,
    enrolment_challenge,
    verify_assertion,
    verify_registration,
)
from tests.unit.protocol import by_hand, cast
from tests.unit.protocol.authenticator import (
    FLAG,
    ORIGIN,
    RP_ID,
    UP_AND_UV,
    Authenticator,
    client_data,
)
from tests.unit.protocol.cast import PASSKEY

CHALLENGE = by_hand.octets("challenge")
KNOWN = Passkey(
    id=Octets(PASSKEY.credential_id), key=cast.public(PASSKEY.key), rp_id=RP_ID, origin=ORIGIN
)
COSE = dict(PASSKEY.cose_key())
STRANGER = Authenticator(key=by_hand.private_key("another passkey"), credential_id=bytes(24))
ELSEWHERE = Authenticator(
    key=PASSKEY.key, credential_id=PASSKEY.credential_id, rp_id="evil.example"
)


def register(answer: dict[str, str]) -> Passkey:
    registration = msgspec.convert(answer, Registration, dec_hook=read_octets)
    return verify_registration(
        registration, expected_challenge=CHALLENGE, rp_id=RP_ID, origin=ORIGIN
    )


def check(answer: dict[str, str], passkey: Passkey = KNOWN) -> None:
    assertion = msgspec.convert(answer, Assertion, dec_hook=read_octets)
    verify_assertion(assertion, expected_challenge=CHALLENGE, passkey=passkey)


def test_challenges_are_the_protocols() -> None:
    prints = [by_hand.octets(str(number)) for number in range(5)]
    tx_hash, approval, request, unlock, epk = prints
    assert approval_challenge(tx_hash=tx_hash, epk=epk) == by_hand.sha(
        b"cell-approve-v1\0", tx_hash, epk
    )
    for given, written in ((epk, epk), (None, bytes(32))):
        assert enrolment_challenge(
            tx_hash=tx_hash, approval=approval, request=request, unlock=unlock, epk=given
        ) == by_hand.sha(b"cell-enrol-v1\0", tx_hash, approval, request, unlock, written)


# What a browser and its authenticator may do otherwise, in both ceremonies.
ACCEPTED: dict[str, dict[str, Any]] = {
    "plain": {},
    "synced": {"flags": UP_AND_UV | FLAG.BE | FLAG.BS},
    "could be synced": {"flags": UP_AND_UV | FLAG.BE},
    "extensions": {"extensions": {"credProtect": 2, "hmac-secret": True}},
    "no crossOrigin": {"crossOrigin": ...},
    "unknown members": {"androidPackageName": "x", "other_keys": {"a": [1, None]}},
}
REFUSED: dict[str, dict[str, Any]] = {
    "no UV": {"flags": FLAG.UP},
    "no UP": {"flags": FLAG.UV},
    "no flags": {"flags": FLAG(0)},
    "another origin": {"origin": "https://evil.example"},
    "origin with a slash": {"origin": f"{ORIGIN}/"},
    "origin in capitals": {"origin": ORIGIN.upper()},
    "origin with a port": {"origin": f"{ORIGIN}:443"},
    "origin null": {"origin": None},
    "crossOrigin": {"crossOrigin": True},
    "crossOrigin null": {"crossOrigin": None},
    "crossOrigin 0": {"crossOrigin": 0},
    "crossOrigin text": {"crossOrigin": "false"},
    "topOrigin": {"topOrigin": "https://evil.example"},
    "topOrigin own": {"topOrigin": ORIGIN},
    "topOrigin null": {"topOrigin": None},
    "another challenge": {"challenge": by_hand.b64(bytes(32))},
    "challenge padded": {"challenge": f"{by_hand.b64(CHALLENGE)}="},
    "challenge null": {"challenge": None},
    "challenge a number": {"challenge": 1},
    "challenge surrogate": {"challenge": "é"},
    "type null": {"type": None},
    "type payment": {"type": "payment.get"},
    "a fraction": {"other": 1.5},
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_good_ceremony_is_accepted_with(name: str) -> None:
    assert register(PASSKEY.register(CHALLENGE, **ACCEPTED[name])) == KNOWN
    check(PASSKEY.sign(CHALLENGE, **ACCEPTED[name]))


@pytest.mark.parametrize("name", REFUSED)
def test_a_ceremony_is_refused_for(name: str) -> None:
    with pytest.raises(MalformedMessage):
        register(PASSKEY.register(CHALLENGE, **REFUSED[name]))
    with pytest.raises(MalformedMessage):
        check(PASSKEY.sign(CHALLENGE, **REFUSED[name]))


def test_the_two_ceremonies_are_not_confused() -> None:
    with pytest.raises(MalformedMessage):
        register(PASSKEY.register(CHALLENGE, kind="webauthn.get"))
    with pytest.raises(MalformedMessage):
        check(PASSKEY.sign(CHALLENGE, kind="webauthn.create"))


def test_another_site_is_refused() -> None:
    with pytest.raises(MalformedMessage):
        register(ELSEWHERE.register(CHALLENGE))
    with pytest.raises(MalformedMessage):
        check(ELSEWHERE.sign(CHALLENGE))


def test_another_passkey_is_refused_also_under_the_same_id() -> None:
    with pytest.raises(MalformedMessage):
        check(STRANGER.sign(CHALLENGE))
    same_id = Authenticator(key=STRANGER.key, credential_id=PASSKEY.credential_id)
    with pytest.raises(MalformedMessage):
        check(same_id.sign(CHALLENGE))


def test_the_registered_id_is_the_one_inside() -> None:
    answer = PASSKEY.register(CHALLENGE) | {"id": by_hand.b64(bytes(24))}
    with pytest.raises(MalformedMessage):
        register(answer)


def test_a_registration_without_a_key_is_refused() -> None:
    data = PASSKEY.data(flags=UP_AND_UV)
    answer = PASSKEY.registration(
        attestation=cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data}),
        client=client_data("webauthn.create", CHALLENGE),
    )
    with pytest.raises(MalformedMessage):
        register(answer)


@pytest.mark.parametrize("statement", [{}, {"sig": b"x"}, [1], "x"], ids=str)
@pytest.mark.parametrize("fmt", ["none", "packed", "android-key", 7])
def test_the_attestation_statement_is_not_looked_at(fmt: object, statement: object) -> None:
    data = PASSKEY.data(flags=UP_AND_UV, cose=COSE)
    answer = PASSKEY.registration(
        attestation=cbor2.dumps({"fmt": fmt, "attStmt": statement, "authData": data}),
        client=client_data("webauthn.create", CHALLENGE),
    )
    assert register(answer) == KNOWN


RSA_KEY = dict(RS256({1: 3, 3: -257, -1: bytes(range(1, 256)) + b"\1", -2: b"\1\0\1"}))
COSE_KEYS: dict[str, dict[int, Any]] = {
    "RS256": RSA_KEY,
    "ES384": COSE | {3: -35, -1: 2},
    "ESP256": dict(ESP256(COSE | {3: -9})),
    "EdDSA": {1: 1, 3: -8, -1: 6, -2: bytes(32)},
    "no algorithm": {name: value for name, value in COSE.items() if name != 3},
    "algorithm 0": COSE | {3: 0},
    "algorithm as text": COSE | {3: "ES256"},
    "algorithm as a list": COSE | {3: [-7]},
    "another type": COSE | {1: 1},
    "another curve": COSE | {-1: 2},
    "no curve": {name: value for name, value in COSE.items() if name != -1},
    "no y": {name: value for name, value in COSE.items() if name != -3},
    "compressed y": COSE | {-3: True},
    "y as a number": COSE | {-3: 32},
    "y as a huge number": COSE | {-3: 2**40},
    "x as text": COSE | {-2: "x" * 32},
    "31 bytes": COSE | {-2: COSE[-2][1:]},
    "33 bytes": COSE | {-2: b"\0" + COSE[-2]},
    "off the curve": COSE | {-3: COSE[-2]},
    "all zero": COSE | {-2: bytes(32), -3: bytes(32)},
    "a private key": COSE | {-4: bytes(32)},
    "an extra member": COSE | {2: b"kid"},
}


@pytest.mark.parametrize("name", COSE_KEYS)
def test_only_an_es256_key_in_its_five_members_is_taken(name: str) -> None:
    with pytest.raises(MalformedMessage):
        register(PASSKEY.register(CHALLENGE, cose=COSE_KEYS[name]))


def test_a_real_rsa_passkey_is_refused() -> None:
    numbers = rsa.generate_private_key(65537, 2048).public_key().public_numbers()
    cose = {1: 3, 3: -257, -1: numbers.n.to_bytes(256), -2: numbers.e.to_bytes(3)}
    with pytest.raises(MalformedMessage, match="ES256"):
        register(PASSKEY.register(CHALLENGE, cose=cose))


ATTESTED = PASSKEY.data(flags=UP_AND_UV, cose=COSE)


@pytest.mark.parametrize("signature", [b"", b"\x30\x00", bytes(64), b"\xff" * 72, b"\x30\x80"])
def test_a_signature_of_another_form_is_refused(signature: bytes) -> None:
    answer = PASSKEY.sign(CHALLENGE) | {"signature": by_hand.b64(signature)}
    with pytest.raises(MalformedMessage):
        check(answer)


def test_an_assertion_carries_no_credential() -> None:
    """WebAuthn, 6.1: only a registration has the flag AT."""
    with pytest.raises(MalformedMessage):
        check(PASSKEY.assertion(data=ATTESTED, client=client_data("webauthn.get", CHALLENGE)))


def test_each_byte_of_the_assertion_is_signed() -> None:
    good = PASSKEY.sign(CHALLENGE)
    synced = by_hand.b64(PASSKEY.data(flags=UP_AND_UV | FLAG.BE))
    longer = by_hand.b64(client_data("webauthn.get", CHALLENGE, extra=1))
    for change in ({"authenticatorData": synced}, {"clientDataJSON": longer}):
        with pytest.raises(MalformedMessage):
            check(good | change)
