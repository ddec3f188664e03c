"""The SAM's word that a password was right (``cell-password-proof+jwt``), by KS."""

from typing import Final, Literal, final
from uuid import UUID

import msgspec

from backend.protocol.ask import UnixSeconds
from backend.protocol.encoding import Octets32
from backend.protocol.jose import PublicJwk, Sign, sign_jws, verify_jws

TYP: Final = "cell-password-proof+jwt"


@final
class PasswordProofClaims(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The claims of a password proof."""

    signer: UUID
    use: Literal["enrol"] = "enrol"
    tx_hash: Octets32
    """Hash of the enrol ask for which the password was given."""
    exp: UnixSeconds


def sign_password_proof(claims: PasswordProofClaims, *, key: PublicJwk, sign: Sign) -> str:
    """Write a password proof.

    Raises:
        MalformedMessage: it breaks a rule; nothing was signed.
    """
    return sign_jws(claims, typ=TYP, key=key, sign=sign)


def verify_password_proof(unverified_proof: str, *, expected_ks: PublicJwk) -> PasswordProofClaims:
    """Verify a password proof.

    Raises:
        MalformedMessage: KS did not sign it.
    """
    return verify_jws(
        unverified_proof, PasswordProofClaims, expected_typ=TYP, expected_key=expected_ks
    )
