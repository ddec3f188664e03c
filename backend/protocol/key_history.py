"""How KS changes (``cell-keys+jwt``): the old key signs the new one's JWK, phones follow."""

from collections.abc import Sequence
from typing import Final, Literal, final

import msgspec

from backend.errors import MalformedMessage
from backend.protocol.ask import UnixSeconds
from backend.protocol.encoding import Octets32
from backend.protocol.jose import PublicJwk, Sign, sign_jws, unverified_header, verify_jws

TYP: Final = "cell-keys+jwt"
LONGEST_HISTORY: Final = 32


@final
class KeyChangeClaims(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One change of KS."""

    v: Literal[1] = 1
    iat: UnixSeconds
    old: Octets32
    new: PublicJwk


def sign_key_change(claims: KeyChangeClaims, *, key: PublicJwk, sign: Sign) -> str:
    """Write a change, signed by the old key.

    Raises:
        MalformedMessage: it breaks a rule; nothing was signed.
    """
    return sign_jws(claims, typ=TYP, key=key, sign=sign)


def follow_key_history(unverified_history: Sequence[str], *, known: PublicJwk) -> PublicJwk:
    """Follow changes, oldest first, from a key that is known; changes before it are passed over.

    Raises:
        MalformedMessage: a change after the known key is not signed by the key before it.
    """
    if len(unverified_history) > LONGEST_HISTORY:
        raise MalformedMessage("too many changes of key")
    current, following = known, False
    for change in unverified_history:
        if unverified_header(change, expected_typ=TYP).kid != current.thumbprint():
            if following:
                raise MalformedMessage("a change that does not follow the one before")
            continue
        claims = verify_jws(change, KeyChangeClaims, expected_typ=TYP, expected_key=current)
        if claims.old != current.thumbprint():
            raise MalformedMessage("a change of another key")
        current, following = claims.new, True
    return current
