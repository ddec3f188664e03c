"""An SMS on its way from the SAM to the worker: a JWE that the web tier cannot read."""

from typing import Annotated, Final, final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from backend.errors import MalformedMessage
from backend.protocol.encoding import read_message, write_message
from backend.protocol.jose import PublicJwk, make_seal, open_seal, unverified_seal

TYP: Final = "cell-sms"
BOUND_TO: Final = b"cell-sms-v1"


@final
class Sms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text message, rendered by the SAM."""

    number: Annotated[str, msgspec.Meta(pattern=r"^\+[1-9][0-9]{6,14}\Z")]
    """E.164."""
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]


def seal_sms(sms: Sms, recipient: PublicJwk) -> str:
    """Seal to the worker's key."""
    return make_seal(write_message(sms), typ=TYP, recipient=recipient, apv=BOUND_TO)


def open_sms(sealed: str, private_key: ec.EllipticCurvePrivateKey) -> Sms:
    """Open with the worker's key.

    Raises:
        MalformedMessage: it was not sealed to this key, or is no text message.
    """
    if unverified_seal(sealed, expected_typ=TYP, with_sender=False).apv != BOUND_TO:
        raise MalformedMessage("sealed for another use")
    return read_message(open_seal(sealed, private_key), Sms)
