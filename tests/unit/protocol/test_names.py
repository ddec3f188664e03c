"""What the signer reads of a name is the whole name."""

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from backend.errors import MalformedMessage
from backend.protocol.names import readable_name


def der(*parts: tuple[x509.ObjectIdentifier, str]) -> bytes:
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts]).public_bytes()


def test_a_persons_name_is_read_once() -> None:
    name = der(
        (NameOID.SURNAME, "Иванова"),
        (NameOID.GIVEN_NAME, "Анна Петровна"),
        (NameOID.COMMON_NAME, "Иванова Анна Петровна"),
    )
    assert readable_name(name) == "Иванова Анна Петровна"


def test_what_the_common_name_does_not_say_is_read_too() -> None:
    name = der((NameOID.ORGANIZATION_NAME, "Завод"), (NameOID.COMMON_NAME, "Отдел продаж"))
    assert readable_name(name) == "Отдел продаж, Завод"


def test_a_part_of_a_word_is_not_the_word() -> None:
    """«Иванов» does not hide in «Иванова»."""
    name = der((NameOID.SURNAME, "Иванов"), (NameOID.COMMON_NAME, "Анна Иванова"))
    assert readable_name(name) == "Анна Иванова, Иванов"


@pytest.mark.parametrize(
    "name",
    [
        b"",
        b"\x30\x03abc",
        b"\x04\x01a",
        der((NameOID.SURNAME, "Иванов")),
        der((NameOID.COMMON_NAME, "Один"), (NameOID.COMMON_NAME, "Два")),
        der((NameOID.COMMON_NAME, "Один")) + b"\x00",
    ],
)
def test_what_is_no_single_name_is_refused(name: bytes) -> None:
    with pytest.raises(MalformedMessage):
        readable_name(name)
