"""Keys have one form: a point of P-256, its coordinates reduced, four members (RFC 7518, 6.2)."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from backend.errors import MalformedMessage
from backend.protocol.encoding import Octets32
from backend.protocol.jose import (
    PublicJwk,
    raw_signature,
    read_jwk,
)
from backend.protocol.sealed import open_sealed
from tests.unit.protocol import by_hand, cast
from tests.unit.protocol.cast import REQUEST, TRANSACTION
from tests.unit.protocol.examples import BY_TYP

SPKI = REQUEST.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
X, Y = by_hand.jwk(REQUEST)["x"], by_hand.jwk(REQUEST)["y"]
ZERO = by_hand.b64(bytes(32))
PRIME = by_hand.b64(by_hand.PRIME.to_bytes(32))
SQUARE = pow(
    0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
    (by_hand.PRIME + 1) // 4,
    by_hand.PRIME,
)
"""A root of the curve's b: the point (0, root) is on the curve."""
KEYS: dict[str, dict[str, Any]] = {
    "off the curve": {"x": X, "y": X},
    "swapped": {"x": Y, "y": X},
    "all zero": {"x": ZERO, "y": ZERO},
    "the prime": {"x": PRIME, "y": PRIME},
    "a coordinate not reduced": {"x": PRIME, "y": by_hand.b64(SQUARE.to_bytes(32))},
    "all ones": {"x": by_hand.b64(b"\xff" * 32), "y": by_hand.b64(b"\xff" * 32)},
    "31 bytes": {"x": by_hand.b64(by_hand.unb64(X)[1:]), "y": Y},
    "33 bytes": {"x": by_hand.b64(b"\0" + by_hand.unb64(X)), "y": Y},
    "empty": {"x": "", "y": ""},
    "no y": {"x": X},
    "numbers": {"x": 1, "y": 2},
    "another curve": {"crv": "P-384", "x": X, "y": Y},
    "secp256k1": {"crv": "secp256k1", "x": X, "y": Y},
    "another type": {"kty": "OKP", "x": X, "y": Y},
    "RSA": {"kty": "RSA", "n": X, "e": "AQAB"},
    "symmetric": {"kty": "oct", "k": X},
    "with the private half": {"x": X, "y": Y, "d": by_hand.b64(by_hand.scalar(REQUEST))},
    "with a kid": {"x": X, "y": Y, "kid": "1"},
    "with a use": {"x": X, "y": Y, "use": "sig"},
}


def bent(name: str) -> dict[str, Any]:
    return {"kty": "EC", "crv": "P-256"} | KEYS[name]


@pytest.mark.parametrize("name", KEYS)
def test_a_key_that_is_no_point_in_its_one_form_is_refused(name: str) -> None:
    """In a message, by itself, and as the ephemeral key of a seal."""
    example = BY_TYP["cell-ask+jwt"]
    with pytest.raises(MalformedMessage):
        example.read(example.compact(sam=bent(name)))
    with pytest.raises(MalformedMessage):
        read_jwk(bent(name))
    head = by_hand.seal_header("cell-secret", cast.EPHEMERAL, apu=b"", apv=b"") | {
        "epk": bent(name)
    }
    sealed = by_hand.jwe(
        bytes(32),
        recipient=TRANSACTION.public_key(),
        ephemeral=cast.EPHEMERAL,
        nonce=bytes(12),
        head=head,
    )
    with pytest.raises(MalformedMessage):
        open_sealed(sealed, TRANSACTION)


def test_a_key_is_read_from_its_members() -> None:
    assert read_jwk(by_hand.jwk(REQUEST)) == cast.public(REQUEST)


def test_a_coordinate_that_is_not_reduced_would_be_a_second_name_of_one_key() -> None:
    """The library below takes it, so three different thumbprints could be two keys."""
    y = SQUARE.to_bytes(32)
    key = PublicJwk(x=Octets32(bytes(32)), y=Octets32(y))
    same = ec.EllipticCurvePublicNumbers(by_hand.PRIME, SQUARE, ec.SECP256R1()).public_key()
    assert same.public_numbers() == key.public_key().public_numbers()
    with pytest.raises(MalformedMessage):
        PublicJwk(x=Octets32(by_hand.PRIME.to_bytes(32)), y=Octets32(y))


def test_thumbprints_are_those_of_rfc_7638() -> None:
    for key in (cast.KS, cast.REQUEST, cast.PASSKEY.key):
        assert cast.public(key).thumbprint() == by_hand.thumbprint(by_hand.jwk(key))


def test_a_key_is_read_from_its_der() -> None:
    assert PublicJwk.of_spki(SPKI) == cast.public(REQUEST)
    other_curve = ec.derive_private_key(7, ec.SECP384R1()).public_key()
    koblitz = ec.derive_private_key(7, ec.SECP256K1()).public_key()
    modulus = rsa.RSAPublicNumbers(65537, (1 << 2047) + 1).public_key()
    for key in (other_curve, koblitz, modulus):
        der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        with pytest.raises(MalformedMessage):
            PublicJwk.of_spki(der)
    for der in (
        b"",
        SPKI[:-1],
        SPKI + b"\0",
        b"\x30\x80",
        SPKI.replace(b"\x03\x01\x07", b"\x03\x01\x09"),
    ):
        with pytest.raises(MalformedMessage):
            PublicJwk.of_spki(der)
    for key in (other_curve, koblitz):
        with pytest.raises(MalformedMessage):
            PublicJwk.of(key)


def test_a_der_signature_becomes_r_and_s() -> None:
    for number in range(20):
        message = str(number).encode()
        der = REQUEST.sign(message, by_hand.ES256)
        raw = raw_signature(der)
        assert raw == by_hand.raw_ecdsa(message, REQUEST)
        assert decode_dss_signature(der) == (
            int.from_bytes(raw[:32]),
            int.from_bytes(raw[32:]),
        )
