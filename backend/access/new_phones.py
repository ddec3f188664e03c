"""Who is calling, when a phone calls that is in no record yet: the holder of a key that it names.

It proves possession and nothing more. What the key may see is looked up by its thumbprint, which a
paired phone has read from the new one's screen.
"""

from datetime import UTC, datetime, timedelta

from backend.access.phones import UsedProof, proof_of
from backend.errors import MalformedMessage, Unauthenticated
from backend.protocol.jose import PublicJwk
from backend.protocol.request_proof import ACCEPTED_SECONDS, verify_request_proof


def prove_possession(
    *,
    authorization: str | None,
    unverified_key: PublicJwk,
    method: str,
    address: str,
    body: bytes,
    now: datetime,
) -> UsedProof:
    """Verify that who made this very request holds the key that came with it.

    Args:
        authorization: the header, as it came.
        unverified_key: the request key, as it came.
        method: HTTP method.
        address: scheme://host[:port]/path, as our settings name this server.
        body: the body.
        now: the time.

    Raises:
        Unauthenticated: no proof, or a false one.
    """
    try:
        claims = verify_request_proof(
            proof_of(authorization),
            expected_key=unverified_key,
            method=method,
            address=address,
            body=body,
            now=int(now.timestamp()),
        )
    except MalformedMessage as error:
        raise Unauthenticated(f"the request proof is not valid: {error}") from error
    expires_at = datetime.fromtimestamp(claims.iat, UTC) + timedelta(seconds=ACCEPTED_SECONDS + 1)
    return UsedProof(jti=claims.jti, expires_at=expires_at)
