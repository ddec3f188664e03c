"""Keys of a relying party: DPoP proofs and client assertions, made by joserfc alone."""

import base64
import hashlib
from typing import Any
from uuid import uuid4

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

Key = ECKey | RSAKey


def a_key() -> ECKey:
    """A P-256 key."""
    return ECKey.generate_key("P-256")


def changed(given: dict[str, Any], members: dict[str, Any]) -> dict[str, Any]:
    """With other members; those that are ``...`` left out."""
    return {name: value for name, value in (given | members).items() if value is not ...}


def proof(
    key: ECKey,
    url: str,
    *,
    at: float,
    token: str | None = None,
    header: dict[str, Any] | None = None,
    **claims: Any,  # noqa: ANN401  # claims of any kind
) -> str:
    """A DPoP proof (RFC 9449, 4.2); what is named replaces what it should have."""
    given: dict[str, Any] = {"htm": "POST", "htu": url, "iat": int(at), "jti": str(uuid4())}
    if token is not None:
        digest = hashlib.sha256(token.encode()).digest()
        given["ath"] = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    top = {"typ": "dpop+jwt", "alg": "ES256", "jwk": key.as_dict(private=False)}
    return jwt.encode(changed(top, header or {}), changed(given, claims), key)


def assertion(
    key: Key,
    client_id: str,
    audience: str,
    *,
    at: float,
    header: dict[str, Any] | None = None,
    **claims: Any,  # noqa: ANN401  # claims of any kind
) -> str:
    """A client's assertion (RFC 7523, 3); what is named replaces what it should have."""
    given: dict[str, Any] = {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "exp": int(at) + 60,
        "jti": str(uuid4()),
    }
    top = changed({"alg": "ES256"}, header or {})
    return jwt.encode(top, changed(given, claims), key, algorithms=[top["alg"]])
