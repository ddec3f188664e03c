"""The QR codes of sections 5 and 8."""

import os

import pytest

from backend.virtual_phone.encoding import secret_text
from backend.virtual_phone.errors import MessageRefused
from backend.virtual_phone.invitation import (
    Addresses,
    Envelope,
    read_addresses,
    read_envelope,
    read_further_phone,
)
from tests.unit.virtual_phone.other_side import b64u

SECRET = bytes(range(16))
CHARACTERS = secret_text(SECRET)


def test_qr_1_names_the_app_and_both_servers() -> None:
    text = "https://app.test/#as=https%3A%2F%2Fa.test%2Fid%2F&api=https%3A%2F%2Fm.test%3A8601"
    assert read_addresses(text) == Addresses(
        app="https://app.test",
        authorization_server="https://a.test/id",
        mobile_api="https://m.test:8601",
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "https://app.test/",
        "https://app.test/#as=a",
        "https://app.test/#as=a&api=b&x=c",
        "https://app.test/#as=a&as=b&api=c",
        "/#as=a&api=b",
        "https://app.test/#as&api",
    ],
)
def test_qr_1_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(MessageRefused):
        read_addresses(text)


def test_qr_2_is_scanned_or_typed() -> None:
    expected = Envelope(secret=SECRET)
    assert read_envelope(f"cellkey:pair?s={CHARACTERS}") == expected
    assert read_envelope(CHARACTERS.lower()) == expected


def test_qr_2_of_an_existing_cell_pins_the_services_key() -> None:
    pin = os.urandom(32)
    read = read_envelope(f"cellkey:pair?s={CHARACTERS}&k={b64u(pin)}")
    assert read == Envelope(secret=SECRET, ks_thumbprint=pin)


@pytest.mark.parametrize(
    "text",
    [
        "cellkey:pair?",
        f"cellkey:pair?k={b64u(bytes(32))}",
        f"cellkey:pair?s={CHARACTERS}&k={b64u(bytes(31))}",
        f"cellkey:pair?s={CHARACTERS}&x=1",
        f"cellkey:pair?s={CHARACTERS}&s={CHARACTERS}",
        f"cellkey:other?s={CHARACTERS}",
    ],
)
def test_qr_2_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(MessageRefused):
        read_envelope(text)


def test_a_further_phone_shows_its_three_thumbprints() -> None:
    three = tuple(os.urandom(32) for _ in range(3))
    assert read_further_phone(f" cellkey:further?k={b64u(b''.join(three))}\n") == three
    for wrong in ("", "cellkey:further?k=", f"cellkey:further?k={b64u(bytes(95))}"):
        with pytest.raises(MessageRefused):
            read_further_phone(wrong)
