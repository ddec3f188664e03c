"""A phone's request proof (``dpop+jwt``, the shape of RFC 9449 without a token)."""

from typing import Annotated, Final, Literal, final
from uuid import UUID

import msgspec

from backend.errors import MalformedMessage
from backend.protocol.ask import UnixSeconds
from backend.protocol.encoding import Octets32, sha256
from backend.protocol.jose import (
    PublicJwk,
    unverified_header,
    unverified_payload,
    verify_jws,
)

TYP: Final = "dpop+jwt"
ACCEPTED_SECONDS: Final = 60
"""A proof is accepted this long before and after its ``iat``."""


@final
class RequestProofClaims(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The claims of a request proof."""

    htm: Literal["GET", "PUT", "POST", "DELETE"]
    htu: Annotated[str, msgspec.Meta(max_length=2000)]
    iat: UnixSeconds
    jti: UUID
    body: Octets32 | None


def proving_kid(unverified_proof: str) -> Octets32:
    """The request key that a proof says it was made by: only to look for the phone.

    Raises:
        MalformedMessage: it is no request proof.
    """
    return unverified_header(unverified_proof, expected_typ=TYP).kid


def proof_id(unverified_proof: str) -> UUID:
    """The id that a proof says it has: only to look whether it came before.

    Raises:
        MalformedMessage: it is no request proof.
    """
    return unverified_payload(unverified_proof, RequestProofClaims, expected_typ=TYP).jti


def verify_request_proof(
    unverified_proof: str,
    *,
    expected_key: PublicJwk,
    method: str,
    address: str,
    body: bytes,
    now: int,
) -> RequestProofClaims:
    """Verify that the phone made exactly this request, now. Whether it repeats is asked elsewhere.

    Args:
        unverified_proof: the compact JWS.
        expected_key: the phone's request key.
        method: HTTP method.
        address: scheme://host[:port]/path, as our settings name this server.
        body: the request's body, empty if there is none.
        now: Unix seconds.

    Raises:
        MalformedMessage: another key, method, address or body, or too old.
    """
    claims = verify_jws(
        unverified_proof, RequestProofClaims, expected_typ=TYP, expected_key=expected_key
    )
    if claims.htm != method or claims.htu != address:
        raise MalformedMessage("a proof for another request")
    if claims.body != (sha256(body) if body else None):
        raise MalformedMessage("a proof for another body")
    if abs(claims.iat - now) > ACCEPTED_SECONDS:
        raise MalformedMessage("a proof from another time: set the clock from the Date header")
    return claims
