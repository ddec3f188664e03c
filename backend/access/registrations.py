"""Relying parties as OAuth clients: what an operator registered of each, and nothing else counts.

1. A redirect URI is compared as a whole, character by character (RFC 9700, 2.1). It is https, or
   http on the relying party's own machine; no scheme of an app's own, which another app could take
   (T-46).
2. Who has no redirect URI gets no codes; who has no ``credential`` scope asks signers by CSC alone.
3. Keys are public, and of algorithms whose signatures we verify.
"""

import logging
import re
from typing import Any, Final, final
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, RSAKey
from sqlalchemy import Row, select, update
from sqlalchemy.orm import Session

from backend.access.client_certificates import read_der
from backend.errors import NotFound, RequestRefused
from backend.model.tables import RelyingParty
from backend.protocol.encoding import sha256
from backend.web_addresses import is_safe

log = logging.getLogger(__name__)

SECRET_METHODS: Final = ("client_secret_basic", "client_secret_post")
KEY_METHOD: Final = "private_key_jwt"
CERTIFICATE_METHODS: Final = ("tls_client_auth", "self_signed_tls_client_auth")
"""Both compare the whole certificate; the first says that an authority issued it."""
AUTH_METHODS: Final = (*SECRET_METHODS, KEY_METHOD, *CERTIFICATE_METHODS)
CODE: Final = "authorization_code"
REFRESH: Final = "refresh_token"
BY_ITSELF: Final = "client_credentials"
GRANTS: Final = (BY_ITSELF, CODE, REFRESH)
SCOPES: Final = ("service", "credential")

MOST_URIS: Final = 20
LONGEST_URI: Final = 1000
_HOST: Final = re.compile(r"[a-z0-9.:-]+")
"""The origin stands in a page's policy, which other characters would end."""
LONGEST_JWKS: Final = 32 * 1024
SHORTEST_RSA_BITS: Final = 2048


@final
class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """What is registered of a relying party that may ask."""

    id: UUID
    client_id: str
    name: str
    auth_methods: tuple[str, ...] = SECRET_METHODS
    grants: tuple[str, ...] = (BY_ITSELF,)
    scopes: tuple[str, ...] = SCOPES[:1]
    redirect_uris: tuple[str, ...] = ()
    jwks: str | None = None
    certificate: bytes | None = None
    asks_number: bool = False
    """Whether phones must name the number that our page shows (T-01)."""


