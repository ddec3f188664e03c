"""The list of documents beside an ask, and its tree (section 3; RFC 9162, 2.1.1)."""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from backend.virtual_phone.encoding import read_json, sha256, unb64u
from backend.virtual_phone.errors import MessageRefused

ITEM_LIMIT = 2048
LIST_LIMIT = 10_000
LABEL_LIMIT = 200
DIGEST_LENGTHS = {"SHA-256": 32, "SHA-384": 48, "SHA-512": 64}


class Item(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing to be signed."""

    label: Annotated[str, msgspec.Meta(max_length=LABEL_LIMIT)]
    type: Literal["dtbsr", "sdr", "csr"]
    hash: str
    document: str | msgspec.UnsetType = msgspec.UNSET
    """Digest of the document handed in, for prepared formats."""


def tree_root(leaves: Sequence[bytes]) -> bytes:
    """Merkle tree hash of RFC 9162 with SHA-256; a leaf's input are its bytes."""
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0])
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\1" + tree_root(leaves[:split]) + tree_root(leaves[split:]))


def read_list(
    unverified: Sequence[str], *, root: bytes, count: int, hash_alg: str
) -> tuple[Item, ...]:
    """The items of a list, once it is proved to be the ask's.

    Raises:
        MessageRefused: another root or count, a repeated hash, a digest of another length.
    """
    if len(unverified) != count:
        raise MessageRefused(f"{len(unverified)} documents came, the ask counts {count}")
    if any(len(text) > ITEM_LIMIT for text in unverified):
        raise MessageRefused(f"an item of the list is longer than {ITEM_LIMIT} characters")
    leaves = [text.encode() for text in unverified]
    if tree_root(leaves) != root:
        raise MessageRefused("the documents are not those of the ask")
    items = tuple(_item(leaf, length=DIGEST_LENGTHS[hash_alg]) for leaf in leaves)
    if len({item.hash for item in items}) != count:
        raise MessageRefused("a document stands twice in the list")
    return items


def _item(leaf: bytes, *, length: int) -> Item:
    item = read_json(leaf, Item)
    unb64u(item.hash, length=length)
    if item.document is not msgspec.UNSET:
        unb64u(item.document)
        if item.type == "csr":
            raise MessageRefused("a csr has no document")
    return item
