"""DPoP (RFC 9449): the bearer of a token proves, for each request, that it holds a key.

1. ES256 alone, and the key stands in the proof's header: what else stands there is not obeyed.
2. A proof is for one method and address as our settings name it, for a minute around its ``iat``,
   and counts once.
3. With a token it names that token's hash; which key a token wants is asked by who calls us.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal, final

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from sqlalchemy.orm import Session

from backend.access.used_ids import use_up
from backend.errors import DpopRefused, MalformedMessage, ProofReplayed
from backend.protocol.ask import UnixSeconds
from backend.protocol.encoding import Octets32, ascii_bytes, b64u, sha256, unb64u
from backend.protocol.known_types import known

TYP: Final = "dpop+jwt"
ALGORITHM: Final = "ES256"
ACCEPTED_SECONDS: Final = 60
"""A proof is accepted this long before and after its ``iat``."""
LONGEST_PROOF: Final = 4096
JWS_PARTS: Final = 3
_REGISTRY: Final = jws.JWSRegistry(algorithms=[ALGORITHM])

_Short = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


@final
class _Key(msgspec.Struct, frozen=True, kw_only=True):
    """A P-256 key; members that say what it is for are passed over, a private one is not."""

    kty: Literal["EC"]
    crv: Literal["P-256"]
    x: _Short
    y: _Short
    d: None = None


@final
class _Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    typ: Literal["dpop+jwt"]
    alg: Literal["ES256"]
    jwk: _Key
    kid: str | None = None


@final
class _Claims(msgspec.Struct, frozen=True, kw_only=True):
    htm: str
    htu: Annotated[str, msgspec.Meta(max_length=2000)]
    iat: UnixSeconds
    jti: _Short
    ath: str | None = None


@final
class DpopRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a proof must be for."""

    method: str
    address: str
    """scheme://host[:port]/path, as our settings name this server."""
    token: str | None
    """``None`` where there is none yet: at the token end point."""


def verify_dpop(
    session: Session, unverified_proof: str, expected: DpopRequest, *, now: datetime
) -> bytes:
    """Verify a proof and use it up. Does not commit.

    Returns:
        The thumbprint (RFC 7638, SHA-256) of the key that made it.

    Raises:
        DpopRefused: it is not valid, not for this, or came before.
    """
    try:
        key, claims = _read(unverified_proof)
        _check(claims, expected, now)
        thumbprint = unb64u(key.thumbprint())
        use_up(
            session,
            claims.jti,
            purpose=TYP,
            maker=b64u(thumbprint),
            until=datetime.fromtimestamp(claims.iat, UTC) + timedelta(seconds=ACCEPTED_SECONDS + 1),
        )
    except (MalformedMessage, ProofReplayed) as error:
        raise DpopRefused(f"the DPoP proof is not valid: {error}") from error
    return thumbprint


def _read(unverified: str) -> tuple[ECKey, _Claims]:
    ascii_bytes(unverified, longest=LONGEST_PROOF)
    parts = unverified.split(".")
    if len(parts) != JWS_PARTS:
        raise MalformedMessage("not a compact JWS")
    try:
        header = msgspec.json.decode(unb64u(parts[0]), type=known(_Header))
        jwk: dict[str, Any] = {name: getattr(header.jwk, name) for name in ("kty", "crv", "x", "y")}
        key = ECKey.import_key(jwk)
        verified = jws.deserialize_compact(unverified, key, registry=_REGISTRY)
        return key, msgspec.json.decode(verified.payload, type=known(_Claims))
    except (JoseError, ValueError, msgspec.MsgspecError) as error:
        raise MalformedMessage("no proof of this kind, or its signature is not valid") from error


def _check(claims: _Claims, expected: DpopRequest, now: datetime) -> None:
    if claims.htm != expected.method or _without_query(claims.htu) != expected.address:
        raise MalformedMessage("a proof for another request")
    if abs(claims.iat - int(now.timestamp())) > ACCEPTED_SECONDS:
        raise MalformedMessage("a proof from another time")
    if expected.token is not None and claims.ath != b64u(sha256(expected.token.encode())):
        raise MalformedMessage("a proof for another token")


def _without_query(htu: str) -> str:
    """RFC 9449, 4.3: query and fragment are ignored."""
    return htu.partition("#")[0].partition("?")[0]


def jkt(thumbprint: bytes) -> str:
    """Write what a token is bound to by DPoP."""
    return f"jkt:{b64u(Octets32(thumbprint))}"