@final
class RegistrationChange(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator changes; an empty member stays as it is."""

    auth_methods: tuple[str, ...] = ()
    grants: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    redirect_uris: tuple[str, ...] = ()
    jwks: str | None = None
    certificate: str | None = None
    """PEM."""
    asks_number: bool | None = None


COLUMNS: Final = (
    RelyingParty.id,
    RelyingParty.client_id,
    RelyingParty.name,
    RelyingParty.auth_methods,
    RelyingParty.grants,
    RelyingParty.scopes,
    RelyingParty.redirect_uris,
    RelyingParty.jwks,
    RelyingParty.certificate,
    RelyingParty.asks_number,
)
"""What :func:`registration` reads."""


def registration(row: Row[*tuple[Any, ...]]) -> Registration:
    """Read what a row has of a relying party."""
    return Registration(
        id=row.id,
        client_id=row.client_id,
        name=row.name,
        auth_methods=tuple(row.auth_methods.split()),
        grants=tuple(row.grants.split()),
        scopes=tuple(row.scopes.split()),
        redirect_uris=tuple(row.redirect_uris.split()),
        jwks=row.jwks,
        certificate=row.certificate,
        asks_number=row.asks_number,
    )


def find_registration(session: Session, unverified_client_id: str) -> Registration | None:
    """Find a relying party that may ask; a disabled one is nobody. Commits, which ends the read."""
    if "\x00" in unverified_client_id or not unverified_client_id.isprintable():
        return None
    row = session.execute(
        select(*COLUMNS).where(
            RelyingParty.client_id == unverified_client_id, RelyingParty.disabled_at.is_(None)
        )
    ).one_or_none()
    session.commit()
    return None if row is None else registration(row)


def change_registration(
    session: Session, *, client_id: str, change: RegistrationChange
) -> Registration:
    """Change what is registered. Commits.

    Raises:
        NotFound: there is no such relying party, or it is disabled.
        RequestRefused: a value is not fit, or something that a method needs would be missing.
    """
    before = find_registration(session, client_id)
    if before is None:
        raise NotFound("no such relying party")
    after = changed(before, change)
    session.execute(
        update(RelyingParty)
        .where(RelyingParty.client_id == client_id, RelyingParty.disabled_at.is_(None))
        .values(columns_of(after))
        .execution_options(synchronize_session=False)
    )
    session.commit()
    log.warning("relying party changed", extra={"client_id": client_id})
    return after


def columns_of(wanted: Registration) -> dict[str, object]:
    """What a row keeps of it, beside who it is."""
    return {
        "auth_methods": " ".join(wanted.auth_methods),
        "grants": " ".join(wanted.grants),
        "scopes": " ".join(wanted.scopes),
        "redirect_uris": " ".join(wanted.redirect_uris),
        "jwks": wanted.jwks,
        "certificate": wanted.certificate,
        "asks_number": wanted.asks_number,
    }


def changed(before: Registration, change: RegistrationChange) -> Registration:
    """Apply a change.

    Raises:
        RequestRefused: a value is not fit, or something that a method needs would be missing.
    """
    after = msgspec.structs.replace(
        before,
        auth_methods=change.auth_methods or before.auth_methods,
        grants=change.grants or before.grants,
        scopes=change.scopes or before.scopes,
        redirect_uris=change.redirect_uris or before.redirect_uris,
        jwks=before.jwks if change.jwks is None else change.jwks,
        certificate=before.certificate if change.certificate is None else _pin(change.certificate),
        asks_number=before.asks_number if change.asks_number is None else change.asks_number,
    )
    _check(after)
    return after


def _pin(pem: str) -> bytes:
    try:
        return bytes(sha256(read_der(pem)))
    except ValueError as error:
        raise RequestRefused("the certificate is not one in PEM") from error


def _check(wanted: Registration) -> None:
    """Check that everything is known, and that each method has what it needs."""
    for words, known in (
        (wanted.auth_methods, AUTH_METHODS),
        (wanted.grants, GRANTS),
        (wanted.scopes, SCOPES),
    ):
        if not set(words) <= set(known):
            raise RequestRefused(f"one of {', '.join(known)}")
    if len(wanted.redirect_uris) > MOST_URIS:
        raise RequestRefused(f"at most {MOST_URIS} redirect URIs")
    for uri in wanted.redirect_uris:
        check_redirect_uri(uri)
    if wanted.jwks is not None:
        read_keys(wanted.jwks)
    _check_parts(wanted)


def _check_parts(wanted: Registration) -> None:
    if CODE in wanted.grants and not wanted.redirect_uris:
        raise RequestRefused("authorization_code needs a redirect URI")
    if REFRESH in wanted.grants and CODE not in wanted.grants:
        raise RequestRefused("refresh_token needs authorization_code")
    if KEY_METHOD in wanted.auth_methods and wanted.jwks is None:
        raise RequestRefused("private_key_jwt needs public keys")
    if set(CERTIFICATE_METHODS) & set(wanted.auth_methods) and wanted.certificate is None:
        raise RequestRefused("mutual TLS needs a certificate")


def check_redirect_uri(uri: str) -> None:
    """Check a redirect URI before it is registered.

    Raises:
        RequestRefused: it is not one that we would send a code to.
    """
    if len(uri) > LONGEST_URI or not uri.isascii() or not uri.isprintable() or " " in uri:
        raise RequestRefused("a redirect URI is ASCII, and not longer than that")
    try:
        parts = urlsplit(uri)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError as error:
        raise RequestRefused("this is no URI") from error
    if not _HOST.fullmatch(host) or not is_safe(parts) or "#" in uri or parts.username is not None:
        raise RequestRefused("a redirect URI is https, or http on its own machine; no fragment")


def read_keys(jwks: str) -> KeySet:
    """Read a JWK Set of public keys: P-256, or RSA of 2048 bits and more.

    Raises:
        RequestRefused: it is none.
    """
    if len(jwks) > LONGEST_JWKS:
        raise RequestRefused("the JWK Set is too long")
    try:
        keys = KeySet.import_key_set(msgspec.json.decode(jwks))
    except (JoseError, msgspec.MsgspecError, ValueError, TypeError, KeyError) as error:
        raise RequestRefused("this is no JWK Set") from error
    if not keys.keys or not all(_is_fit(key) for key in keys.keys):
        raise RequestRefused("public keys only: P-256, or RSA of 2048 bits and more")
    return keys


def _is_fit(key: object) -> bool:
    if isinstance(key, ECKey):
        return not key.is_private and key.curve_name == "P-256"
    if isinstance(key, RSAKey):
        return not key.is_private and key.public_key.key_size >= SHORTEST_RSA_BITS
    return False
