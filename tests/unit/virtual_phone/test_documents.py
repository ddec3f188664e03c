"""The list of documents and its tree (section 3)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.virtual_phone.documents import read_list, tree_root
from backend.virtual_phone.errors import MessageRefused
from tests.unit.virtual_phone.other_side import (
    OtherSide,
    b64u,
    certificate_transparency_root,
)

# Leaves and roots of the test tree of the certificate transparency project.
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


@pytest.mark.parametrize("count", range(1, 9))
def test_the_root_is_that_of_certificate_transparency(count: int) -> None:
    """RFC 9162, 2.1.1."""
    assert tree_root(LEAVES[:count]).hex() == ROOTS[count - 1]


def test_the_root_of_nothing_is_the_hash_of_nothing() -> None:
    assert tree_root([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@given(st.lists(st.binary(max_size=3), min_size=1, max_size=70))
def test_the_root_agrees_with_a_tree_that_is_built_upwards(leaves: list[bytes]) -> None:
    assert tree_root(leaves) == certificate_transparency_root(leaves)


def root_of(items: list[str]) -> bytes:
    return certificate_transparency_root([item.encode() for item in items])


def test_a_list_with_its_root_is_read(service: OtherSide) -> None:
    items = [
        service.item("Один"),
        service.item("Два", kind="sdr", document=b64u(bytes(32))),
    ]
    read = read_list(items, root=root_of(items), count=2, hash_alg="SHA-256")
    assert [(item.label, item.type) for item in read] == [("Один", "dtbsr"), ("Два", "sdr")]
    assert read[1].document == b64u(bytes(32))


def test_a_list_in_another_order_or_length_is_refused(service: OtherSide) -> None:
    items = [service.item(), service.item(), service.item()]
    root = root_of(items)
    for wrong in (items[::-1], items[:2], [*items, service.item()], []):
        with pytest.raises(MessageRefused):
            read_list(wrong, root=root, count=3, hash_alg="SHA-256")


def test_a_label_that_was_written_anew_is_refused(service: OtherSide) -> None:
    """Nothing is canonicalised: the same value in other bytes is another leaf."""
    items = [service.item()]
    spaced = [json.dumps(json.loads(items[0]), ensure_ascii=False, indent=1)]
    with pytest.raises(MessageRefused, match="not those of the ask"):
        read_list(spaced, root=root_of(items), count=1, hash_alg="SHA-256")


def test_a_hash_that_stands_twice_is_refused() -> None:
    items = [
        json.dumps({"label": label, "type": "dtbsr", "hash": b64u(bytes(32))}) for label in "ab"
    ]
    with pytest.raises(MessageRefused, match="twice"):
        read_list(items, root=root_of(items), count=2, hash_alg="SHA-256")


@pytest.mark.parametrize(
    "item",
    [
        {"label": "a", "type": "dtbsr"},
        {"label": "a", "type": "pdf", "hash": b64u(bytes(32))},
        {"label": "a", "type": "dtbsr", "hash": b64u(bytes(48))},
        {"label": "a", "type": "dtbsr", "hash": b64u(bytes(32)) + "="},
        {"label": "a", "type": "dtbsr", "hash": b64u(bytes(32)), "note": "x"},
        {"label": "a", "type": "sdr", "hash": b64u(bytes(32)), "document": "?"},
        {"label": "a", "type": "sdr", "hash": b64u(bytes(32)), "document": None},
        {"label": "a", "type": "dtbsr", "hash": b64u(bytes(32)), "document": "A" * 2048},
        {"label": "a" * 201, "type": "dtbsr", "hash": b64u(bytes(32))},
    ],
)
def test_an_item_of_another_form_is_refused_even_with_its_root(item: dict[str, str | None]) -> None:
    items = [json.dumps(item)]
    with pytest.raises(MessageRefused):
        read_list(items, root=root_of(items), count=1, hash_alg="SHA-256")


@pytest.mark.parametrize(("hash_alg", "length"), [("SHA-384", 48), ("SHA-512", 64)])
def test_a_digest_has_the_length_of_the_asks_hash(hash_alg: str, length: int) -> None:
    items = [json.dumps({"label": "a", "type": "dtbsr", "hash": b64u(bytes(length))})]
    assert read_list(items, root=root_of(items), count=1, hash_alg=hash_alg)


def test_a_certificate_request_brings_no_document() -> None:
    item = {"label": "a", "type": "csr", "hash": b64u(bytes(32)), "document": b64u(bytes(32))}
    items = [json.dumps(item)]
    with pytest.raises(MessageRefused, match="no document"):
        read_list(items, root=root_of(items), count=1, hash_alg="SHA-256")
