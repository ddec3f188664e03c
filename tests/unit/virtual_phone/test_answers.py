"""The phone's messages, claim by claim, read by joserfc (sections 2 and 5)."""

import base64
import hashlib
from uuid import UUID

import pytest
from joserfc.jwk import ECKey

from backend.virtual_phone import answers, jose
from backend.virtual_phone.phone_keys import OpenKeys, new_keys
from tests.unit.virtual_phone.other_side import (
    NOW,
    OtherSide,
    b64u,
    claims_of,
    ephemeral_of,
    public,
    sha256,
)

JTI = UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
TX = "0f0e0d0c-0b0a-4908-8706-050403020100"
TX_HASH = sha256(b"ask")
SEALED = answers.Sealed(compact="a..b.c.d", epk=sha256(b"epk"))


@pytest.fixture
def keys() -> OpenKeys:
    return new_keys()


def foreign(key: jose.Jwk) -> ECKey:
    return ECKey.import_key(dict(key.members()))


@pytest.mark.parametrize("number", [None, "07"])
def test_an_approval_has_all_its_claims(keys: OpenKeys, number: str | None) -> None:
    message = answers.approval(
        key=keys.approval,
        tx=TX,
        tx_hash=TX_HASH,
        sealed=SEALED,
        number=number,
        webauthn={"id": "x"},
        now=NOW,
        jti=JTI,
    )
    claims = claims_of(message, key=foreign(keys.public().approval), typ="cell-approval+jwt")
    assert claims == {
        "tx": TX,
        "tx_hash": b64u(TX_HASH),
        "decision": "approve",
        "sealed": b64u(sha256(b"a..b.c.d")),
        "epk": b64u(SEALED.epk),
        "number": number,
        "iat": NOW,
        "jti": str(JTI),
        "webauthn": {"id": "x"},
    }


def test_a_refusal_is_signed_by_the_request_key(keys: OpenKeys) -> None:
    message = answers.refusal(
        key=keys.request, tx=TX, tx_hash=TX_HASH, decision="not_me", now=NOW, jti=JTI
    )
    claims = claims_of(message, key=foreign(keys.public().request), typ="cell-refusal+jwt")
    assert claims == {
        "tx": TX,
        "tx_hash": b64u(TX_HASH),
        "decision": "not_me",
        "iat": NOW,
        "jti": str(JTI),
    }


def test_an_enrolment_names_three_keys_and_is_signed_by_the_new_approval_key(
    keys: OpenKeys,
) -> None:
    public = keys.public()
    message = answers.enrolment(
        key=keys.approval,
        tx_hash=TX_HASH,
        keys=public,
        kind="virtual",
        sealed=SEALED,
        webauthn=None,
    )
    claims = claims_of(message, key=foreign(public.approval), typ="cell-enrolment+jwt")
    assert claims == {
        "tx_hash": b64u(TX_HASH),
        "keys": {
            "approval": public.approval.members(),
            "request": public.request.members(),
            "unlock": public.unlock.members(),
        },
        "kind": "virtual",
        "sealed": b64u(sha256(b"a..b.c.d")),
        "epk": b64u(SEALED.epk),
        "webauthn": None,
        "attestation": None,
    }


@pytest.mark.parametrize("body", [None, b"{}"])
def test_a_request_proof_names_method_address_and_body(keys: OpenKeys, body: bytes | None) -> None:
    message = answers.request_proof(
        key=keys.request,
        method="GET",
        url="https://m.test:8601/transactions?wait=25&version=3",
        body=body,
        now=NOW,
        jti=JTI,
    )
    claims = claims_of(message, key=foreign(keys.public().request), typ="dpop+jwt")
    assert claims == {
        "htm": "GET",
        "htu": "https://m.test:8601/transactions",
        "iat": NOW,
        "jti": str(JTI),
        "body": None if body is None else b64u(sha256(body)),
    }


def test_the_secret_is_sealed_to_the_transaction_under_the_given_ephemeral_key(
    service: OtherSide,
) -> None:
    ask = service.ask("enrol", jti=TX)
    ephemeral, kid = jose.new_key(), sha256(b"approval key")
    sealed = answers.seal_secret(
        service.cell_secret,
        sam=jose.Jwk(**public(service.transaction_keys[TX])),
        ephemeral=ephemeral,
        approval_key=kid,
        tx_hash=sha256(ask.encode()),
    )
    opened = service.opened(sealed.compact, jti=TX, approval_key=kid, ask=ask)
    assert opened == service.cell_secret
    assert sealed.epk == ephemeral_of(sealed.compact) == jose.jwk_of(ephemeral).thumbprint()


def test_challenges_are_hashes_of_what_they_bind(keys: OpenKeys) -> None:
    epk = sha256(b"epk")
    approve = hashlib.sha256(b"cell-approve-v1\0" + TX_HASH + epk).digest()
    assert answers.approval_challenge(tx_hash=TX_HASH, epk=epk) == approve
    public = keys.public()
    three = b"".join(key.thumbprint() for key in (public.approval, public.request, public.unlock))
    enrol = hashlib.sha256(b"cell-enrol-v1\0" + TX_HASH + three + epk).digest()
    assert answers.enrolment_challenge(tx_hash=TX_HASH, keys=public, epk=epk) == enrol


def test_the_phone_is_named_by_12_characters_in_groups_of_four() -> None:
    digest = hashlib.sha256(b"cell-pair-v1\0" + b"enrolment").digest()
    twelve = answers.twelve_characters("enrolment")
    assert twelve.replace("-", "") == base64.b32encode(digest).decode()[:12]
    assert [len(group) for group in twelve.split("-")] == [4, 4, 4]
