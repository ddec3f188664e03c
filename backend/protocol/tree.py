"""The list of what is to be signed, and its RFC 9162 tree.

The ask carries root and count, the list travels beside it: an ask for 10 000 documents is as small
as one for one. An item is an exact JSON text made by the SAM; its UTF-8 bytes are the leaf.
"""

import hashlib
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Final, Literal, NamedTuple, final

import msgspec

from backend.algorithms import DIGEST_BYTES
from backend.errors import MalformedMessage
from backend.protocol.encoding import (
    Octets,
    Octets32,
    b64u,
    b64u_all,
    read_message,
    unb64u,
    unb64u_all,
)

Label = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
ItemType = Literal["dtbsr", "sdr", "csr"]
LONGEST_ITEM: Final = 2048
LONGEST_LIST: Final = 10_000
CSR_DIGEST_BYTES: Final = 32
DIGEST_LENGTHS: Final = frozenset(DIGEST_BYTES.values())
LEAF: Final = b"\x00"
NODE: Final = b"\x01"


def check_digest(digest: bytes) -> None:
    """Check that a hash has the length of one of our hash algorithms.

    Raises:
        MalformedMessage: it has not.
    """
    if len(digest) not in DIGEST_LENGTHS:
        raise MalformedMessage("not a digest of SHA-256, SHA-384 or SHA-512")


@final
class Item(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    gc=False,
):
    """One entry of the list.

    ``dtbsr``: the key signs this hash. ``sdr``: the hash of a document, the SAM builds what is
    signed. ``csr``: the hash of the certificate request's inner part.
    """

    label: Label
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
class _WrittenItem(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    gc=False,
):
    """An item's text, its binary values not read yet."""

    label: Label
    type: ItemType
    hash: str
    document: str | None = None


_octets32 = partial(bytes.__new__, Octets32)
"""Makes the type of what has 32 bytes anyway."""
_DECODER: Final = msgspec.json.Decoder(_WrittenItem)
_ENCODER: Final = msgspec.json.Encoder()


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
    return item_texts((item,))[0]


def item_texts(items: Sequence[Item]) -> tuple[str, ...]:
    """Write each as :func:`item_text` does.

    Raises:
        MalformedMessage: one is none that :func:`verify_list` would read.
    """
    hashes = b64u_all([item.hash for item in items])
    texts = [
        _ENCODER.encode(
            _WrittenItem(
                label=item.label,
                type=item.type,
                hash=written,
                document=None if item.document is None else b64u(item.document),
            )
        )
        for item, written in zip(items, hashes, strict=True)
    ]
    if _read_own(texts) is None:
        raise MalformedMessage("an item that no reader takes")
    return tuple([text.decode("utf-8") for text in texts])


def _read_items(unverified: Sequence[bytes]) -> tuple[Item, ...]:
    """Read items as :func:`read_message` does, sooner where all texts are in our own form.

    Raises:
        MalformedMessage: one is none.
    """
    written = _read_own(unverified)
    if written is None:
        return tuple([read_message(text, Item) for text in unverified])
    hashes = unb64u_all([each.hash for each in written])
    return tuple(
        [
            Item(
                label=each.label,
                type=each.type,
                hash=Octets(value),
                document=None if each.document is None else Octets(unb64u(each.document)),
            )
            for each, value in zip(written, hashes, strict=True)
        ]
    )


def _read_own(unverified: Sequence[bytes]) -> list[_WrittenItem] | None:
    """Read texts that are what our encoder writes, byte for byte; ``None`` if one is not.

    Such a text needs no second look for duplicate members, numbers or lone surrogates. None has a
    line's end in it: so lines are compared as a whole, and each is one item.
    """
    if not unverified:
        return []
    lines = b"\n".join(unverified)
    try:
        written = _DECODER.decode_lines(lines)
    except ValueError:
        return None
    return written if _ENCODER.encode_lines(written) == lines + b"\n" else None


def leaf_hash(text: str) -> Octets32:
    """Hash of a leaf (RFC 9162, 2.1.1).

    Raises:
        MalformedMessage: the text is no Unicode.
    """
    return leaf_hashes((_utf8(text),))[0]


def leaf_hashes(leaves: Sequence[bytes]) -> tuple[Octets32, ...]:
    """Hashes of leaves, as bytes (RFC 9162, 2.1.1)."""
    return tuple([_octets32(hashlib.sha256(LEAF + leaf).digest()) for leaf in leaves])


def tree_root(texts: Sequence[str]) -> Octets32:
    """Root of the tree over the texts (RFC 9162, 2.1.1).

    Raises:
        MalformedMessage: there are none, or one is no Unicode.
    """
    if not texts:
        raise MalformedMessage("a list has at least one item")
    return _root(leaf_hashes([_utf8(text) for text in texts]))


def _root(hashes: Sequence[bytes]) -> Octets32:
    """Pair neighbours, level by level; who has none goes up as it is (RFC 9162, 2.1.1).

    The left subtree of the RFC is the largest power of two below the count: the same tree.
    """
    level = list(hashes)
    while len(level) > 1:
        alone = level[len(level) & ~1 :]
        level = [
            hashlib.sha256(NODE + left + right).digest()
            for left, right in zip(level[::2], level[1::2], strict=False)
        ]
        level += alone
    return Octets32(level[0])


def _utf8(unverified: str) -> bytes:
    try:
        return unverified.encode("utf-8")
    except UnicodeEncodeError as error:
        raise MalformedMessage("an item is no Unicode text") from error


@final
class VerifiedList(NamedTuple):
    """The list whose root the ask carries."""

    items: tuple[Item, ...]
    leaves: tuple[Octets32, ...]
    """Leaf hash of each item's text."""


def verify_list(unverified_texts: Sequence[str], *, expected: Documents) -> VerifiedList:
    """Check that a list is the one whose root the ask carries, and read its items.

    Raises:
        MalformedMessage: another count or root, an item that is none, or one hash twice.
    """
    if len(unverified_texts) != expected.count:
        raise MalformedMessage("the list has another length than the ask says")
    if any(len(text) > LONGEST_ITEM for text in unverified_texts):
        raise MalformedMessage(f"an item is longer than {LONGEST_ITEM} characters")
    texts = [_utf8(text) for text in unverified_texts]
    leaves = leaf_hashes(texts)
    if _root(leaves) != expected.root:
        raise MalformedMessage("the list is not the one in the ask")
    items = _read_items(texts)
    if len({item.hash for item in items}) != len(items):
        raise MalformedMessage("a hash stands twice in the list")
    return VerifiedList(items=items, leaves=leaves)
