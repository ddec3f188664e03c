"""Browsers in which a signer has signed in: there the tries are counted apart (T-21).

1. Whoever guesses elsewhere makes nobody wait who signs in where it went well before. What is wrong
   there counts for that browser alone, by the same rules and with the same pauses (T-16).
2. A browser is known by a cookie of 256 random bits, of which only the SHA-256 is kept. It signs
   nobody in: it only says where a try counts.
3. So many of a signer are known and no more: each is one more place to guess from. With a new
   password all others are forgotten, for who knew the old one may be among them.
"""

import secrets
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Uuid, delete, literal, select, update
from sqlalchemy.orm import Session

from backend.errors import NothingTried
from backend.model.base import Instant
from backend.model.tables import KnownBrowser
from backend.model.upsert import is_postgresql, upsert
from backend.signers.password import Tries

MOST_BROWSERS: Final = 5
LIFE: Final = timedelta(days=180)
TOKEN_BYTES: Final = 32
TOKEN_LENGTH: Final = 43


def tries_in(
    session: Session, *, signer: UUID, unverified_token: str, now: datetime
) -> Tries | None:
    """Read the tries in a browser; ``None``: it is not known. Commits, which ends the read."""
    if len(unverified_token) != TOKEN_LENGTH:
        return None
    row = session.execute(
        select(KnownBrowser.tries, KnownBrowser.tried_at).where(
            KnownBrowser.token_hash == _hash(unverified_token),
            KnownBrowser.signer_id == signer,
            KnownBrowser.expires_at > now,
        )
    ).one_or_none()
    session.commit()
    return None if row is None else Tries(used=row.tries, last_at=row.tried_at)


def count_try(session: Session, *, signer: UUID, token: str, tries: Tries, now: datetime) -> None:
    """Count a try before it is checked. Commits, so that a crash does not forget it.

    Raises:
        NothingTried: another try was counted there meanwhile.
    """
    counted = session.execute(
        update(KnownBrowser)
        .where(
            KnownBrowser.token_hash == _hash(token),
            KnownBrowser.signer_id == signer,
            KnownBrowser.tries == tries.used,
        )
        .values(tries=tries.still_counting(now) + 1, tried_at=now)
        .returning(KnownBrowser.signer_id)
        .execution_options(synchronize_session=False)
    ).first()
    session.commit()
    if counted is None:
        raise NothingTried("another try is running")


def give_try_back(session: Session, *, signer: UUID, token: str) -> None:
    """Undo a count where nobody could check the password. Commits."""
    session.execute(
        update(KnownBrowser)
        .where(
            KnownBrowser.token_hash == _hash(token),
            KnownBrowser.signer_id == signer,
            KnownBrowser.tries > 0,
        )
        .values(tries=KnownBrowser.tries - 1)
        .execution_options(synchronize_session=False)
    )
    session.commit()


def remember(session: Session, *, signer: UUID, unverified_token: str, now: datetime) -> str:
    """A signer has signed in there; what was wrong there before is forgotten. Commits.

    Returns:
        What the browser is known by from now on. A browser in which others sign in keeps its own.
    """
    known = len(unverified_token) == TOKEN_LENGTH and unverified_token.isascii()
    token = unverified_token if known else secrets.token_urlsafe(TOKEN_BYTES)
    fresh: dict[str, ColumnElement[Any]] = {
        "tries": literal(0),
        "tried_at": literal(None, Instant()),
        "expires_at": literal(now + LIFE, Instant()),
    }
    session.execute(
        upsert(
            KnownBrowser,
            {
                "token_hash": literal(_hash(token)),
                "signer_id": literal(signer, Uuid()),
                **fresh,
            },
            otherwise=fresh,
            where=KnownBrowser.signer_id == signer,
            on_postgresql=is_postgresql(session),
        )
    )
    newest = (
        select(KnownBrowser.token_hash)
        .where(KnownBrowser.signer_id == signer)
        .order_by(KnownBrowser.expires_at.desc(), KnownBrowser.token_hash)
        .limit(MOST_BROWSERS)
    )
    _delete(session, signer, keep=[*session.scalars(newest), _hash(token)])
    session.commit()
    return token


def forget_others(session: Session, *, signer: UUID, token: str) -> None:
    """Forget all browsers of a signer but one. Does not commit."""
    _delete(session, signer, keep=[_hash(token)])


def _delete(session: Session, signer: UUID, *, keep: list[bytes]) -> None:
    session.execute(
        delete(KnownBrowser)
        .where(KnownBrowser.signer_id == signer, KnownBrowser.token_hash.not_in(keep))
        .execution_options(synchronize_session=False)
    )


def _hash(token: str) -> bytes:
    return sha256(token.encode(errors="replace")).digest()
