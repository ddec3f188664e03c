"""The list of what is to be signed, and its RFC 9162 tree.

The ask carries root and count, the list travels beside it: an ask for 10 000 documents is as small
as one for one. An item is an exact JSON text made by the SAM; its UTF-8 bytes are the leaf.
"""

import hashlib
from collections.abc import Sequence
from typing import Final, Literal, final

import msgspec

from backend.errors import MalformedMessage
from backend.protocol.encoding import Octets, Octets32, read_message, write_message

ItemType = Literal["dtbsr", "sdr", "csr"]
LONGEST_ITEM: Final = 2048
LEAF: Final = b"\x00"
NODE: Final = b"\x01"


@final
class Item(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One entry of the list.

    ``dtbsr``: the key signs this hash. ``sdr``: the hash of a document, the SAM builds what is
    signed. ``csr``: the hash of the certificate request's inner part.
    """

    label: str
    type: ItemType
    hash: Octets
    """Raw digest by the ask's ``hash_alg``."""
    document: Octets | None = None
    """Prepared formats: digest of the document as it was handed in."""


@final
class Documents(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the ask says of the list."""

    root: Octets32
    count: int


def item_text(item: Item) -> str:
    """Write an item; this text, byte for byte, is what the tree is made of."""
    return write_message(item).decode("utf-8")


def leaf_hash(text: str) -> Octets32:
    """Hash of a leaf (RFC 9162, 2.1.1)."""
    return Octets32(hashlib.sha256(LEAF + text.encode("utf-8")).digest())


def tree_root(texts: Sequence[str]) -> Octets32:
    """Root of the tree over the texts (RFC 9162, 2.1.1).

    Raises:
        MalformedMessage: there are none.
    """
    if not texts:
        msg = "a list has at least one item"
        raise MalformedMessage(msg)
    return _root([leaf_hash(text) for text in texts])


def _root(hashes: Sequence[bytes]) -> Octets32:
    if len(hashes) == 1:
        return Octets32(hashes[0])
    split = 1 << (len(hashes) - 1).bit_length() - 1
    return Octets32(hashlib.sha256(NODE + _root(hashes[:split]) + _root(hashes[split:])).digest())


def verify_list(unverified_texts: Sequence[str], *, expected: Documents) -> tuple[Item, ...]:
    """Check that a list is the one whose root the ask carries, and read its items.

    Raises:
        MalformedMessage: another count or root, an item that is none, or one hash twice.
    """
    if len(unverified_texts) != expected.count:
        msg = "the list has another length than the ask says"
        raise MalformedMessage(msg)
    if any(len(text) > LONGEST_ITEM for text in unverified_texts):
        msg = f"an item is longer than {LONGEST_ITEM} characters"
        raise MalformedMessage(msg)
    if tree_root(unverified_texts) != expected.root:
        msg = "the list is not the one in the ask"
        raise MalformedMessage(msg)
    items = tuple(read_message(text.encode("utf-8"), Item) for text in unverified_texts)
    if len({item.hash for item in items}) != len(items):
        msg = "a hash stands twice in the list"
        raise MalformedMessage(msg)
    return items
