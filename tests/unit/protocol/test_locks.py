"""Locks and the outer layer: to what they are bound (docs/phone-protocol.md, 5)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import MalformedMessage
from backend.protocol.locks import (
    check_recovery_lock,
    decrypt,
    device_label,
    encrypt,
    envelope_key,
    envelope_label,
    envelope_plaintext,
    hkdf,
    lock_raw,
    lock_to_device,
    outer_aad,
    outer_key,
    pairing_id,
    password_label,
    recovery_key,
    recovery_label,
    split_envelope_plaintext,
    unlock_raw,
)
from tests.unit.protocol import by_hand, cast
from tests.unit.protocol.cast import APPROVAL, CELL, CELL_SECRET, KS, SIGNER, UNLOCK

SECRET = by_hand.octets("envelope", 16)
KEY = by_hand.octets("a lock's key")


def labels() -> dict[str, bytes]:
    return {
        "envelope": envelope_label(CELL, pairing_id(SECRET)),
        "device": device_label(CELL, cast.tp(APPROVAL)),
        "password to sign": password_label(CELL, SIGNER, "sign"),
        "password to recover": password_label(CELL, SIGNER, "recover"),
        "recovery": recovery_label(CELL),
    }


LABELS = labels()


def test_labels_are_the_protocols() -> None:
    pairing = by_hand.hkdf(SECRET, info=b"cell-pairing-id-v1", length=16)
    expected = {
        "envelope": by_hand.label(CELL.bytes, "envelope", "recover", pairing),
        "device": by_hand.label(CELL.bytes, "device", "sign", cast.tp(APPROVAL)),
        "password to sign": by_hand.label(CELL.bytes, "password", "sign", SIGNER.bytes),
        "password to recover": by_hand.label(CELL.bytes, "password", "recover", SIGNER.bytes),
        "recovery": by_hand.label(CELL.bytes, "recovery", "recover"),
    }
    assert expected == labels()


@given(
    st.binary(max_size=64),
    st.binary(max_size=40),
    st.binary(max_size=20),
    st.integers(min_value=1, max_value=32),
)
def test_hkdf_is_rfc_5869(secret: bytes, info: bytes, salt: bytes, length: int) -> None:
    expected = by_hand.hkdf(secret, info=info, salt=salt, length=length)
    assert hkdf(secret, info=info, salt=salt, length=length) == expected
    assert hkdf(secret, info=info) == by_hand.hkdf(secret, info=info)


def test_derived_keys_are_the_protocols() -> None:
    salt = CELL.bytes
    assert outer_key(CELL_SECRET, CELL) == by_hand.hkdf(
        CELL_SECRET, info=b"cell-outer-v1", salt=salt
    )
    assert envelope_key(SECRET) == by_hand.hkdf(SECRET, info=b"cell-envelope-v1")
    assert recovery_key(SECRET, CELL) == by_hand.hkdf(SECRET, info=b"cell-recovery-v1", salt=salt)


def test_the_outer_layer_is_bound_to_cell_key_algorithm_and_wrapping_key() -> None:
    aad = outer_aad(cell=CELL, spki=cast.SPKI, algorithm="P-256", kw="kw-1")
    expected = b"cell-outer-v1\0" + CELL.bytes + by_hand.sha(cast.SPKI) + b"P-256\0kw-1"
    assert aad == expected


@pytest.mark.parametrize("name", ["ключ", "k" * 65, "\ud800"], ids=ascii)
def test_a_wrapping_key_of_another_name_is_refused(name: str) -> None:
    """T-09: the name may come from a row."""
    with pytest.raises(MalformedMessage):
        outer_aad(cell=CELL, spki=cast.SPKI, algorithm="P-256", kw=name)
    with pytest.raises(MalformedMessage):
        outer_aad(cell=CELL, spki=cast.SPKI, algorithm=name, kw="kw-1")


@pytest.mark.parametrize("made", LABELS)
@pytest.mark.parametrize("tried", LABELS)
def test_a_lock_opens_in_its_own_place_only(made: str, tried: str) -> None:
    lock = lock_raw(CELL_SECRET, key=KEY, label=LABELS[made])
    if made == tried:
        assert unlock_raw(lock, key=KEY, label=LABELS[tried]) == CELL_SECRET
    else:
        with pytest.raises(MalformedMessage):
            unlock_raw(lock, key=KEY, label=LABELS[tried])


def test_a_raw_lock_is_nonce_ciphertext_and_tag() -> None:
    nonce, label = by_hand.octets("nonce", 12), LABELS["recovery"]
    lock = by_hand.b64(by_hand.raw_lock(CELL_SECRET, key=KEY, nonce=nonce, aad=label))
    assert unlock_raw(lock, key=KEY, label=label) == CELL_SECRET
    assert check_recovery_lock(lock) == lock


def test_a_lock_is_bounded() -> None:
    """It would open: nothing but its length is wrong."""
    for size, fits in ((740, True), (741, False)):
        lock = lock_raw(bytes(size), key=KEY, label=b"")
        if fits:
            assert len(lock) == 1024
            assert unlock_raw(lock, key=KEY, label=b"") == bytes(size)
        else:
            with pytest.raises(MalformedMessage, match="too long"):
                unlock_raw(lock, key=KEY, label=b"")


def test_nothing_can_be_sealed_too() -> None:
    assert decrypt(encrypt(b"", key=KEY, aad=b"aad"), key=KEY, aad=b"aad") == b""


def test_no_nonce_comes_twice() -> None:
    assert len({encrypt(b"", key=KEY, aad=b"")[:12] for _ in range(50)}) == 50


def test_another_key_does_not_open() -> None:
    sealed = encrypt(b"text", key=KEY, aad=b"aad")
    assert decrypt(sealed, key=KEY, aad=b"aad") == b"text"
    for wrong in (
        {"unverified": sealed, "key": bytes(32), "aad": b"aad"},
        {"unverified": sealed, "key": KEY, "aad": b""},
        {"unverified": sealed[:-1], "key": KEY, "aad": b"aad"},
        {"unverified": sealed + b"\0", "key": KEY, "aad": b"aad"},
        {"unverified": sealed[:27], "key": KEY, "aad": b"aad"},
        {"unverified": b"", "key": KEY, "aad": b"aad"},
    ):
        with pytest.raises(MalformedMessage):
            decrypt(**wrong)


@pytest.mark.parametrize(
    "lock", ["", "A", "é", "AAAA", "A" * 79, "A" * 81, f"{'A' * 80}=", "A" * 2000]
)
def test_what_has_not_the_size_of_a_lock_is_none(lock: str) -> None:
    with pytest.raises(MalformedMessage):
        check_recovery_lock(lock)
    with pytest.raises(MalformedMessage):
        unlock_raw(lock, key=KEY, label=b"")


def test_a_lock_of_any_content_with_the_right_size_may_be_stored() -> None:
    """Nobody but its owner can open it: a false one costs only recovery."""
    assert check_recovery_lock("A" * 80) == "A" * 80


def test_a_phones_lock_opens_with_its_unlock_key_and_names_its_place() -> None:
    lock = lock_to_device(CELL_SECRET, unlock=cast.public(UNLOCK), cell=CELL, kid=cast.tp(APPROVAL))
    assert by_hand.open_jwe(lock, UNLOCK) == CELL_SECRET
    head = by_hand.unb64(lock.split(".")[0])
    assert by_hand.b64(cast.LOCK_LABEL).encode() in head


def test_the_envelope_names_the_ks_to_believe() -> None:
    opened = envelope_plaintext(CELL_SECRET, cast.public(KS))
    assert opened == CELL_SECRET + cast.tp(KS)
    assert split_envelope_plaintext(opened) == (CELL_SECRET, cast.tp(KS))
    for wrong in (opened[:-1], opened + b"\0", CELL_SECRET, b""):
        with pytest.raises(MalformedMessage):
            split_envelope_plaintext(wrong)
