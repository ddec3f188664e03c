"""The ask (``cell-ask+jwt``): what the SAM asks of the signer, signed by KS.

A phone shows nothing from an ask that KS did not sign; the door opens nothing for one.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, final
from uuid import UUID

import msgspec

from backend.errors import MalformedMessage
from backend.protocol.encoding import Octets32, ascii_bytes, read_message, sha256
from backend.protocol.jose import LONGEST_MESSAGE, PublicJwk, Sign, sign_jws, verify_jws
from backend.protocol.tree import Documents

TYP: Final = "cell-ask+jwt"
LONGEST_USE_SECONDS: Final = 600
"""``use_by`` ≤ ``exp`` + this."""
LONGEST_LIFE_SECONDS: Final = 24 * 3600
"""``exp`` ≤ ``iat`` + this: an hour key lives about a day at most."""

AskKind = Literal["sign", "certificate_request", "enrol", "amend", "set_password"]
HashName = Literal["SHA-256", "SHA-384", "SHA-512"]
UnixSeconds = Annotated[int, msgspec.Meta(ge=0, le=2**40)]
Epoch = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
ShownLine = Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]


@final
class AskingParty(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who asks: a relying party, or the authority itself."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


@final
class AskText(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the signer reads, rendered by the SAM."""

    lang: Literal["ru", "en"]
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    lines: Annotated[tuple[ShownLine, ...], msgspec.Meta(max_length=100)]


@final
class KeyThumbprints(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The three keys of a further phone, as the paired phone scanned them."""

    approval: Octets32
    request: Octets32
    unlock: Octets32


def read_thumbprints(unverified: Mapping[str, str]) -> KeyThumbprints:
    """Read three thumbprints in base64url.

    Raises:
        MalformedMessage: they are not those of three keys.
    """
    return read_message(msgspec.json.encode(unverified), KeyThumbprints)


@final
class AskClaims(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The claims of an ask; all are present."""

    v: Literal[1] = 1
    kind: AskKind
    iss: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    jti: UUID
    iat: UnixSeconds
    exp: UnixSeconds
    """Last moment to approve."""
    use_by: UnixSeconds
    """Last moment to sign."""
    cell: UUID
    epoch: Epoch
    """Epoch of the cell's record when this was asked; a record below it is refused."""
    rp: AskingParty
    text: AskText
    fields: Annotated[dict[str, Any], msgspec.Meta(max_length=64)]
    """The typed request; ``type`` names its kind."""
    documents: Documents | None
    hash_alg: HashName | None
    key_thumbprints: KeyThumbprints | None
    sam: PublicJwk
    """The transaction's key, to which the phone seals the cell's secret."""
    number_asked: bool

    def __post_init__(self) -> None:
        """Refuse combinations that no ask has."""
        if not self.iat <= self.exp <= self.iat + LONGEST_LIFE_SECONDS:
            raise MalformedMessage("exp is not within a day of iat")
        if not self.exp <= self.use_by <= self.exp + LONGEST_USE_SECONDS:
            raise MalformedMessage("use_by is not within ten minutes of exp")
        if not isinstance(self.fields.get("type"), str):
            raise MalformedMessage("fields name no type")
        self._check_kind()

    def _check_kind(self) -> None:
        signs = self.kind in {"sign", "certificate_request"}
        if (self.documents is not None) is not signs or (self.hash_alg is not None) is not signs:
            raise MalformedMessage(
                "documents and hash_alg stand in asks for signatures, and only there"
            )
        if self.kind == "certificate_request" and self.documents and self.documents.count != 1:
            raise MalformedMessage("a request for a certificate has one item")
        if self.key_thumbprints is not None and self.kind != "enrol":
            raise MalformedMessage("key_thumbprints stand only in an ask to enrol")


@final
class VerifiedAsk(msgspec.Struct, frozen=True, kw_only=True):
    """An ask that KS signed."""

    claims: AskClaims
    tx_hash: Octets32
    """SHA-256 of the compact ask as it was received; nothing is canonicalised."""


def sign_ask(claims: AskClaims, *, key: PublicJwk, sign: Sign) -> str:
    """Write an ask.

    Raises:
        MalformedMessage: it breaks a rule, or is too long; nothing was signed.
    """
    return sign_jws(claims, typ=TYP, key=key, sign=sign)


def tx_hash(ask: str) -> Octets32:
    """The hash by which every answer names its ask."""
    return sha256(ascii_bytes(ask, longest=LONGEST_MESSAGE))


def verify_ask(unverified_ask: str, *, expected_ks: PublicJwk) -> VerifiedAsk:
    """Verify that KS signed the ask.

    Raises:
        MalformedMessage: it did not, or the claims are none of an ask.
    """
    claims = verify_jws(unverified_ask, AskClaims, expected_typ=TYP, expected_key=expected_ks)
    return VerifiedAsk(claims=claims, tx_hash=tx_hash(unverified_ask))
