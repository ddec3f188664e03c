"""The seal is the one that was signed for, from that phone, for that ask (door, rule 6)."""

import pytest

from backend.errors import MalformedMessage
from backend.protocol.jose import unverified_seal
from backend.protocol.sealed import TYP, check_sealed, open_sealed, seal_secret, sealed_hash
from tests.unit.protocol import by_hand, cast
from tests.unit.protocol.cast import APPROVAL, EPHEMERAL, SEALED, TRANSACTION, TX_HASH

RIGHT = {
    "expected_hash": by_hand.sha(SEALED.encode()),
    "expected_epk": cast.tp(EPHEMERAL),
    "expected_sender": cast.tp(APPROVAL),
    "expected_tx_hash": TX_HASH,
}


def test_the_seal_that_was_signed_for_gives_the_secret() -> None:
    assert sealed_hash(SEALED) == RIGHT["expected_hash"]
    seal = check_sealed(SEALED, **RIGHT)
    assert seal.epk == cast.public(EPHEMERAL)
    assert open_sealed(SEALED, TRANSACTION) == cast.CELL_SECRET


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("value", [bytes(32), b"", cast.tp(cast.KS)], ids=["zeros", "empty", "KS"])
def test_any_other_is_refused(name: str, value: bytes) -> None:
    with pytest.raises(MalformedMessage):
        check_sealed(SEALED, **RIGHT | {name: value})


def test_a_seal_moved_to_another_ask_is_refused() -> None:
    moved = {**RIGHT, "expected_tx_hash": cast.ENROL_TX_HASH}
    with pytest.raises(MalformedMessage):
        check_sealed(SEALED, **moved)


def test_a_lock_is_no_seal() -> None:
    """T-34: the phone's lock holds the same secret; nobody may hand it in as a seal."""
    with pytest.raises(MalformedMessage):
        check_sealed(cast.DEVICE_LOCK, **RIGHT)
    with pytest.raises(MalformedMessage):
        open_sealed(cast.DEVICE_LOCK, cast.UNLOCK)


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_seal_holds_32_bytes(length: int) -> None:
    head = by_hand.seal_header("cell-secret", EPHEMERAL, apu=cast.tp(APPROVAL), apv=TX_HASH)
    sealed = by_hand.jwe(
        bytes(length),
        recipient=TRANSACTION.public_key(),
        ephemeral=EPHEMERAL,
        nonce=bytes(12),
        head=head,
    )
    with pytest.raises(MalformedMessage):
        open_sealed(sealed, TRANSACTION)


def test_a_hash_is_taken_of_ascii_alone() -> None:
    with pytest.raises(MalformedMessage):
        sealed_hash("é")


def test_what_the_sam_seals_is_read_like_a_phones() -> None:
    """An approval by code: ``apu`` is KS's thumbprint."""
    sealed = seal_secret(
        cast.CELL_SECRET,
        sam=cast.public(TRANSACTION),
        sender=cast.tp(cast.KS),
        tx_hash=TX_HASH,
    )
    seal = unverified_seal(sealed, expected_typ=TYP, with_sender=True)
    right = {
        "expected_hash": sealed_hash(sealed),
        "expected_epk": seal.epk.thumbprint(),
        "expected_sender": cast.tp(cast.KS),
        "expected_tx_hash": TX_HASH,
    }
    check_sealed(sealed, **right)
    assert open_sealed(sealed, TRANSACTION) == cast.CELL_SECRET
    with pytest.raises(MalformedMessage):
        check_sealed(sealed, **right | {"expected_sender": cast.tp(APPROVAL)})
