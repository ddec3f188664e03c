"""Receipts name every signature of a call, and the calls of a boot without a gap."""

import json
from typing import Any

import msgspec
import pytest

from backend.errors import MalformedMessage
from backend.protocol.encoding import Octets, Octets32
from backend.protocol.receipt import ReceiptClaims, SignedItem, sign_receipt, verify_receipt
from tests.unit.protocol import by_hand, cast
from tests.unit.protocol.cast import KA
from tests.unit.protocol.examples import BY_TYP

EXAMPLE = BY_TYP["cell-receipt+jwt"]


def signed(number: int) -> tuple[SignedItem, ...]:
    digests = (by_hand.octets(str(index), 64) for index in range(number))
    return tuple(SignedItem(item=Octets32(one[:32]), hash=Octets(one)) for one in digests)


def claims(items: tuple[SignedItem, ...]) -> ReceiptClaims:
    return ReceiptClaims(
        boot=cast.BOOT,
        number=1,
        iat=cast.NOW,
        tx_hash=Octets32(cast.TX_HASH),
        approval=Octets32(bytes(32)),
        signed=items,
    )


def sign(receipt: ReceiptClaims) -> str:
    return sign_receipt(
        receipt, key=cast.public(KA), sign=lambda message: by_hand.raw_ecdsa(message, KA)
    )


def test_a_receipt_has_room_for_the_largest_batch() -> None:
    """R-082: 10 000 SHA-512 digests, the most that one approval covers."""
    receipt = claims(signed(10_000))
    assert verify_receipt(sign(receipt), expected_ka=cast.public(KA)) == receipt


def test_a_receipt_of_more_is_not_signed() -> None:
    with pytest.raises(MalformedMessage):
        sign(claims(signed(10_001)))


def wrong_item(**changes: object) -> dict[str, Any]:
    return {"signed": [EXAMPLE.good["signed"][0] | changes]}


REFUSED: tuple[dict[str, Any], ...] = (
    {"number": 0},
    {"number": 2**53},
    {"signed": []},
    wrong_item(hash=""),
    wrong_item(hash=by_hand.b64(bytes(20))),
    wrong_item(hash=by_hand.b64(bytes(33))),
)


@pytest.mark.parametrize("changes", REFUSED, ids=range(len(REFUSED)))
def test_what_no_receipt_says_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedMessage):
        EXAMPLE.read(EXAMPLE.compact(**changes))


def test_ks_signs_no_receipts() -> None:
    with pytest.raises(MalformedMessage):
        EXAMPLE.read(by_hand.jws(EXAMPLE.good, cast.KS, typ=EXAMPLE.typ))


def test_a_receipt_names_a_method_only_where_no_phone_approved() -> None:
    """Receipts from before there were codes stay as they are."""
    plain = claims(signed(1))
    by_code = msgspec.structs.replace(plain, method="password+totp")
    assert "method" not in json.loads(by_hand.unb64(sign(plain).split(".")[1]))
    assert json.loads(by_hand.unb64(sign(by_code).split(".")[1]))["method"] == "password+totp"
    assert verify_receipt(sign(by_code), expected_ka=cast.public(KA)) == by_code
    said = by_hand.jws(EXAMPLE.good | {"method": "app"}, KA, typ=EXAMPLE.typ)
    with pytest.raises(MalformedMessage):
        verify_receipt(said, expected_ka=cast.public(KA))
