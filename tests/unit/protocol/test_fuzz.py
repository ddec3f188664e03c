"""Whatever comes from outside, the only refusal is ``MalformedMessage``.

Three kinds of noise: bytes at random, one good message with a few characters changed, and claims
that are wrong inside but rightly signed (what a hostile phone can make).
"""

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import cbor2
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.errors import MalformedMessage
from backend.protocol.approval import approving_kid, check_user_verification
from backend.protocol.encoding import (
    Octets,
    parse_json,
    read_id,
    read_message,
    secret_bytes,
    unb64u,
)
from backend.protocol.enrolment import EnrolmentClaims, read_enrolment, verify_passkey
from backend.protocol.jose import PublicJwk
from backend.protocol.locks import check_recovery_lock, decrypt, unlock_raw
from backend.protocol.public_keys import read_public_keys
from backend.protocol.request_proof import proving_kid
from backend.protocol.sealed import check_sealed, open_sealed
from backend.protocol.sms import open_sms
from backend.protocol.tree import Documents, Item, verify_list
from backend.protocol.webauthn import (
    Assertion,
    Registration,
    verify_assertion,
    verify_registration,
)
from tests.unit.protocol import by_hand, cast
from tests.unit.protocol.authenticator import ORIGIN, RP_ID, UP_AND_UV, client_data
from tests.unit.protocol.cast import PASSKEY
from tests.unit.protocol.examples import BY_TYP, EXAMPLES, Example

KEY = by_hand.octets("key")
CHALLENGE = by_hand.octets("challenge")


def seal_check(text: str) -> object:
    return check_sealed(
        text,
        expected_hash=by_hand.sha(cast.SEALED.encode()),
        expected_epk=cast.tp(cast.EPHEMERAL),
        expected_sender=cast.tp(cast.APPROVAL),
        expected_tx_hash=cast.TX_HASH,
    )


TEXT_READERS: dict[str, Callable[[str], object]] = {
    **{example.typ: example.read for example in EXAMPLES},
    "approving_kid": approving_kid,
    "proving_kid": proving_kid,
    "check_sealed": seal_check,
    "open_sealed": lambda text: open_sealed(text, cast.TRANSACTION),
    "open_sms": lambda text: open_sms(text, cast.UNLOCK),
    "unlock_raw": lambda text: unlock_raw(text, key=KEY, label=b""),
    "check_recovery_lock": check_recovery_lock,
    "unb64u": unb64u,
    "secret_bytes": secret_bytes,
    "read_id": read_id,
    "verify_list": lambda text: verify_list(
        [text], expected=Documents(root=cast.ask().tx_hash, count=1)
    ),
}
BYTE_READERS: dict[str, Callable[[bytes], object]] = {
    "parse_json": parse_json,
    "public keys": read_public_keys,
    "item": lambda raw: read_message(raw, Item),
    "enrolment": lambda raw: read_message(raw, EnrolmentClaims),
    "decrypt": lambda raw: decrypt(raw, key=KEY, aad=b""),
    "spki": PublicJwk.of_spki,
}


def only_refuses(read: Callable[[Any], object], unverified: object) -> bool:
    """Whether it was read; any exception but a refusal ends the test."""
    try:
        read(unverified)
    except MalformedMessage:
        return False
    return True


pieces = st.one_of(
    st.text(max_size=30),
    st.binary(max_size=60).map(by_hand.b64),
    st.sampled_from(["", ".", "..", "=", "\0", "\ud800", "{}", "e30", "bnVsbA", "W10"]),
    st.sampled_from([example.compact().split(".")[0] for example in EXAMPLES]),
    st.sampled_from(cast.SEALED.split(".")),
)


@pytest.mark.parametrize("name", TEXT_READERS)
@settings(max_examples=40)
@given(st.lists(pieces, max_size=6), st.sampled_from(["", "."]))
def test_noise_is_refused(name: str, parts: list[str], joint: str) -> None:
    only_refuses(TEXT_READERS[name], joint.join(parts))


json_noise = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(alphabet=st.characters(exclude_categories=()), max_size=9)
    | st.binary(max_size=70).map(by_hand.b64)
    | st.sampled_from(["2", "ES256", "approve", cast.b64_tp(cast.KS), str(cast.TX), "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=4) | st.sampled_from(["kty", "type"]), inner, max_size=4)
    ),
    max_leaves=20,
)


@pytest.mark.parametrize("name", BYTE_READERS)
@settings(max_examples=40)
@given(st.binary(max_size=200) | json_noise.map(lambda value: msgspec.json.encode(repr(value))))
def test_noise_in_bytes_is_refused(name: str, raw: bytes) -> None:
    only_refuses(BYTE_READERS[name], raw)


GOOD = [(example.read, example.compact()) for example in EXAMPLES] + [(seal_check, cast.SEALED)]


@given(
    st.sampled_from(GOOD),
    st.integers(0, 4000),
    st.integers(0, 3),
    st.text(
        alphabet=st.characters(codec="utf-8") | st.sampled_from("ABab01-_.=+/\n\0"), max_size=3
    ),
)
def test_a_good_message_with_a_few_characters_changed_is_never_read(
    good: tuple[Callable[[str], object], str], at: int, cut: int, put: str
) -> None:
    read, compact = good
    at %= len(compact) + 1
    changed = compact[:at] + put + compact[at + cut :]
    assert only_refuses(read, changed) is (changed == compact)


