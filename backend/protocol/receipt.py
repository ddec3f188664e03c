"""The receipt (``cell-receipt+jwt``): the SAM's word of what it signed, by KA."""

from typing import Annotated, Final, final
from uuid import UUID

import msgspec

from backend.errors import MalformedMessage
from backend.protocol.ask import UnixSeconds
from backend.protocol.encoding import Octets, Octets32, b64u, b64u_all
from backend.protocol.jose import LONGEST_RECEIPT, PublicJwk, Sign, sign_payload, verify_jws
from backend.protocol.known_types import known
from backend.protocol.record import Method
from backend.protocol.tree import LONGEST_LIST, check_digest

TYP: Final = "cell-receipt+jwt"

Number = Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]


@final
class SignedItem(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """One item and the hash that the key signed for it."""

    item: Octets32
    """Leaf hash of the item's text."""
    hash: Octets

    def __post_init__(self) -> None:
        """Refuse what is no digest."""
        check_digest(self.hash)


@final
class ReceiptClaims(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """The claims of a receipt. A number that is missing in a boot is a receipt that was lost."""

    boot: UUID
    number: Number
    iat: UnixSeconds
    tx_hash: Octets32
    approval: Octets32
    method: Method = "app"
    """How the signer approved; stands in the receipt where it is not ``app``."""
    signed: Annotated[tuple[SignedItem, ...], msgspec.Meta(min_length=1, max_length=LONGEST_LIST)]


@final
class _WrittenItem(msgspec.Struct, frozen=True, gc=False):
    """A signed item, its binary values written."""

    item: str
    hash: str


@final
class _WrittenReceipt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A receipt, its binary values written: 10 000 items are encoded in one go."""

    boot: UUID
    number: Number
    iat: UnixSeconds
    tx_hash: str
    approval: str
    method: Method = "app"
    signed: Annotated[tuple[_WrittenItem, ...], msgspec.Meta(min_length=1, max_length=LONGEST_LIST)]


def sign_receipt(claims: ReceiptClaims, *, key: PublicJwk, sign: Sign) -> str:
    """Write a receipt.

    Raises:
        MalformedMessage: it breaks a rule; nothing was signed.
    """
    payload = _write(claims)
    return sign_payload(payload, typ=TYP, key=key, sign=sign, longest=LONGEST_RECEIPT)


def _write(claims: ReceiptClaims) -> bytes:
    """Write what :func:`~backend.protocol.encoding.write_message` would, member by member.

    Raises:
        MalformedMessage: numbers or counts are none of a receipt.
    """
    items = b64u_all([each.item for each in claims.signed])
    hashes = b64u_all([each.hash for each in claims.signed])
    written = _WrittenReceipt(
        boot=claims.boot,
        number=claims.number,
        iat=claims.iat,
        tx_hash=b64u(claims.tx_hash),
        approval=b64u(claims.approval),
        method=claims.method,
        signed=tuple([_WrittenItem(i, h) for i, h in zip(items, hashes, strict=True)]),
    )
    payload = msgspec.json.encode(written)
    try:
        msgspec.json.decode(payload, type=known(_WrittenReceipt))
    except msgspec.ValidationError as error:
        raise MalformedMessage(f"not a receipt: {error}") from error
    return payload


def verify_receipt(unverified_receipt: str, *, expected_ka: PublicJwk) -> ReceiptClaims:
    """Verify that KA signed the receipt.

    Raises:
        MalformedMessage: it did not.
    """
    return verify_jws(
        unverified_receipt,
        ReceiptClaims,
        expected_typ=TYP,
        expected_key=expected_ka,
        longest=LONGEST_RECEIPT,
    )
