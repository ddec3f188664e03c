"""Attacks on JOSE (T-35): nothing in a message chooses algorithm, key or header.

The corpus bends one refusal, proved good beforehand; the seal's corpus bends one ``cell-secret``.
"""

import hashlib
import hmac
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from backend.errors import MalformedMessage
from backend.protocol.encoding import Octets32
from backend.protocol.jose import (
    PublicJwk,
    make_seal,
    open_seal,
    raw_signature,
    sign_jws,
    unverified_header,
    unverified_seal,
    verify_jws,
)
from backend.protocol.key_history import KeyChangeClaims
from backend.protocol.sealed import open_sealed
from tests.unit.protocol import by_hand, cast
from tests.unit.protocol.cast import BY_TYP, NOW, REQUEST, TRANSACTION

REFUSAL = BY_TYP["cell-refusal+jwt"]
GOOD = REFUSAL.compact()
HEAD = by_hand.header("cell-refusal+jwt", REQUEST)
SPKI = REQUEST.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
PEM = REQUEST.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

HEADERS: dict[str, dict[str, Any] | bytes] = {
    "none": HEAD | {"alg": "none"},
    "no alg": {"typ": HEAD["typ"], "kid": HEAD["kid"]},
    "no typ": {"alg": "ES256", "kid": HEAD["kid"]},
    "no kid": {"alg": "ES256", "typ": HEAD["typ"]},
    "another case": HEAD | {"alg": "es256"},
    "ES384": HEAD | {"alg": "ES384"},
    "ES256K": HEAD | {"alg": "ES256K"},
    "PS256": HEAD | {"alg": "PS256"},
    "alg as a list": HEAD | {"alg": ["ES256"]},
    "jwk": HEAD | {"jwk": by_hand.jwk(REQUEST)},
    "jku": HEAD | {"jku": "https://evil.example/keys"},
    "x5u": HEAD | {"x5u": "https://evil.example/cert"},
    "x5c": HEAD | {"x5c": ["AA=="]},
    "crit": HEAD | {"crit": ["exp"], "exp": NOW},
    "empty crit": HEAD | {"crit": []},
    "zip": HEAD | {"zip": "DEF"},
    "b64": HEAD | {"b64": False, "crit": ["b64"]},
    "cty": HEAD | {"cty": "json"},
    "typ null": HEAD | {"typ": None},
    "typ with media type": HEAD | {"typ": "application/cell-refusal+jwt"},
    "typ in capitals": HEAD | {"typ": "CELL-REFUSAL+JWT"},
    "typ JWT": HEAD | {"typ": "JWT"},
    "long typ": HEAD | {"typ": "x" * 65},
    "kid of another": HEAD | {"kid": cast.b64_tp(cast.KS)},
    "kid as text": HEAD | {"kid": "request"},
    "kid with padding": HEAD | {"kid": f"{HEAD['kid']}="},
    "alg twice": b'{"alg":"none",' + by_hand.compact_json(HEAD)[1:],
    "alg twice, good first": by_hand.compact_json(HEAD)[:-1] + b',"alg":"none"}',
    "escaped twice": by_hand.compact_json(HEAD)[:-1] + b',"\\u0061lg":"ES256"}',
    "no object": b"[]",
    "no JSON": b"\xff",
    "empty": b"",
    "deep": b'{"alg":' + b"[" * 20_000,
    "huge number": b'{"alg":' + b"9" * 20_000 + b"}",
    "lone surrogate": by_hand.compact_json(HEAD)[:-1] + b',"x":"\\ud800"}',
    "NUL": HEAD | {"typ": "cell-refusal+jwt\0"},
}


def refuse(compact: str) -> None:
    with pytest.raises(MalformedMessage):
        REFUSAL.read(compact)


@pytest.mark.parametrize("name", HEADERS)
def test_another_header_is_refused(name: str) -> None:
    refuse(by_hand.jws(REFUSAL.good, REQUEST, head=HEADERS[name]))


@pytest.mark.parametrize("secret", [SPKI, PEM, by_hand.compact_json(by_hand.jwk(REQUEST)), b""])
def test_the_public_key_is_no_hmac_key(secret: bytes) -> None:
    for alg in ("HS256", "ES256"):
        head = by_hand.b64(by_hand.compact_json(HEAD | {"alg": alg}))
        signed = f"{head}.{by_hand.b64(by_hand.compact_json(REFUSAL.good))}"
        tag = hmac.digest(secret, signed.encode(), hashlib.sha256)
        refuse(f"{signed}.{by_hand.b64(tag)}")


