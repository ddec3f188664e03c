"""Attacks on a seal (T-35): the corpus bends one good ``cell-secret``."""

from typing import Any

import pytest

from backend.errors import MalformedMessage
from backend.protocol.jose import (
    make_seal,
    open_seal,
    unverified_seal,
)
from backend.protocol.sealed import open_sealed
from tests.unit.protocol import by_hand, cast
from tests.unit.protocol.cast import TRANSACTION

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


def test_lengths_are_checked_also_by_those_who_cannot_open_the_seal() -> None:
    head, none, nonce, text, tag = cast.SEALED.split(".")
    for parts in (
        (head, none, nonce[:-4], text, tag),
        (head, none, nonce + "AAAA", text, tag),
        (head, none, nonce, text, by_hand.b64(by_hand.unb64(tag)[:12])),
        (head, none, nonce, text, ""),
        (head, none, nonce, f"{text}=", tag),
    ):
        with pytest.raises(MalformedMessage):
            unverified_seal(".".join(parts), expected_typ="cell-secret", with_sender=True)


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


def test_a_seal_is_bounded() -> None:
    """T-39. It would open: nothing but its length is wrong."""
    recipient = cast.public(cast.UNLOCK)
    for size, fits in ((40_000, True), (50_000, False)):
        sealed = make_seal(bytes(size), typ="cell-lock", recipient=recipient, apv=b"label")
        if fits:
            unverified_seal(sealed, expected_typ="cell-lock", with_sender=False)
        else:
            with pytest.raises(MalformedMessage, match="longer than"):
                unverified_seal(sealed, expected_typ="cell-lock", with_sender=False)


def test_a_seal_of_nothing_opens_to_nothing() -> None:
    sealed = make_seal(b"", typ="cell-lock", recipient=cast.public(cast.UNLOCK), apv=b"label")
    assert open_seal(sealed, cast.UNLOCK) == b""
