"""The receipt (``cell-receipt+jwt``): the SAM's word of what it signed, by KA."""

from typing import Annotated, Final, final
from uuid import UUID

import msgspec

from backend.protocol.ask import UnixSeconds
from backend.protocol.encoding import Octets, Octets32
from backend.protocol.jose import LONGEST_RECEIPT, PublicJwk, Sign, sign_jws, verify_jws
from backend.protocol.tree import LONGEST_LIST, check_digest

TYP: Final = "cell-receipt+jwt"


@final
class SignedItem(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One item and the hash that the key signed for it."""

    item: Octets32
    """Leaf hash of the item's text."""
    hash: Octets

    def __post_init__(self) -> None:
        """Refuse what is no digest."""
        check_digest(self.hash)


@final
class ReceiptClaims(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The claims of a receipt. A number that is missing in a boot is a receipt that was lost."""

    boot: UUID
    number: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    iat: UnixSeconds
    tx_hash: Octets32
    approval: Octets32
    signed: Annotated[tuple[SignedItem, ...], msgspec.Meta(min_length=1, max_length=LONGEST_LIST)]


def sign_receipt(claims: ReceiptClaims, *, key: PublicJwk, sign: Sign) -> str:
    """Write a receipt.

    Raises:
        MalformedMessage: it breaks a rule; nothing was signed.
    """
    return sign_jws(claims, typ=TYP, key=key, sign=sign, longest=LONGEST_RECEIPT)


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
