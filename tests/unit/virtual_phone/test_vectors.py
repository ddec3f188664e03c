"""docs/test-vectors.json, which the service publishes, holds for the phone too."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from backend.virtual_phone import answers, jose, locks
from backend.virtual_phone.asks import KeyChange, check_documents, read_ask, trust
from backend.virtual_phone.documents import tree_root
from backend.virtual_phone.encoding import raw_uuid, read_json, secret_of, secret_text
from backend.virtual_phone.errors import MessageRefused
from backend.virtual_phone.invitation import (
    Addresses,
    Envelope,
    PhoneKeys,
    further_phone,
    read_addresses,
    read_envelope,
    read_further_phone,
)
from backend.virtual_phone.jose import Jwk
from tests.unit.virtual_phone.other_side import b64u, unb64u

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[3] / "docs" / "test-vectors.json").read_bytes()
)
DERIVED: dict[str, Any] = VECTORS["derivations"]


def public(name: str) -> Jwk:
    return Jwk(**VECTORS["keys"][name]["jwk"])


def private(name: str) -> ec.EllipticCurvePrivateKey:
    number = int.from_bytes(unb64u(VECTORS["keys"][name]["d"]))
    return ec.derive_private_key(number, ec.SECP256R1())


def raw(name: str, member: str) -> bytes:
    return bytes.fromhex(DERIVED[name][member])


def cell_of(name: str) -> bytes:
    return raw_uuid(DERIVED[name]["cell"])


def messages(typ: str) -> list[dict[str, Any]]:
    return [message for message in VECTORS["messages"] if message["typ"] == typ]


@pytest.mark.parametrize("name", VECTORS["keys"])
def test_keys_have_their_thumbprints(name: str) -> None:
    assert b64u(public(name).thumbprint()) == VECTORS["keys"][name]["thumbprint"]
    assert jose.jwk_of(private(name)) == public(name)


@pytest.mark.parametrize("place", range(len(VECTORS["messages"])))
def test_messages_are_verified_and_have_their_claims(place: int) -> None:
    message = VECTORS["messages"][place]
    payload = jose.verify(message["compact"], typ=message["typ"], key=public(message["signed_by"]))
    assert json.loads(payload) == message["claims"]


@pytest.mark.parametrize("message", messages("cell-ask+jwt"))
def test_asks_are_read_and_hashed_as_received(message: dict[str, Any]) -> None:
    ks = public("KS")
    signed = read_ask(message["compact"], ks=ks)
    assert b64u(signed.tx_hash) == message["sha256"]
    items = VECTORS["list"]["items"] if signed.ask.documents else []
    trusted = trust(signed, pin=ks.thumbprint(), pinned=None, keys=())
    checked = check_documents(trusted, items)
    assert len(checked.items) == len(items)


def test_the_change_of_the_services_key_is_read() -> None:
    (message,) = messages("cell-keys+jwt")
    payload = jose.verify(message["compact"], typ="cell-keys+jwt", key=public("KS"))
    assert read_json(payload, KeyChange).new == public("the next KS")


def test_the_phones_own_messages_have_the_published_claims() -> None:
    """The vectors' claims, put together by the phone's functions from their parts."""
    message = messages("cell-refusal+jwt")[0]
    claims = message["claims"]
    made = answers.refusal(
        key=private("request"),
        tx=claims["tx"],
        tx_hash=unb64u(claims["tx_hash"]),
        decision=claims["decision"],
        now=claims["iat"],
        jti=claims["jti"],
    )
    payload = jose.verify(made, typ="cell-refusal+jwt", key=public("request"))
    assert json.loads(payload) == claims


def test_approvals_and_enrolments_have_the_published_claims() -> None:
    compared = set()
    seals = [seal for seal in VECTORS["seals"] if seal["header"]["typ"] == "cell-secret"]
    for message in [*messages("cell-approval+jwt"), *messages("cell-enrolment+jwt")]:
        claims = dict(message["claims"])
        seal = next((seal for seal in seals if seal["sha256"] == claims["sealed"]), None)
        sealed = None  # another phone, or the password, brings CS
        if claims["sealed"] is not None:
            assert seal is not None
            sealed = answers.Sealed(compact=seal["compact"], epk=unb64u(claims["epk"]))
        made = by_the_phone(message["typ"], claims, sealed)
        payload = jose.verify(made, typ=message["typ"], key=public("approval"))
        if "attestation" in claims:
            claims["attestation"] = None  # This phone is neither native nor does it attest.
        assert json.loads(payload) == claims
        compared.add((message["typ"], claims["webauthn"] is None, sealed is None))
    kinds = {"cell-approval+jwt", "cell-enrolment+jwt"}
    assert compared == {
        *((typ, native, False) for typ in kinds for native in (True, False)),
        ("cell-enrolment+jwt", True, True),
    }


def by_the_phone(typ: str, claims: dict[str, Any], sealed: answers.Sealed | None) -> str:
    if typ == "cell-enrolment+jwt":
        return answers.enrolment(
            key=private("approval"),
            tx_hash=unb64u(claims["tx_hash"]),
            keys=PhoneKeys(**{name: Jwk(**jwk) for name, jwk in claims["keys"].items()}),
            kind=claims["kind"],
            sealed=sealed,
            webauthn=claims["webauthn"],
        )
    assert sealed is not None
    return answers.approval(
        key=private("approval"),
        tx=claims["tx"],
        tx_hash=unb64u(claims["tx_hash"]),
        sealed=sealed,
        number=claims["number"],
        webauthn=claims["webauthn"],
        now=claims["iat"],
        jti=claims["jti"],
    )


@pytest.mark.parametrize("message", messages("dpop+jwt"))
def test_the_proof_of_a_request_leaves_out_the_query(message: dict[str, Any]) -> None:
    claims = message["claims"]
    made = answers.request_proof(
        key=private("request"),
        method=claims["htm"],
        url=claims["htu"] + "?version=1",
        body=None,
        now=claims["iat"],
        jti=claims["jti"],
    )
    payload = json.loads(jose.verify(made, typ="dpop+jwt", key=public("request")))
    assert payload == claims | {"body": None}


@pytest.mark.parametrize("seal", VECTORS["seals"])
def test_seals_open_in_their_context(seal: dict[str, Any]) -> None:
    header = seal["header"]
    opened = jose.unseal(
        seal["compact"],
        typ=header["typ"],
        key=private(seal["recipient"]),
        apu=unb64u(header["apu"]) if "apu" in header else None,
        apv=unb64u(header["apv"]),
    )
    assert opened == unb64u(seal["plaintext"])


def test_lists_have_their_roots() -> None:
    listed = VECTORS["list"]
    assert b64u(tree_root([item.encode() for item in listed["items"]])) == listed["root"]
    for first in listed["roots_of_the_first"]:
        assert b64u(tree_root([text.encode() for text in first["texts"]])) == first["root"]


@pytest.mark.parametrize("vector", DERIVED["labels"])
def test_labels_are_put_together(vector: dict[str, str]) -> None:
    made = locks.label(
        cell=raw_uuid(vector["cell"]),
        kind=vector["kind"],
        purpose=vector["purpose"],
        ident=raw_uuid(vector["id"]) if "-" in vector["id"] else bytes.fromhex(vector["id"]),
    )
    assert made.hex() == vector["label"]


def test_the_envelope_opens() -> None:
    envelope = DERIVED["envelope"]
    secret = raw("envelope", "s")
    assert read_envelope(envelope["qr_2"]) == Envelope(secret=secret)
    assert read_envelope(envelope["qr_2_existing_cell"]).ks_thumbprint == public("KS").thumbprint()
    assert locks.pairing_id(secret) == raw_uuid(envelope["pairing"])
    cell = raw_uuid(DERIVED["labels"][0]["cell"])
    opened, pin = locks.open_envelope(envelope["sealed"], secret=secret, cell=cell)
    assert opened + pin == raw("envelope", "plaintext")
    assert pin == public("KS").thumbprint()


def test_the_recovery_lock_opens() -> None:
    code = secret_of(DERIVED["recovery"]["text"])
    assert code == raw("recovery", "c")
    opened = locks.open_recovery_lock(
        DERIVED["recovery"]["sealed"], code=code, cell=cell_of("recovery")
    )
    assert opened == raw("recovery", "plaintext")


def test_the_unlock_key_comes_back_under_the_prf_output() -> None:
    cell = cell_of("prf")
    assert locks.prf_salt(cell) == raw("prf", "salt")
    key = locks.unwrap_unlock(
        DERIVED["prf"]["sealed"], prf_output=raw("prf", "prf_output"), cell=cell
    )
    assert jose.key_bytes(key)[:36] == raw("prf", "plaintext")[:36]
    assert jose.jwk_of(key) == public("unlock")


def test_the_unlock_key_comes_back_under_a_security_keys_output() -> None:
    name = "prf_of_a_security_key"
    cell, sealed = cell_of(name), DERIVED[name]["sealed"]
    assert locks.security_key_salt(cell) == raw(name, "salt")
    output = raw(name, "prf_output")
    key = locks.unwrap_unlock(sealed, prf_output=output, cell=cell, info=locks.BY_KEY)
    assert jose.jwk_of(key) == public("unlock")
    with pytest.raises(MessageRefused):
        locks.unwrap_unlock(sealed, prf_output=output, cell=cell)


@pytest.mark.parametrize("vector", DERIVED["secret_texts"])
def test_secrets_are_written_and_read(vector: dict[str, str]) -> None:
    secret = bytes.fromhex(vector["secret"])
    assert secret_text(secret) == vector["text"]
    assert secret_of(vector["text"]) == secret


def test_qr_1_is_read() -> None:
    vector = dict(DERIVED["qr_1"])
    assert read_addresses(vector.pop("text")) == Addresses(**vector)


def test_a_further_phones_qr_code_is_read() -> None:
    vector = DERIVED["further_phone"]
    expected = tuple(bytes.fromhex(vector[name]) for name in ("approval", "request", "unlock"))
    assert read_further_phone(vector["text"]) == expected


def test_the_pin_is_made_by_who_has_the_cells_secret() -> None:
    vector = DERIVED["pin"]
    made = locks.pin(
        raw("pin", "cs"), ks=raw("pin", "ks"), cell=cell_of("pin"), kid=raw("pin", "kid")
    )
    assert made.hex() == vector["output"]
    keys = PhoneKeys(
        approval=public("approval"), request=public("request"), unlock=public("unlock")
    )
    assert further_phone(keys) == DERIVED["further_phone"]["text"]


def unhexed(vector: dict[str, str]) -> dict[str, bytes]:
    return {name: bytes.fromhex(value) for name, value in vector.items()}


def test_challenges_bind_what_they_must() -> None:
    vector = {
        name: bytes.fromhex(value) for name, value in DERIVED["challenges"]["approval"].items()
    }
    assert (
        answers.approval_challenge(tx_hash=vector["tx_hash"], epk=vector["epk"]) == vector["output"]
    )
    vector = unhexed(DERIVED["challenges"]["enrolment"])
    keys = PhoneKeys(
        approval=public("approval"), request=public("request"), unlock=public("unlock")
    )
    for epk, output in ((vector["epk"], "output"), (None, "output_without_seal")):
        made = answers.enrolment_challenge(tx_hash=vector["tx_hash"], keys=keys, epk=epk)
        assert made == vector[output]


def test_a_security_key_is_named_as_published() -> None:
    vector = unhexed(DERIVED["challenges"]["security_key"])
    named = {"record": vector["record"], "kid": vector["kid"]}
    assert answers.security_key_challenge(**named) == vector["output"]
    agreed = answers.consent_challenge(**named, attestation_object=vector["attestation_object"])
    assert agreed == vector["consent"]
    (message,) = messages("cell-security-key+jwt")
    claims = message["claims"]
    made = answers.security_key(
        key=private("approval"),
        record=unb64u(claims["record"]),
        webauthn=claims["webauthn"],
        consent=claims["consent"],
    )
    payload = jose.verify(made, typ="cell-security-key+jwt", key=public("approval"))
    assert json.loads(payload) == claims


def test_the_12_characters_are_the_published_ones() -> None:
    vector = DERIVED["codes"]["twelve"]
    assert answers.twelve_characters(vector["enrolment"]) == vector["output"]
