"""What may be asked for and collected."""

import base64

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backend.errors import RequestRefused
from backend.protocol.ask import HashName
from backend.signing.hashes import (
    LONGEST_HASH,
    MOST_HASHES,
    check_hashes,
    read_hash,
    read_hashes,
)

TEXTS = st.text(st.sampled_from("ABgw+/-_= \n9"), max_size=8)
FORMS = (
    base64.b64encode,
    base64.urlsafe_b64encode,
    lambda value: base64.b64encode(value).rstrip(b"="),
    lambda value: base64.urlsafe_b64encode(value).rstrip(b"="),
)


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


def each_alone(unverified: list[object]) -> tuple[bytes, ...] | None:
    try:
        return tuple(read_hash(each) for each in unverified)
    except ValueError:
        return None


def together(unverified: list[object]) -> tuple[bytes, ...] | None:
    try:
        return read_hashes(unverified)
    except ValueError:
        return None


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1), st.data())
def test_hashes_are_read_in_whatever_form_of_base64(
    hashes: list[bytes], data: st.DataObject
) -> None:
    """All in one form, which is the usual, or each in its own."""
    form = data.draw(st.sampled_from(FORMS))
    assert together([form(each).decode() for each in hashes]) == tuple(hashes)
    forms = [data.draw(st.sampled_from(FORMS)) for _ in hashes]
    texts: list[object] = [each(one).decode() for each, one in zip(forms, hashes, strict=True)]
    assert together(texts) == tuple(hashes)


@example(["AAAA", "AA=="])
@example(["AAA=", "AAA="])
@example(["AAAA====", "AAAA===="])
@example(["AAA\nAAA=", "AAAA"])
@example(["A" * LONGEST_HASH, "A" * LONGEST_HASH])
@example(["A" * (LONGEST_HASH + 4)] * 2)
@example([1, "AAAA"])
@given(
    st.lists(TEXTS | st.none() | st.integers(), max_size=4)
    | TEXTS.flatmap(lambda text: st.lists(st.permutations(text).map("".join)))
)
def test_hashes_are_read_together_as_each_alone(unverified: list[object]) -> None:
    assert together(unverified) == each_alone(unverified)