def test_a_signature_has_one_form() -> None:
    REFUSAL.read(GOOD)
    signed, _, signature = GOOD.rpartition(".")
    raw = by_hand.unb64(signature)
    der = REQUEST.sign(signed.encode(), by_hand.ES256)
    order = by_hand.ORDER.to_bytes(32)
    for wrong in (
        b"",
        bytes(64),
        raw[:63],
        raw + b"\0",
        b"\0" + raw,
        der,
        raw[32:] + raw[:32],
        raw[:32] + bytes(32),
        bytes(32) + raw[32:],
        order + raw[32:],
        raw[:32] + order,
        b"\xff" * 64,
        bytes([raw[0] ^ 1]) + raw[1:],
    ):
        refuse(f"{signed}.{by_hand.b64(wrong)}")
    for text in (f"{signature}=", f"{signature}==", f"{signature}\n", f" {signature}"):
        refuse(f"{signed}.{text}")


def test_stray_bits_make_no_second_text_of_one_message() -> None:
    """Same bytes, same result: so the same signature in another text is refused."""
    head, payload, signature = GOOD.split(".")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = letters.index(signature[-1])
    for stray in range(1, 16):
        refuse(f"{head}.{payload}.{signature[:-1]}{letters[last ^ stray]}")


NOT_COMPACT = [
    "",
    ".",
    "..",
    "." * 60_000,
    GOOD + ".",
    "." + GOOD,
    GOOD + "\0",
    GOOD + "é",
    GOOD.replace(".", "\N{ONE DOT LEADER}"),
    "\ud800" + GOOD,
    GOOD.rpartition(".")[0],
    GOOD.rpartition(".")[0] + ".",
    "{" + GOOD + "}",
    '{"payload":"","signatures":[]}',
]


@pytest.mark.parametrize("compact", NOT_COMPACT, ids=range(len(NOT_COMPACT)))
def test_what_is_no_compact_jws_is_refused(compact: str) -> None:
    refuse(compact)


def test_json_serialisation_and_unprotected_headers_are_refused() -> None:
    head, payload, signature = GOOD.split(".")
    flat = {"protected": head, "payload": payload, "signature": signature, "header": {}}
    refuse(by_hand.compact_json(flat).decode())


def test_each_bit_of_header_and_claims_is_signed() -> None:
    head, payload, signature = GOOD.split(".")
    changed = by_hand.b64(by_hand.compact_json(REFUSAL.good | {"decision": "reject"}))
    refuse(f"{head}.{changed}.{signature}")
    spaced = by_hand.b64(by_hand.compact_json(HEAD).replace(b",", b", "))
    refuse(f"{spaced}.{payload}.{signature}")


# --- keys -----------------------------------------------------------------------------------------

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
    """In a message, and as the ephemeral key of a seal."""
    example = BY_TYP["cell-ask+jwt"]
    with pytest.raises(MalformedMessage):
        example.read(example.compact(sam=bent(name)))
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


# --- signing --------------------------------------------------------------------------------------


def change() -> KeyChangeClaims:
    return KeyChangeClaims(iat=NOW, old=Octets32(cast.tp(cast.KS)), new=cast.public(cast.NEXT_KS))


def test_what_is_signed_here_is_read_here() -> None:
    compact = sign_jws(
        change(),
        typ="cell-keys+jwt",
        key=cast.public(cast.KS),
        sign=lambda message: by_hand.raw_ecdsa(message, cast.KS),
    )
    assert compact == BY_TYP["cell-keys+jwt"].compact()
    header = unverified_header(compact, expected_typ="cell-keys+jwt")
    assert header.kid == cast.tp(cast.KS)
    read = verify_jws(
        compact, KeyChangeClaims, expected_typ="cell-keys+jwt", expected_key=cast.public(cast.KS)
    )
    assert read == change()


def test_nothing_is_signed_that_no_reader_would_accept() -> None:
    asked: list[bytes] = []
    claims = KeyChangeClaims(iat=-1, old=change().old, new=change().new)
    with pytest.raises(MalformedMessage):
        sign_jws(claims, typ="cell-keys+jwt", key=cast.public(cast.KS), sign=asked.append)  # type: ignore[arg-type]  # must not be called
    assert not asked


def test_a_signer_that_gives_der_is_noticed() -> None:
    with pytest.raises(MalformedMessage):
        sign_jws(
            change(),
            typ="cell-keys+jwt",
            key=cast.public(cast.KS),
            sign=lambda message: cast.KS.sign(message, by_hand.ES256),
        )


def test_an_error_says_which_type_came_without_repeating_it_raw() -> None:
    compact = by_hand.jws(REFUSAL.good, REQUEST, head=HEAD | {"typ": "é\n\x1b[31m"})
    with pytest.raises(MalformedMessage) as refused:
        REFUSAL.read(compact)
    assert str(refused.value).isprintable()


# --- seals ----------------------------------------------------------------------------------------

