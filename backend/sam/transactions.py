"""Capability: open a transaction, which is to say what the signer will be asked.

Importing this type is the permission to be handed the object; who may is in ``pyproject.toml``.
"""

from typing import Annotated, Any, Literal, Protocol, final
from uuid import UUID

import msgspec

from backend.protocol.ask import AskingParty, AskKind, HashName, KeyThumbprints
from backend.time_zones import LONGEST_ZONE


@final
class RequestedItem(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False
):
    """A hash for which a signature is wanted."""

    label: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    hash: Annotated[bytes, msgspec.Meta(min_length=32, max_length=64)]


@final
class OpenTransaction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request, typed; the text is rendered by the SAM from its fields."""

    record: str
    kind: AskKind
    rp: AskingParty
    lang: Literal["ru", "en"]
    zone: Annotated[str, msgspec.Meta(max_length=LONGEST_ZONE)]
    """The signer's time zone, by its IANA name."""
    fields: dict[str, Any]
    """``type`` names the kind of ``backend/summary/kinds``; the rest is bounded there."""
    items: Annotated[tuple[RequestedItem, ...], msgspec.Meta(max_length=10_000)]
    """Kind ``sign``: what to sign. Empty for the others; a certificate request is built here."""
    hash_alg: HashName | None
    exp: int
    """Unix seconds; last moment to approve."""
    use_by: int
    """Unix seconds; last moment to sign."""
    number_asked: bool = False
    """Whether the phone is to name the number of the other screen; always for a new password."""
    key_thumbprints: KeyThumbprints | None = None
    """Kind ``enrol``: the keys of a further phone, which a paired one read from its screen."""


@final
class OpenedTransaction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The ask and the list beside it."""

    id: UUID
    ask: str
    tx_hash: bytes
    epoch: int
    items: tuple[str, ...]
    """Exact JSON texts, the leaves of the ask's tree; empty where the ask has no documents."""
    hashes: tuple[bytes, ...]
    """The hash of each item."""


class Transactions(Protocol):
    """Every method may raise :class:`backend.errors.SamUnavailable` and ``HsmUnavailable``."""

    def open_transaction(self, request: OpenTransaction) -> OpenedTransaction:
        """Render the text, make the transaction's key, sign the ask.

        Raises:
            backend.errors.RecordRefused: the record is not ours, or does not allow this.
            backend.errors.RequestRefused: hashes, counts or times do not fit.
            backend.errors.SummaryRefused: a field cannot be shown to a signer (T-06).
        """
