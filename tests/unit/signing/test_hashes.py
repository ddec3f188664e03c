"""What may be asked for and collected."""

import pytest

from backend.errors import RequestRefused
from backend.protocol.ask import HashName
from backend.signing.hashes import MOST_HASHES, check_hashes


@pytest.mark.parametrize(
    ("hash_alg", "length"), [("SHA-256", 32), ("SHA-384", 48), ("SHA-512", 64)]
)
def test_a_hash_has_its_algorithms_length(hash_alg: HashName, length: int) -> None:
    """CSC-92."""
    check_hashes((bytes(length), b"\x01" * length), hash_alg)
    for other in {0, 20, 31, 32, 48, 64, 65} - {length}:
        with pytest.raises(RequestRefused, match=f"has {length} bytes"):
            check_hashes((bytes(length), b"\x01" * other), hash_alg)


def test_there_is_at_least_one_hash_and_an_end_to_them() -> None:
    many = tuple(number.to_bytes(32, "big") for number in range(MOST_HASHES + 1))
    check_hashes(many[1:], "SHA-256")
    for hashes in ((), many):
        with pytest.raises(RequestRefused, match="hashes"):
            check_hashes(hashes, "SHA-256")


def test_a_hash_stands_once() -> None:
    with pytest.raises(RequestRefused, match="twice"):
        check_hashes((bytes(32), b"\x01" * 32, bytes(32)), "SHA-256")
