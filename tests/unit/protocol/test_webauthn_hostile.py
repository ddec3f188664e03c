"""Bytes that no authenticator makes: python-fido2 may trip, the answer is a refusal (T-39)."""

import cbor2
import msgspec
import pytest

from backend.errors import MalformedMessage
from backend.protocol.encoding import Octets, read_octets
from backend.protocol.record import Passkey
from backend.protocol.webauthn import (
    Assertion,
    Registration,
    verify_assertion,
    verify_registration,
)
from tests.unit.protocol import by_hand, cast
from tests.unit.protocol.authenticator import (
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


GOOD_DATA = PASSKEY.data(flags=UP_AND_UV)
ATTESTED = PASSKEY.data(flags=UP_AND_UV, cose=COSE)
HOSTILE_DATA: dict[str, bytes] = {
    "empty": b"",
    "short": GOOD_DATA[:36],
    "shorter": GOOD_DATA[:20],
    "trailing": GOOD_DATA + b"\0",
    "ED without extensions": GOOD_DATA[:32] + b"\x85" + GOOD_DATA[33:],
    "AT without credential": GOOD_DATA[:32] + b"\x45" + GOOD_DATA[33:],
    "id longer than all": ATTESTED[:53] + b"\xff\xff" + ATTESTED[55:],
    "key cut": ATTESTED[:-1],
    "key no map": ATTESTED[:79] + b"\x01",
    "key a list": ATTESTED[:79] + b"\x80",
    "key with null": ATTESTED[:79] + b"\xa2\x03\x26\x20\xf6",
    "key with a float": ATTESTED[:79] + b"\xa2\x03\x26\x20\xf9\x00\x00",
    "key with a list as name": ATTESTED[:79] + b"\xa1\x80\x01",
    "key with a tag": ATTESTED[:79] + b"\xc0\x01",
    "indefinite map": ATTESTED[:79] + b"\xbf\xff",
    "deep": ATTESTED[:79] + b"\x81" * 15_000,
    "huge map": ATTESTED[:79] + b"\xbb" + b"\xff" * 8,
    "huge bytes": ATTESTED[:79] + b"\x5b" + b"\xff" * 8,
    "text without form": ATTESTED[:79] + b"\x61\xff",
}
HOSTILE_OBJECTS: dict[str, bytes] = {
    "empty": b"",
    "no CBOR": b"\xff",
    "null": b"\xf6",
    "a number": b"\x01",
    "a list": b"\x80",
    "text": b"\x63abc",
    "empty map": b"\xa0",
    "authData a number": cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": 2**40}),
    "authData a huge number": cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": 2**63}),
    "authData text": cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": "x" * 100}),
    "authData a list": cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": [1] * 50}),
    "trailing": cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": ATTESTED}) + b"\0",
    "indefinite": b"\xbf\xff",
    "a float": b"\xfb" + bytes(8),
    "a tag": b"\xc0\x00",
    "short int": b"\x19\x00",
    "deep": b"\x81" * 16_000,
    "deep maps": b"\xa1\x01" * 8_000,
    "list as a name": b"\xa1\x80\x01",
    "huge list": b"\x9b" + b"\xff" * 8,
}


@pytest.mark.parametrize("name", HOSTILE_DATA)
def test_hostile_authenticator_data_is_refused(name: str) -> None:
    data = HOSTILE_DATA[name]
    with pytest.raises(MalformedMessage):
        check(PASSKEY.assertion(data=data, client=client_data("webauthn.get", CHALLENGE)))
    attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
    client = client_data("webauthn.create", CHALLENGE)
    with pytest.raises(MalformedMessage):
        register(PASSKEY.registration(attestation=attestation, client=client))


@pytest.mark.parametrize("name", HOSTILE_OBJECTS)
def test_a_hostile_attestation_object_is_refused(name: str) -> None:
    client = client_data("webauthn.create", CHALLENGE)
    with pytest.raises(MalformedMessage):
        register(PASSKEY.registration(attestation=HOSTILE_OBJECTS[name], client=client))


@pytest.mark.parametrize(
    "client",
    [
        b"",
        b"null",
        b"[]",
        b'"webauthn.get"',
        b"{",
        b"\xff",
        b"{}",
        b"[" * 16_000,
        client_data("webauthn.get", CHALLENGE)[:-1] + b',"type":"webauthn.get"}',
        b"\xef\xbb\xbf" + client_data("webauthn.get", CHALLENGE),
    ],
    ids=range(10),
)
def test_hostile_client_data_is_refused(client: bytes) -> None:
    with pytest.raises(MalformedMessage):
        check(PASSKEY.assertion(data=GOOD_DATA, client=client))
