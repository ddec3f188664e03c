"""The secrets that sign webhooks (Standard Webhooks, "Signature scheme", symmetric).

1. A secret is 256 random bits, shown once, as ``whsec_`` and base64. What is kept is sealed to the
   worker's key and to its relying party: a stolen database signs nothing, and a row says nothing of
   another relying party.
2. A new secret replaces the one before, which signs beside it for ``BOTH_FOR``: a receiver that
   knows either takes every message meanwhile.
"""

import base64
from datetime import datetime, timedelta
from secrets import token_bytes
from typing import Annotated, Final, final
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from backend.errors import MalformedMessage
from backend.protocol.encoding import read_message, write_message
from backend.protocol.jose import PublicJwk, make_seal, open_seal, unverified_seal

TYP: Final = "cell-webhook-secret"
BOUND_TO: Final = b"cell-webhook-secret-v1\0"
SECRET_BYTES: Final = 32
PREFIX: Final = "whsec_"
BOTH_FOR: Final = timedelta(days=1)


@final
class _Secret(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    secret: Annotated[str, msgspec.Meta(pattern=r"^whsec_[A-Za-z0-9+/]{43}=\Z")]


@final
class SealedSecrets(msgspec.Struct, frozen=True, kw_only=True):
    """What a row has of a relying party's secrets."""

    newest: str
    before: str | None
    replaced_at: datetime | None


def new_secret() -> str:
    """Make a secret, as it is shown once."""
    return PREFIX + base64.b64encode(token_bytes(SECRET_BYTES)).decode("ascii")


def seal_secret(secret: str, recipient: PublicJwk, *, relying_party: UUID) -> str:
    """Seal to the worker's key."""
    sealed = write_message(_Secret(secret=secret))
    return make_seal(sealed, typ=TYP, recipient=recipient, apv=BOUND_TO + relying_party.bytes)


def open_secrets(
    sealed: SealedSecrets,
    private_key: ec.EllipticCurvePrivateKey,
    *,
    relying_party: UUID,
    now: datetime,
) -> tuple[bytes, ...]:
    """Open those that count now, the newest first.

    Raises:
        MalformedMessage: one was not sealed to this key and for this relying party.
    """
    counting = [sealed.newest]
    if sealed.before is not None and sealed.replaced_at is not None:
        counting += [sealed.before] if now < sealed.replaced_at + BOTH_FOR else []
    return tuple(_open(one, private_key, relying_party) for one in counting)


def _open(sealed: str, private_key: ec.EllipticCurvePrivateKey, relying_party: UUID) -> bytes:
    header = unverified_seal(sealed, expected_typ=TYP, with_sender=False)
    if header.apv != BOUND_TO + relying_party.bytes:
        raise MalformedMessage("sealed for another use")
    opened = read_message(open_seal(sealed, private_key), _Secret)
    return base64.b64decode(opened.secret.removeprefix(PREFIX))
