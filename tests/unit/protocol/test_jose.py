"""Attacks on JOSE (T-35): nothing in a message chooses algorithm, key or header.

The corpus bends one refusal, proved good beforehand.
"""

import hashlib
import hmac
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from backend.errors import MalformedMessage
from backend.protocol.encoding import Octets32
from backend.protocol.jose import (
    sign_jws,
    unverified_header,
    verify_jws,
)
from backend.protocol.key_history import KeyChangeClaims
from tests.unit.protocol import by_hand, cast
from tests.unit.protocol.cast import NOW, REQUEST
from tests.unit.protocol.examples import BY_TYP

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
    "a part of typ": HEAD | {"typ": "cell-refusal"},
    "typ empty": HEAD | {"typ": ""},
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