SEAL_HEAD = by_hand.seal_header(
    "cell-secret", cast.EPHEMERAL, apu=cast.tp(cast.APPROVAL), apv=cast.TX_HASH
)
SEAL_HEADERS: dict[str, dict[str, Any] | bytes] = {
    "another key agreement": SEAL_HEAD | {"alg": "ECDH-ES+A256KW"},
    "dir": SEAL_HEAD | {"alg": "dir"},
    "RSA1_5": SEAL_HEAD | {"alg": "RSA1_5"},
    "PBES2": SEAL_HEAD | {"alg": "PBES2-HS256+A128KW", "p2c": 10**9, "p2s": "AA"},
    "another encryption": SEAL_HEAD | {"enc": "A128GCM"},
    "CBC": SEAL_HEAD | {"enc": "A128CBC-HS256"},
    "zip": SEAL_HEAD | {"zip": "DEF"},
    "crit": SEAL_HEAD | {"crit": ["zip"]},
    "jwk": SEAL_HEAD | {"jwk": by_hand.jwk(cast.KS)},
    "kid": SEAL_HEAD | {"kid": "1"},
    "cty": SEAL_HEAD | {"cty": "JWT"},
    "another typ": SEAL_HEAD | {"typ": "cell-lock"},
    "no typ": {name: value for name, value in SEAL_HEAD.items() if name != "typ"},
    "no epk": {name: value for name, value in SEAL_HEAD.items() if name != "epk"},
    "no apu": {name: value for name, value in SEAL_HEAD.items() if name != "apu"},
    "no apv": {name: value for name, value in SEAL_HEAD.items() if name != "apv"},
    "apu null": SEAL_HEAD | {"apu": None},
    "apv not canonical": SEAL_HEAD | {"apv": "AB"},
    "epk twice": b'{"epk":{},' + by_hand.compact_json(SEAL_HEAD)[1:],
    "no object": b"[]",
    "no JSON": b"{",
}


def refuse_seal(sealed: str) -> None:
    with pytest.raises(MalformedMessage):
        open_sealed(sealed, TRANSACTION)


@pytest.mark.parametrize("name", SEAL_HEADERS)
def test_another_header_of_a_seal_is_refused(name: str) -> None:
    head = SEAL_HEADERS[name]
    text = by_hand.b64(head if isinstance(head, bytes) else by_hand.compact_json(head))
    refuse_seal(".".join([text, *cast.SEALED.split(".")[1:]]))


def test_a_seal_of_other_parts_is_refused() -> None:
    assert open_sealed(cast.SEALED, TRANSACTION) == cast.CELL_SECRET
    head, none, nonce, text, tag = cast.SEALED.split(".")
    for parts in (
        (head, "AA", nonce, text, tag),
        (head, none, nonce[:-4], text, tag),
        (head, none, nonce + "AAAA", text, tag),
        (head, none, "", text, tag),
        (head, none, nonce, text, by_hand.b64(by_hand.unb64(tag)[:12])),
        (head, none, nonce, text, by_hand.b64(by_hand.unb64(tag) + b"\0")),
        (head, none, nonce, text, ""),
        (head, none, nonce, "", tag),
        (head, none, nonce, text + "AAAA", tag),
        (head, none, nonce, f"{text}=", tag),
        (head, none, nonce, text, f"{tag}\n"),
        (head, none, text, nonce, tag),
        (head, none, nonce, text),
        (head, none, nonce, text, tag, ""),
        ("", "", "", "", ""),
    ):
        refuse_seal(".".join(parts))
    refuse_seal(cast.SEALED + "é")
    refuse_seal("A" * 70_000)


def test_each_part_of_a_seal_is_authenticated() -> None:
    parts = cast.SEALED.split(".")
    for place in (2, 3, 4):
        value = bytearray(by_hand.unb64(parts[place]))
        value[0] ^= 1
        refuse_seal(".".join([*parts[:place], by_hand.b64(bytes(value)), *parts[place + 1 :]]))
    other = by_hand.compact_json(SEAL_HEAD | {"apv": by_hand.b64(bytes(32))})
    refuse_seal(".".join([by_hand.b64(other), *parts[1:]]))


def test_a_seal_opens_only_with_its_key() -> None:
    with pytest.raises(MalformedMessage):
        open_seal(cast.SEALED, cast.KS)


def test_what_is_sealed_here_is_opened_by_hand_and_never_twice_the_same() -> None:
    first, second = (
        make_seal(b"text", typ="cell-lock", recipient=cast.public(cast.UNLOCK), apv=b"label")
        for _ in range(2)
    )
    assert first != second
    assert by_hand.open_jwe(first, cast.UNLOCK) == b"text"
    seal = unverified_seal(first, expected_typ="cell-lock", with_sender=False)
    assert (seal.apu, seal.apv) == (None, b"label")
    with pytest.raises(MalformedMessage):
        unverified_seal(first, expected_typ="cell-lock", with_sender=True)
    assert open_seal(first, cast.UNLOCK) == b"text"
