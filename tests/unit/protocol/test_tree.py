"""The list and its tree (RFC 9162; docs/phone-protocol.md, 3)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import MalformedMessage
from backend.protocol.encoding import Octets, Octets32
from backend.protocol.tree import Documents, Item, item_text, leaf_hash, tree_root, verify_list
from tests.unit.protocol import by_hand, cast

GOOD = Documents(root=Octets32(by_hand.tree_root(cast.ITEMS)), count=3)
DIGEST = by_hand.b64(by_hand.sha(b"one"))

# The roots of the first 1 to 8 of these leaves are published test vectors of Certificate
# Transparency (RFC 6962 and RFC 9162 hash alike).
CT_LEAVES = (
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
)
CT_ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


@pytest.mark.parametrize("size", range(1, 9))
def test_the_independent_tree_gives_the_published_roots(size: int) -> None:
    leaves = [bytes.fromhex(leaf) for leaf in CT_LEAVES[:size]]
    assert by_hand.tree_root(leaves).hex() == CT_ROOTS[size - 1]


@pytest.mark.parametrize("size", [1, 2])
def test_our_tree_gives_the_published_roots(size: int) -> None:
    """Our leaves are texts: of the published ones the first two are UTF-8."""
    texts = [bytes.fromhex(leaf).decode() for leaf in CT_LEAVES[:size]]
    assert tree_root(texts).hex() == CT_ROOTS[size - 1]


@given(st.lists(st.text(max_size=4), min_size=1, max_size=70))
def test_our_root_is_the_independent_one(texts: list[str]) -> None:
    assert tree_root(texts) == by_hand.tree_root([text.encode() for text in texts])


def test_the_largest_list_has_a_root() -> None:
    texts = [str(number) for number in range(10_000)]
    assert tree_root(texts) == by_hand.tree_root([text.encode() for text in texts])


def test_a_tree_has_at_least_one_leaf() -> None:
    with pytest.raises(MalformedMessage):
        tree_root(())


def test_a_leaf_is_not_a_node() -> None:
    """Second preimages across levels: a node's input as a leaf has another hash."""
    left, right = leaf_hash("a"), leaf_hash("b")
    assert tree_root(["a", "b"]) == by_hand.sha(b"\1", left, right)
    assert by_hand.tree_root([left + right]) != tree_root(["a", "b"])


def test_the_list_of_the_ask_is_read() -> None:
    items = verify_list(cast.LIST, expected=GOOD).items
    assert [item.label for item in items] == ["Contract.pdf", "Приложение 1", "C"]
    assert [item_text(item) for item in items] == list(cast.LIST)


@pytest.mark.parametrize(
    "texts",
    [
        (),
        cast.LIST[:2],
        (*cast.LIST, cast.LIST[0]),
        cast.LIST[::-1],
        (*cast.LIST[:2], cast.LIST[2].replace('"C"', '"D"')),
        (*cast.LIST[:2], cast.LIST[2] + " "),
        (*cast.LIST[:2], "\ud800"),
        (*cast.LIST[:2], " " * 2049),
    ],
    ids=[
        "none",
        "one less",
        "one more",
        "another order",
        "a label",
        "a space",
        "surrogate",
        "long",
    ],
)
def test_any_other_list_is_refused(texts: tuple[str, ...]) -> None:
    """T-33: insert, replace, reorder, duplicate."""
    with pytest.raises(MalformedMessage):
        verify_list(texts, expected=GOOD)


def verify(*items: str) -> tuple[Item, ...]:
    root = Octets32(by_hand.tree_root([item.encode() for item in items]))
    return verify_list(items, expected=Documents(root=root, count=len(items))).items


def item(**changes: object) -> str:
    members = {"label": "x", "type": "dtbsr", "hash": DIGEST} | changes
    return by_hand.compact_json(members).decode()


ALLOWED: tuple[dict[str, Any], ...] = (
    {},
    {"type": "sdr"},
    {"type": "csr"},
    {"label": "x" * 200},
    {"hash": by_hand.b64(bytes(48))},
    {"hash": by_hand.b64(bytes(64))},
    {"type": "sdr", "document": by_hand.b64(bytes(32))},
)
REFUSED: tuple[dict[str, Any], ...] = (
    {"type": "pdf"},
    {"type": None},
    {"label": ""},
    {"label": "x" * 201},
    {"label": 1},
    {"hash": ""},
    {"hash": by_hand.b64(bytes(20))},
    {"hash": by_hand.b64(bytes(33))},
    {"hash": f"{DIGEST}="},
    {"document": None},
    {"document": ""},
    {"document": by_hand.b64(bytes(31))},
    {"type": "csr", "hash": by_hand.b64(bytes(64))},
    {"type": "csr", "document": by_hand.b64(bytes(32))},
    {"extra": 1},
)


@pytest.mark.parametrize("changes", ALLOWED, ids=range(len(ALLOWED)))
def test_what_an_item_may_say_is_read_and_written_again(changes: dict[str, Any]) -> None:
    text = item(**changes)
    assert [item_text(read) for read in verify(text)] == [text]


@pytest.mark.parametrize("changes", REFUSED, ids=range(len(REFUSED)))
def test_what_no_item_says_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedMessage):
        verify(item(**changes))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "x", '{"label":"x"}', item()[:-1] + ',"type":"sdr"}']
)
def test_what_is_no_item_is_refused(text: str) -> None:
    with pytest.raises(MalformedMessage):
        verify(text)


def test_a_hash_stands_once_in_a_list_whatever_its_label() -> None:
    with pytest.raises(MalformedMessage):
        verify(item(label="a"), item(label="b"))


def test_an_item_that_no_reader_would_accept_is_not_written() -> None:
    with pytest.raises(MalformedMessage):
        item_text(Item(label="", type="dtbsr", hash=Octets(bytes(32))))
    with pytest.raises(MalformedMessage):
        Item(label="x", type="dtbsr", hash=Octets(bytes(31)))


def test_text_that_is_no_unicode_has_no_leaf() -> None:
    with pytest.raises(MalformedMessage):
        leaf_hash("\ud800")


def test_an_item_is_bounded() -> None:
    """White space is JSON, so nothing but the length is wrong."""
    assert len(verify(item().ljust(2048))) == 1
    with pytest.raises(MalformedMessage, match="longer than"):
        verify(item().ljust(2049))


@pytest.mark.parametrize("count", [1, 3])
def test_a_list_has_the_length_that_the_ask_says(count: int) -> None:
    """Also where the root is right: count and root are shown and signed together."""
    other = by_hand.b64(bytes(range(32)))
    texts = (item(), item(hash=other))
    root = Octets32(by_hand.tree_root([text.encode() for text in texts]))
    with pytest.raises(MalformedMessage, match="length"):
        verify_list(texts, expected=Documents(root=root, count=count))
