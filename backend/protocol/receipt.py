"""The receipt (``cell-receipt+jwt``): the SAM's word of what it signed, by KA."""

from typing import Annotated, Final, final
from uuid import UUID

import msgspec

from backend.protocol.ask import UnixSeconds
from backend.protocol.encoding import Octets, Octets32
from backend.protocol.jose import PublicJwk, Sign, sign_jws, verify_jws

TYP: Final = "cell-receipt+jwt"


@final
class SignedItem(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One item and the hash that the key signed for it."""

    item: Octets32
    """Leaf hash of the item's text."""
    hash: Octets


@final
class ReceiptClaims(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The claims of a receipt. A number that is missing in a boot is a receipt that was lost."""

    boot: UUID
    number: Annotated[int, msgspec.Meta(ge=1)]
    iat: UnixSeconds
    tx_hash: Octets32
    approval: Octets32
    signed: tuple[SignedItem, ...]


def sign_receipt(claims: ReceiptClaims, *, key: PublicJwk, sign: Sign) -> str:
    """Write a receipt."""
    return sign_jws(claims, typ=TYP, key=key, sign=sign)


def verify_receipt(unverified_receipt: str, *, expected_ka: PublicJwk) -> ReceiptClaims:
    """Verify that KA signed the receipt.

    Raises:
        MalformedMessage: it did not.
    """
    return verify_jws(unverified_receipt, ReceiptClaims, expected_typ=TYP, expected_key=expected_ka)
