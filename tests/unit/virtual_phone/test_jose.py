"""JWS and JWE, with joserfc as the judge of both directions (section 1)."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from joserfc import jwe
from joserfc.jwk import ECKey

from backend.virtual_phone import jose
from backend.virtual_phone.errors import MessageRefused, StateUnusable
from tests.unit.virtual_phone.other_side import (
    JWE_ALGORITHMS,
    b64u,
    claims_of,
    public,
    signed,
    thumbprint,
    unb64u,
)

TYP = "cell-ask+jwt"


def foreign(key: ec.EllipticCurvePrivateKey) -> ECKey:
    return ECKey.import_key(jose.key_bytes(key))


def ours(key: ECKey) -> jose.Jwk:
    return jose.Jwk(**public(key))


def altered(message: str, part: int, **members: object) -> str:
    parts = message.split(".")
    header = json.loads(unb64u(parts[part])) | members
    parts[part] = b64u(json.dumps({k: v for k, v in header.items() if v is not None}).encode())
    return ".".join(parts)


def test_thumbprints_are_those_of_rfc_7638() -> None:
    key = ECKey.generate_key("P-256")
    assert ours(key).thumbprint() == thumbprint(key)


def test_joserfc_verifies_what_the_phone_signs() -> None:
    key = jose.new_key()
    message = jose.sign({"text": "Договор"}, typ=TYP, key=key)
    assert claims_of(message, key=foreign(key), typ=TYP) == {"text": "Договор"}


def test_the_phone_verifies_what_joserfc_signs() -> None:
    key = ECKey.generate_key("P-256")
    message = signed(key, typ=TYP, claims={"a": 1})
    assert jose.verify(message, typ=TYP, key=ours(key)) == b'{"a": 1}'


@pytest.mark.parametrize("member", ["zip", "crit", "jwk", "jku", "x5u", "x5c", "cty"])
def test_a_header_with_any_further_member_is_refused(member: str) -> None:
    key = ECKey.generate_key("P-256")
    message = altered(signed(key, typ=TYP, claims={}), 0, **{member: "x"})
    with pytest.raises(MessageRefused, match="unknown field"):
        jose.verify(message, typ=TYP, key=ours(key))


@pytest.mark.parametrize(
    "header", [{"alg": "none"}, {"alg": "HS256"}, {"typ": None}, {"kid": None}]
)
def test_a_header_with_another_algorithm_or_a_missing_member_is_refused(
    header: dict[str, str | None],
) -> None:
    key = ECKey.generate_key("P-256")
    message = altered(signed(key, typ=TYP, claims={}), 0, **header)
    with pytest.raises(MessageRefused):
        jose.verify(message, typ=TYP, key=ours(key))


def test_a_message_of_another_type_is_refused() -> None:
    key = ECKey.generate_key("P-256")
    message = signed(key, typ="cell-record+jwt", claims={})
    with pytest.raises(MessageRefused, match="of type"):
        jose.verify(message, typ=TYP, key=ours(key))


def test_a_message_by_another_key_is_refused_whatever_kid_it_names() -> None:
    key, other = ECKey.generate_key("P-256"), ECKey.generate_key("P-256")
    with pytest.raises(MessageRefused, match="another key"):
        jose.verify(signed(other, typ=TYP, claims={}), typ=TYP, key=ours(key))
    false = signed(other, typ=TYP, claims={}, kid=key.thumbprint())
    with pytest.raises(MessageRefused, match="signature"):
        jose.verify(false, typ=TYP, key=ours(key))


def test_a_message_with_another_payload_is_refused() -> None:
    key = ECKey.generate_key("P-256")
    message = altered(signed(key, typ=TYP, claims={"a": 1}), 1, a=2)
    with pytest.raises(MessageRefused, match="signature"):
        jose.verify(message, typ=TYP, key=ours(key))


@pytest.mark.parametrize("message", ["", "a.b", "a.b.c.d", "." * 70_000, "a" * 70_000])
def test_a_message_of_another_shape_or_too_long_is_refused(message: str) -> None:
    with pytest.raises(MessageRefused):
        jose.verify(message, typ=TYP, key=ours(ECKey.generate_key("P-256")))


def test_a_signature_that_is_not_64_bytes_is_refused() -> None:
    key = ECKey.generate_key("P-256")
    message = signed(key, typ=TYP, claims={})
    short = message.rpartition(".")[0] + "." + b64u(bytes(63))
    with pytest.raises(MessageRefused):
        jose.verify(short, typ=TYP, key=ours(key))


def test_the_signer_of_a_message_is_named_before_it_is_verified() -> None:
    key = ECKey.generate_key("P-256")
    assert jose.signer_of(signed(key, typ=TYP, claims={})) == key.thumbprint()


def test_joserfc_opens_what_the_phone_seals() -> None:
    recipient = ECKey.generate_key("P-256")
    ephemeral = jose.new_key()
    sealed = jose.seal(
        bytes(32),
        typ="cell-secret",
        recipient=ours(recipient),
        ephemeral=ephemeral,
        apu=b"u" * 32,
        apv=b"v" * 32,
    )
    opened = jwe.decrypt_compact(sealed, recipient, JWE_ALGORITHMS)
    assert opened.plaintext == bytes(32)
    assert opened.headers()["epk"] == jose.jwk_of(ephemeral).members()


@pytest.mark.parametrize("apu", [None, b"u" * 32])
def test_the_phone_opens_what_joserfc_seals(apu: bytes | None) -> None:
    key = jose.new_key()
    header = {"alg": "ECDH-ES", "enc": "A256GCM", "typ": "cell-lock", "apv": b64u(b"v")}
    if apu is not None:
        header["apu"] = b64u(apu)
    sealed = jwe.encrypt_compact(header, b"secret", foreign(key), JWE_ALGORITHMS)
    assert jose.unseal(sealed, typ="cell-lock", key=key, apu=apu, apv=b"v") == b"secret"


@pytest.mark.parametrize(
    "context",
    [
        {"typ": "cell-secret"},
        {"apv": b"w"},
        {"apu": b""},
        {"apu": b"u"},
    ],
)
def test_a_sealed_secret_opens_in_its_own_context_alone(context: dict[str, Any]) -> None:
    key = jose.new_key()
    expected: dict[str, Any] = {"typ": "cell-lock", "apu": None, "apv": b"v"}
    sealed = jose.seal(b"secret", recipient=jose.jwk_of(key), ephemeral=jose.new_key(), **expected)
    with pytest.raises(MessageRefused, match="belongs here"):
        jose.unseal(sealed, key=key, **(expected | context))


def test_a_sealed_secret_does_not_open_by_another_key_or_changed() -> None:
    key = jose.new_key()
    sealed = jose.seal(
        b"secret",
        typ="cell-lock",
        recipient=jose.jwk_of(key),
        ephemeral=jose.new_key(),
        apu=None,
        apv=b"v",
    )
    with pytest.raises(MessageRefused, match="does not open"):
        jose.unseal(sealed, typ="cell-lock", key=jose.new_key(), apu=None, apv=b"v")
    head, tag = sealed.rsplit(".", 1)
    broken = bytes([unb64u(tag)[0] ^ 1]) + unb64u(tag)[1:]
    with pytest.raises(MessageRefused, match="does not open"):
        jose.unseal(f"{head}.{b64u(broken)}", typ="cell-lock", key=key, apu=None, apv=b"v")


@pytest.mark.parametrize("header", [{"zip": "DEF"}, {"alg": "dir"}, {"enc": "A128GCM"}])
def test_a_sealed_secret_with_another_header_is_refused(header: dict[str, str]) -> None:
    key = jose.new_key()
    sealed = jose.seal(
        b"secret",
        typ="cell-lock",
        recipient=jose.jwk_of(key),
        ephemeral=jose.new_key(),
        apu=None,
        apv=b"v",
    )
    with pytest.raises(MessageRefused):
        jose.unseal(altered(sealed, 0, **header), typ="cell-lock", key=key, apu=None, apv=b"v")


def test_a_point_that_is_not_on_the_curve_is_refused() -> None:
    with pytest.raises(MessageRefused, match="no point"):
        jose.Jwk(x=b64u(bytes(32)), y=b64u(bytes(32))).key()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no key",
        ed25519.Ed25519PrivateKey.generate().private_bytes(
            Encoding.DER, PrivateFormat.PKCS8, NoEncryption()
        ),
        jose.key_bytes(ec.generate_private_key(ec.SECP384R1())),
    ],
    ids=["empty", "no key", "Ed25519", "P-384"],
)
def test_a_kept_key_of_another_kind_is_said_to_be_unusable(data: bytes) -> None:
    with pytest.raises(StateUnusable):
        jose.key_from(data)