def json_text(value: object) -> bytes:
    """JSON as a careless phone writes it: NaN and lone surrogates too."""
    return json.dumps(value).encode()


@given(st.sampled_from(EXAMPLES), st.data())
def test_rightly_signed_nonsense_is_only_refused(example: Example, data: st.DataObject) -> None:
    claims: Any = deepcopy(example.good)
    inner = claims
    for _ in range(data.draw(st.integers(0, 3), label="depth")):
        names = list(inner) if isinstance(inner, dict) else range(len(inner))
        below = [name for name in names if isinstance(inner[name], dict | list) and inner[name]]
        if not below:
            break
        inner = inner[data.draw(st.sampled_from(below), label="into")]
    names = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
    inner[data.draw(st.sampled_from(names), label="member")] = data.draw(json_noise, label="value")
    only_refuses(example.read, by_hand.jws(json_text(claims), example.key, typ=example.typ))


# --- passkeys -------------------------------------------------------------------------------------


def register(registration: Registration) -> object:
    return verify_registration(
        registration, expected_challenge=CHALLENGE, rp_id=RP_ID, origin=ORIGIN
    )


def check(assertion: Assertion) -> None:
    passkey = cast.device().webauthn
    assert passkey is not None
    verify_assertion(assertion, expected_challenge=CHALLENGE, passkey=passkey)


def registration(attestation: bytes) -> Registration:
    return Registration(
        id=Octets(PASSKEY.credential_id),
        attestation_object=Octets(attestation),
        client_data_json=Octets(client_data("webauthn.create", CHALLENGE)),
    )


def assertion(data: bytes, client: bytes) -> Assertion:
    signed = PASSKEY.assertion(data=data, client=client)
    return Assertion(
        id=Octets(PASSKEY.credential_id),
        authenticator_data=Octets(data),
        client_data_json=Octets(client),
        signature=Octets(by_hand.unb64(signed["signature"])),
    )


cbor_noise = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats()
    | st.binary(max_size=100)
    | st.text(max_size=9)
    | st.sampled_from([-7, -9, 32, 2**40, PASSKEY.data(flags=UP_AND_UV)]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.integers(-4, 4) | st.sampled_from(["fmt", "attStmt", "authData"]), inner, max_size=5
        )
    ),
    max_leaves=15,
)
ATTESTED = PASSKEY.data(flags=UP_AND_UV, cose=PASSKEY.cose_key())
CLIENT = client_data("webauthn.get", CHALLENGE)


@given(st.binary(max_size=120) | cbor_noise.map(cbor2.dumps))
def test_noise_is_no_attestation_object(attestation: bytes) -> None:
    assert not only_refuses(register, registration(attestation))


@given(cbor_noise.map(cbor2.dumps) | st.binary(max_size=60), st.integers(0, 255))
def test_noise_is_no_credential_key(key: bytes, flags: int) -> None:
    data = ATTESTED[:32] + bytes([flags]) + ATTESTED[33:79] + key
    whole = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
    only_refuses(register, registration(whole))
    only_refuses(check, assertion(data, CLIENT))


@given(st.binary(max_size=200))
def test_noise_is_no_authenticator_data(data: bytes) -> None:
    assert not only_refuses(check, assertion(data, CLIENT))
    site = PASSKEY.data(flags=UP_AND_UV)[:32]
    only_refuses(check, assertion(site + data, CLIENT))


@given(json_noise.map(json_text) | st.binary(max_size=50))
def test_noise_is_no_client_data(client: bytes) -> None:
    assert not only_refuses(check, assertion(PASSKEY.data(flags=UP_AND_UV), client))


@given(
    st.dictionaries(
        st.sampled_from(["type", "challenge", "origin", "crossOrigin", "topOrigin", "other"]),
        json_noise,
        min_size=1,
    )
)
def test_client_data_with_a_few_members_changed_is_only_refused(members: dict[str, Any]) -> None:
    usual = {"type": "webauthn.get", "challenge": by_hand.b64(CHALLENGE), "origin": ORIGIN}
    data = PASSKEY.data(flags=UP_AND_UV)
    only_refuses(check, assertion(data, json_text(usual | members)))


ENROLMENT = BY_TYP["cell-enrolment+jwt"]


@given(st.sampled_from(["registration", "assertion"]), st.binary(max_size=90), st.data())
def test_a_signed_enrolment_with_a_noisy_passkey_is_only_refused(
    part: str, noise: bytes, data: st.DataObject
) -> None:
    claims = ENROLMENT.claims()
    answer = claims["webauthn"][part]
    answer[data.draw(st.sampled_from(sorted(answer)))] = by_hand.b64(noise)
    compact = by_hand.jws(claims, ENROLMENT.key, typ=ENROLMENT.typ)
    read = read_enrolment(compact)
    only_refuses(lambda each: verify_passkey(each, rp_id=RP_ID, origin=ORIGIN), read)


@given(st.binary(max_size=90), st.data())
def test_a_signed_approval_with_a_noisy_assertion_is_only_refused(
    noise: bytes, data: st.DataObject
) -> None:
    example = BY_TYP["cell-approval+jwt"]
    claims = example.claims()
    name = data.draw(st.sampled_from(sorted(claims["webauthn"])))
    claims["webauthn"][name] = by_hand.b64(noise)
    read: Any = example.read(by_hand.jws(claims, example.key, typ=example.typ))
    assert not only_refuses(lambda each: check_user_verification(each, cast.device()), read)
