"""Locks and derivations of section 5, against values made by other means."""

import hashlib
import hmac
import os

import pytest

from backend.virtual_phone import jose, locks
from backend.virtual_phone.errors import MessageRefused
from tests.unit.virtual_phone.other_side import OtherSide, b64u, thumbprint, unb64u

SECRET = bytes(range(16))


def by_hand(secret: bytes, *, info: bytes, salt: bytes) -> bytes:
    """First block of RFC 5869."""
    pseudo_random = hmac.digest(salt, secret, hashlib.sha256)
    return hmac.digest(pseudo_random, info + b"\1", hashlib.sha256)


@pytest.mark.parametrize("salt", [None, b"salt" * 4])
def test_keys_are_derived_as_rfc_5869_says(salt: bytes | None) -> None:
    expected = by_hand(SECRET, info=b"cell-recovery-v1", salt=salt or bytes(32))
    assert locks.hkdf(SECRET, info="cell-recovery-v1", salt=salt) == expected


def test_a_label_is_put_together_as_section_5_says() -> None:
    made = locks.label(cell=b"C" * 16, kind="device", purpose="sign", ident=b"K" * 32)
    assert made == b"cell-lock-v1\0" + b"C" * 16 + b"device\0sign\0" + b"K" * 32


def test_an_envelope_gives_the_secret_and_the_pinned_key(service: OtherSide) -> None:
    opened = locks.open_envelope(
        service.envelope_lock(SECRET), secret=SECRET, cell=service.cell.bytes
    )
    assert opened == (service.cell_secret, thumbprint(service.ks))


def test_an_envelope_of_another_secret_or_cell_does_not_open(service: OtherSide) -> None:
    lock = service.envelope_lock(SECRET)
    with pytest.raises(MessageRefused):
        locks.open_envelope(lock, secret=bytes(16), cell=service.cell.bytes)
    with pytest.raises(MessageRefused):
        locks.open_envelope(lock, secret=SECRET, cell=bytes(16))


def test_a_device_lock_opens_for_its_phone_and_cell_alone(service: OtherSide) -> None:
    unlock, kid = jose.new_key(), os.urandom(32)
    lock = service.device_lock(unlock=dict(jose.jwk_of(unlock).members()), kid=kid)
    cell = service.cell.bytes
    assert locks.open_device_lock(lock, cell=cell, kid=kid, unlock=unlock) == service.cell_secret
    for wrong_cell, wrong_kid in ((bytes(16), kid), (cell, bytes(32))):
        with pytest.raises(MessageRefused):
            locks.open_device_lock(lock, cell=wrong_cell, kid=wrong_kid, unlock=unlock)


def test_a_device_lock_that_holds_something_else_is_refused(service: OtherSide) -> None:
    unlock, kid = jose.new_key(), os.urandom(32)
    service.cell_secret = bytes(31)
    lock = service.device_lock(unlock=dict(jose.jwk_of(unlock).members()), kid=kid)
    with pytest.raises(MessageRefused, match="cell's secret"):
        locks.open_device_lock(lock, cell=service.cell.bytes, kid=kid, unlock=unlock)


def test_the_recovery_lock_of_each_side_opens_on_the_other(service: OtherSide) -> None:
    cell = service.cell.bytes
    theirs = service.recovery_lock(SECRET)
    assert locks.open_recovery_lock(theirs, code=SECRET, cell=cell) == service.cell_secret
    ours = locks.make_recovery_lock(service.cell_secret, code=SECRET, cell=cell)
    assert locks.open_recovery_lock(ours, code=SECRET, cell=cell) == service.cell_secret
    assert len(unb64u(ours)) == 12 + 32 + 16
    with pytest.raises(MessageRefused):
        locks.open_recovery_lock(ours, code=bytes(16), cell=cell)


@pytest.mark.parametrize("length", [0, 11, 27, 59, 61, 1000])
def test_a_lock_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(MessageRefused):
        locks.open_recovery_lock(b64u(bytes(length)), code=SECRET, cell=bytes(16))


def test_the_unlock_key_comes_back_under_the_same_prf_output_and_cell_alone() -> None:
    unlock, output, cell = jose.new_key(), os.urandom(32), os.urandom(16)
    wrapped = locks.wrap_unlock(unlock, prf_output=output, cell=cell)
    opened = locks.unwrap_unlock(wrapped, prf_output=output, cell=cell)
    assert jose.key_bytes(opened) == jose.key_bytes(unlock)
    for wrong_output, wrong_cell in ((bytes(32), cell), (output, bytes(16))):
        with pytest.raises(MessageRefused):
            locks.unwrap_unlock(wrapped, prf_output=wrong_output, cell=wrong_cell)


def test_the_prf_is_asked_for_a_value_of_the_cells_own() -> None:
    assert locks.prf_salt(b"C" * 16) == hashlib.sha256(b"cell-prf-v1\0" + b"C" * 16).digest()
