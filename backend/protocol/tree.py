"""The list of what is to be signed, and its RFC 9162 tree.

The ask carries root and count, the list travels beside it: an ask for 10 000 documents is as small
as one for one. An item is an exact JSON text made by the SAM; its UTF-8 bytes are the leaf.
"""

from collections.abc import Sequence
from typing import Annotated, Final, Literal, final

import msgspec

from backend.algorithms import DIGEST_BYTES
from backend.errors import MalformedMessage
from backend.protocol.encoding import Octets, Octets32, read_message, sha256, write_message

ItemType = Literal["dtbsr", "sdr", "csr"]
LONGEST_ITEM: Final = 2048
LONGEST_LIST: Final = 10_000
CSR_DIGEST_BYTES: Final = 32
LEAF: Final = b"\x00"
NODE: Final = b"\x01"


def check_digest(digest: bytes) -> None:
    """Check that a hash has the length of one of our hash algorithms.

    Raises:
        MalformedMessage: it has not.
    """
    if len(digest) not in DIGEST_BYTES.values():
        raise MalformedMessage("not a digest of SHA-256, SHA-384 or SHA-512")


@final
class Item(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One entry of the list.

    ``dtbsr``: the key signs this hash. ``sdr``: the hash of a document, the SAM builds what is
    signed. ``csr``: the hash of the certificate request's inner part.
    """

    label: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    type: ItemType
    hash: Octets
    """Raw digest by the ask's ``hash_alg``."""
    document: Octets | None = None
    """Prepared formats: digest of the document as it was handed in."""

    def __post_init__(self) -> None:
        """Refuse what is no digest."""
        check_digest(self.hash)
        if self.document is not None:
            check_digest(self.document)
        if self.type == "csr" and (len(self.hash) != CSR_DIGEST_BYTES or self.document is not None):
            raise MalformedMessage("a csr is a SHA-256 alone")


@final
class Documents(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the ask says of the list."""

    root: Octets32
    count: Annotated[int, msgspec.Meta(ge=1, le=LONGEST_LIST)]


def item_text(item: Item) -> str:
    """Write an item; this text, byte for byte, is what the tree is made of.

    Raises:
        MalformedMessage: it is none that :func:`verify_list` would read.
    """
    text = write_message(item)
    read_message(text, Item)
    return text.decode("utf-8")


def leaf_hash(text: str) -> Octets32:
    """Hash of a leaf (RFC 9162, 2.1.1).

    Raises:
        MalformedMessage: the text is no Unicode.
    """
    return sha256(LEAF + _utf8(text))


def tree_root(texts: Sequence[str]) -> Octets32:
    """Root of the tree over the texts (RFC 9162, 2.1.1).

    Raises:
        MalformedMessage: there are none, or one is no Unicode.
    """
    if not texts:
        raise MalformedMessage("a list has at least one item")
    return _root([leaf_hash(text) for text in texts])


def _root(hashes: Sequence[bytes]) -> Octets32:
    if len(hashes) == 1:
        return Octets32(hashes[0])
    split = 1 << (len(hashes) - 1).bit_length() - 1
    return sha256(NODE + _root(hashes[:split]) + _root(hashes[split:]))


def _utf8(unverified: str) -> bytes:
    try:
        return unverified.encode("utf-8")
    except UnicodeEncodeError as error:
        raise MalformedMessage("an item is no Unicode text") from error


def verify_list(unverified_texts: Sequence[str], *, expected: Documents) -> tuple[Item, ...]:
    """Check that a list is the one whose root the ask carries, and read its items.

    Raises:
        MalformedMessage: another count or root, an item that is none, or one hash twice.
    """
    if len(unverified_texts) != expected.count:
        raise MalformedMessage("the list has another length than the ask says")
    if any(len(text) > LONGEST_ITEM for text in unverified_texts):
        raise MalformedMessage(f"an item is longer than {LONGEST_ITEM} characters")
    if tree_root(unverified_texts) != expected.root:
        raise MalformedMessage("the list is not the one in the ask")
    items = tuple(read_message(_utf8(text), Item) for text in unverified_texts)
    if len({item.hash for item in items}) != len(items):
        raise MalformedMessage("a hash stands twice in the list")
    return items
