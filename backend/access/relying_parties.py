"""Relying parties: who may ask for signatures, and the secret by which each is known.

1. The secret is 256 random bits, shown once; its SHA-256 is kept. That is enough for so long a
   secret, so a stolen database signs in nowhere and a sign-in costs no Argon2.
2. The name is what every signer will read of who asks: hostile ones are refused here (T-06).
3. A disabled relying party's tokens are void at once; its old transactions stay as evidence.
"""

import hmac
import logging
import re
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final, final
from uuid import uuid4

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.access.registrations import (
    COLUMNS,
    Registration,
    RegistrationChange,
    changed,
    columns_of,
    registration,
)
from backend.errors import AlreadyThere, NotFound, RequestRefused
from backend.model.tables import RelyingParty
from backend.protocol.encoding import sha256
from backend.summary.characters import check_name
from backend.summary.reading import LONGEST_NAME

log = logging.getLogger(__name__)

SECRET_BYTES: Final = 32
_CLIENT_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{2,63}")
"""No character of it needs to be escaped, in a form or in HTTP Basic."""
_AUTHORITY: Final = "authority"
"""Names the authority itself as the party that asks (``signing.request``)."""
_NOBODYS_SECRET: Final = bytes(32)
"""Compared with where there is no such client, so that both cases do the same work (T-17)."""


@final
class NewRelyingParty(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown once."""

    client_id: str
    client_secret: str
    name: str


@final
class KnownRelyingParty(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator sees."""

    client_id: str
    name: str
    asks_number: bool
    created_at: datetime
    disabled_at: datetime | None


def add_relying_party(
    session: Session,
    *,
    name: str,
    client_id: str | None,
    now: datetime,
    change: RegistrationChange | None = None,
) -> NewRelyingParty:
    """Let somebody ask. Commits.

    Args:
        session: in whose transaction it happens.
        name: as signers read it.
        client_id: ``None``: one is made.
        now: the time.
        change: what is registered in place of a secret and ``client_credentials`` alone.

    Raises:
        SummaryRefused: the name cannot be shown to a signer.
        RequestRefused: the client id has other characters than are allowed, or is the authority's;
            or what is to be registered is not fit.
        AlreadyThere: there is one of that client id.
    """
    check_name(name, field="name", longest=LONGEST_NAME)
    chosen = client_id or f"rp-{secrets.token_hex(8)}"
    if not _CLIENT_ID.fullmatch(chosen):
        raise RequestRefused("a client id has 3 to 64 of A-Z, a-z, 0-9, . _ -")
    if chosen == _AUTHORITY:
        raise RequestRefused("this client id means the authority itself")
    secret = secrets.token_urlsafe(SECRET_BYTES)
    wanted = changed(
        Registration(id=uuid4(), client_id=chosen, name=name), change or RegistrationChange()
    )
    row = {"id": wanted.id, "client_id": chosen, "name": name, "created_at": now}
    row |= columns_of(wanted)
    try:
        session.execute(insert(RelyingParty).values(secret_hash=_hash(secret), **row))
    except IntegrityError as error:
        session.rollback()
        raise AlreadyThere("there is a relying party of that client id") from error
    session.commit()
    log.info("relying party added", extra={"client_id": chosen})
    return NewRelyingParty(client_id=chosen, client_secret=secret, name=name)


def list_relying_parties(session: Session) -> Sequence[KnownRelyingParty]:
    """List all, the oldest first."""
    rows = session.execute(
        select(
            RelyingParty.client_id,
            RelyingParty.name,
            RelyingParty.asks_number,
            RelyingParty.created_at,
            RelyingParty.disabled_at,
        ).order_by(RelyingParty.created_at, RelyingParty.client_id)
    )
    return [KnownRelyingParty(**row._asdict()) for row in rows]


def disable_relying_party(session: Session, *, client_id: str, now: datetime) -> None:
    """Let it ask no more; who is disabled already stays so. Commits.

    Raises:
        NotFound: there is none of that client id.
    """
    which = RelyingParty.client_id == client_id
    if session.scalar(select(RelyingParty.id).where(which)) is None:
        raise NotFound("no such relying party")
    session.execute(
        update(RelyingParty)
        .where(which, RelyingParty.disabled_at.is_(None))
        .values(disabled_at=now)
        .execution_options(synchronize_session=False)
    )
    session.commit()
    log.warning("relying party disabled", extra={"client_id": client_id})


def relying_party_by_secret(
    session: Session, *, unverified_client_id: str, unverified_secret: str
) -> Registration | None:
    """Find the relying party whose secret this is, in constant time; a disabled one is nobody."""
    found = None
    if _CLIENT_ID.fullmatch(unverified_client_id):
        found = session.execute(
            select(*COLUMNS, RelyingParty.secret_hash).where(
                RelyingParty.client_id == unverified_client_id,
                RelyingParty.disabled_at.is_(None),
            )
        ).one_or_none()
    expected = _NOBODYS_SECRET if found is None else found.secret_hash
    is_right = hmac.compare_digest(_hash(unverified_secret), expected)
    return registration(found) if found is not None and is_right else None


def _hash(secret: str) -> bytes:
    return bytes(sha256(secret.encode("utf-8", "replace")))
