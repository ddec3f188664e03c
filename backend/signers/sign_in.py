"""Signing in by login and password, in a browser.

1. Which of the two is wrong is not said, nor that tries are paused; and the same work is done for a
   login that nobody has, and in a pause (T-17). A try is counted before it is checked; after five,
   pauses grow (T-16).
2. The envelope's password opens nothing but its own change, and no sign-in (R-042).
3. At a place from which the signer signed in before, the tries there count and no others, so that
   who guesses elsewhere keeps nobody out (T-21); see :mod:`backend.signers.known_places`.
4. A sign-in shows nothing and signs nothing: it only tells whom to ask.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any, final
from uuid import UUID

import msgspec
from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from backend.errors import (
    HsmUnavailable,
    SamUnavailable,
    SignerFrozen,
    TooManyTries,
    WrongPassword,
)
from backend.model.tables import Signer
from backend.sam.cells import Cells
from backend.signers import password
from backend.signers.freeze import not_frozen
from backend.signers.known_places import KnownPlaces
from backend.signers.registration import plain_login

log = logging.getLogger(__name__)


@final
class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """A signer whose password the SAM found right."""

    signer: UUID
    lang: str


@final
class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody typed, and where."""

    login: str
    unverified_password: str
    place: str
    """The network that the address counts for."""


def sign_in(
    session: Session, cells: Cells, places: KnownPlaces, typed: SignIn, *, now: datetime
) -> SignedIn:
    """Check login and password. Commits.

    Raises:
        WrongPassword: one of them is wrong, or nothing was checked after too many tries.
        TooManyTries: too many people sign in now, or another try runs; nothing was checked.
        SignerFrozen: they are right, but the signer's access is locked.
        SamUnavailable: the SAM does not answer; the try does not count.
    """
    unverified_password = typed.unverified_password
    found = _find(session, typed.login)
    if found is None:
        password.argon2_for_nobody(unverified_password)
        raise WrongPassword("login or password is wrong")
    count = _count_of(session, places, found, typed.place)
    try:
        password.refuse_paused(count.tries, now=now)
    except TooManyTries as pause:
        log.info("a sign-in came in a pause", extra={"signer_id": found.id})
        password.argon2_for_nobody(unverified_password)
        raise WrongPassword("too many wrong passwords") from pause
    hashed = password.argon2_hash(unverified_password, found.password_salt)
    count.add(now)
    try:
        password.check(
            cells,
            signer=found.id,
            password_hash=hashed,
            verifier=found.password_verifier,
            ask=None,
        )
    except (SamUnavailable, HsmUnavailable):
        count.give_back()
        raise
    count.forget()
    places.remember(found.id, typed.place)
    if not found.may_go_on:
        raise SignerFrozen("the signer's access is locked")
    log.info("signed in", extra={"signer_id": found.id})
    return SignedIn(signer=found.id, lang=found.lang)


@final
class _Count(msgspec.Struct, frozen=True, kw_only=True):
    """Where a try counts."""

    tries: password.Tries
    add: Callable[[datetime], None]
    give_back: Callable[[], None]
    forget: Callable[[], None]
    """Does nothing at a known place: it leaves those of the signer, which others may have made."""


def _count_of(
    session: Session, places: KnownPlaces, found: Row[*tuple[Any, ...]], place: str
) -> _Count:
    signer: UUID = found.id
    known = places.tries(signer, place)
    if known is not None:
        return _Count(
            tries=known,
            add=lambda now: places.count(signer, place, known, now=now),
            give_back=lambda: places.give_back(signer, place),
            forget=lambda: None,
        )
    tries = password.Tries(used=found.password_tries, last_at=found.password_tried_at)
    return _Count(
        tries=tries,
        add=lambda now: password.count_try(session, signer=signer, tries=tries, now=now),
        give_back=lambda: password.give_try_back(session, signer=signer),
        forget=lambda: password.forget_tries(session, signer=signer),
    )


def _find(session: Session, login: str) -> Row[*tuple[Any, ...]] | None:
    """Read a signer who has a password of their own. Commits, which ends the read."""
    typed = plain_login(login)
    if not typed.isprintable() or not typed.isascii():
        return None
    found = session.execute(
        select(
            Signer.id,
            Signer.lang,
            Signer.password_salt,
            Signer.password_verifier,
            Signer.password_tries,
            Signer.password_tried_at,
            not_frozen(Signer.id).label("may_go_on"),
        ).where(
            Signer.login == typed,
            Signer.password_verifier.is_not(None),
            Signer.password_change_due.is_(False),
        )
    ).one_or_none()
    session.commit()
    return found
