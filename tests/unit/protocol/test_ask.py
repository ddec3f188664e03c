"""Asks: what no ask combines, and what bounds it (docs/phone-protocol.md, 2)."""

from typing import Any

import pytest

from backend.errors import MalformedMessage
from backend.protocol.ask import read_thumbprints, sign_ask, tx_hash, verify_ask
from tests.unit.protocol import by_hand, cast
from tests.unit.protocol.cast import KS, NOW
from tests.unit.protocol.examples import BY_TYP

ASK = BY_TYP["cell-ask+jwt"]
KEY_THUMBPRINTS = {
    name: by_hand.b64(by_hand.octets(name)) for name in ("approval", "request", "unlock")
}
REQUEST = {"kind": "certificate_request", "documents": {"root": by_hand.b64(bytes(32)), "count": 1}}
NOTHING_TO_SIGN = {"documents": None, "hash_alg": None}


def test_an_ask_is_named_by_the_hash_of_its_bytes() -> None:
    """A new signature over the same claims is another ask: nothing is canonicalised."""
    ask = verify_ask(cast.ASK, expected_ks=cast.public(KS))
    assert ask.tx_hash == tx_hash(cast.ASK) == by_hand.sha(cast.ASK.encode())
    spaced = by_hand.compact_json(cast.ASK_CLAIMS).replace(b",", b", ")
    again = verify_ask(by_hand.jws(spaced, KS, typ=ASK.typ), expected_ks=cast.public(KS))
    assert again.claims == ask.claims
    assert again.tx_hash != ask.tx_hash


def test_an_ask_that_is_signed_here_reads_the_same() -> None:
    claims = cast.ask().claims
    compact = sign_ask(
        claims, key=cast.public(KS), sign=lambda message: by_hand.raw_ecdsa(message, KS)
    )
    assert compact == cast.ASK
    assert verify_ask(compact, expected_ks=cast.public(KS)).claims == claims


ALLOWED: tuple[dict[str, Any], ...] = (
    {"exp": NOW, "use_by": NOW},
    {"exp": NOW + 86_400, "use_by": NOW + 87_000},
    REQUEST,
    NOTHING_TO_SIGN | {"kind": "enrol"},
    NOTHING_TO_SIGN | {"kind": "enrol", "key_thumbprints": KEY_THUMBPRINTS},
    NOTHING_TO_SIGN | {"kind": "amend"},
    NOTHING_TO_SIGN | {"kind": "set_password"},
    {"hash_alg": "SHA-512"},
    {"text": {"lang": "en", "title": "T", "lines": []}},
    {"fields": {"type": "payment", "deep": [[[[[[[[[[[[1]]]]]]]]]]]]}},
)
REFUSED: tuple[dict[str, Any], ...] = (
    {"v": 2},
    {"kind": "none"},
    {"kind": "SIGN"},
    {"exp": NOW - 1},
    {"exp": NOW + 86_401, "use_by": NOW + 86_401},
    {"use_by": NOW + 299},
    {"use_by": NOW + 901},
    {"iat": 2**41, "exp": 2**41, "use_by": 2**41},
    {"epoch": 0},
    {"epoch": 2**31},
    {"documents": None},
    {"hash_alg": None},
    NOTHING_TO_SIGN,
    {"kind": "enrol"},
    {"kind": "amend", "documents": None},
    {"kind": "set_password", "hash_alg": None},
    {"key_thumbprints": KEY_THUMBPRINTS},
    NOTHING_TO_SIGN | {"kind": "amend", "key_thumbprints": KEY_THUMBPRINTS},
    REQUEST | {"documents": {"root": by_hand.b64(bytes(32)), "count": 2}},
    {"documents": {"root": by_hand.b64(bytes(32)), "count": 0}},
    {"documents": {"root": by_hand.b64(bytes(32)), "count": 10_001}},
    {"hash_alg": "SHA-1"},
    {"fields": {}},
    {"fields": {"type": 1}},
    {"fields": {"type": "payment", "deep": [[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]}},
    {"fields": {"type": "payment", "amount": 1.5}},
    {"fields": {"type": "payment"} | {str(number): 1 for number in range(64)}},
    {"rp": {"id": "", "name": "x"}},
    {"rp": {"id": "x", "name": ""}},
    {"rp": {"id": "x", "name": "n" * 201}},
    {"iss": ""},
    {"iss": "x" * 501},
    {"text": {"lang": "de", "title": "T", "lines": []}},
    {"text": {"lang": "en", "title": "", "lines": []}},
    {"text": {"lang": "en", "title": "T", "lines": [""]}},
    {"text": {"lang": "en", "title": "T", "lines": ["l" * 2001]}},
    {"text": {"lang": "en", "title": "T", "lines": ["l"] * 101}},
)


@pytest.mark.parametrize("changes", ALLOWED, ids=range(len(ALLOWED)))
def test_what_an_ask_may_say_is_read(changes: dict[str, Any]) -> None:
    ASK.read(ASK.compact(**changes))


@pytest.mark.parametrize("changes", REFUSED, ids=range(len(REFUSED)))
def test_what_no_ask_says_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedMessage):
        ASK.read(ASK.compact(**changes))


def test_three_thumbprints_are_read_as_a_screen_shows_them() -> None:
    read = read_thumbprints(KEY_THUMBPRINTS)
    for name in KEY_THUMBPRINTS:
        assert getattr(read, name) == by_hand.octets(name)


@pytest.mark.parametrize(
    "changes",
    [
        {"unlock": ""},
        {"unlock": by_hand.b64(bytes(31))},
        {"unlock": by_hand.b64(bytes(32)) + "="},
        {"fourth": by_hand.b64(bytes(32))},
    ],
)
def test_what_are_not_three_thumbprints_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(MalformedMessage):
        read_thumbprints(KEY_THUMBPRINTS | changes)


def test_two_thumbprints_are_refused() -> None:
    with pytest.raises(MalformedMessage):
        read_thumbprints({name: KEY_THUMBPRINTS[name] for name in ("approval", "request")})
