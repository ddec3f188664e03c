"""A list is read as the rows have it, whatever they hold; which hash is whose is never mixed up."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from backend.errors import MalformedMessage
from backend.protocol.encoding import b64u
from backend.signing.evidence import read_list

HASHES = tuple(bytes([number]) * 32 for number in range(4))
ITEMS = tuple(f'{{"label":"x","type":"dtbsr","hash":"{b64u(each)}"}}' for each in HASHES)


def read(*items: str, signatures: dict[int, str] | None = None) -> dict[bytes, tuple[int, Any]]:
    signed = signatures or {}
    places = list(range(len(items)))[::-1]
    listed = [places, [items[place] for place in places], [signed.get(each) for each in places]]
    found = cast("Any", SimpleNamespace(listed=listed))
    return {wanted: (entry.position, entry.signature) for wanted, entry in read_list(found).items()}


def test_rows_are_read_in_their_order_with_their_signatures() -> None:
    assert list(read(*ITEMS, signatures={2: "0a0b"}).items()) == [
        (HASHES[0], (0, None)),
        (HASHES[1], (1, None)),
        (HASHES[2], (2, b"\n\x0b")),
        (HASHES[3], (3, None)),
    ]


def test_no_rows_are_no_list() -> None:
    assert read_list(cast("Any", SimpleNamespace(listed=None))) == {}


def test_an_item_of_several_lines_is_one_item() -> None:
    spread = ITEMS[1].replace(",", ",\n")
    assert read(ITEMS[0], spread) == {HASHES[0]: (0, None), HASHES[1]: (1, None)}


@pytest.mark.parametrize(
    "items",
    [
        (f"{ITEMS[0]}\n{ITEMS[1]}", ITEMS[2]),
        (f"{ITEMS[0]}\n{ITEMS[1]}", ""),
        (f"{ITEMS[0]}\n{ITEMS[1]}", "", ITEMS[2]),
        ("", ITEMS[0]),
        (ITEMS[0], "e30.e30.e30"),
        (ITEMS[0], '{"hash":"=="}'),
    ],
    ids=["two in one", "two and none", "two, none and one", "none", "no JSON", "no base64url"],
)
def test_a_row_that_is_no_item_is_refused(items: tuple[str, ...]) -> None:
    """Never read as another row's: the hash of one would be signed at the place of the other."""
    with pytest.raises(MalformedMessage):
        read(*items)
