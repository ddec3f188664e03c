"""Signing in by login and password, in a browser.

1. Which of the two is wrong is not said, nor that tries are paused; and the same work is done for a
   login that nobody has, and in a pause (T-17). A try is counted before it is checked; after five,
   pauses grow (T-16).
2. The envelope's password opens nothing but its own change, and no sign-in (R-042).
3. In a browser in which the signer signed in before, the tries there count and no others, so that
   who guesses elsewhere keeps nobody out (T-21); see :mod:`backend.signers.known_browsers`.
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
from backend.signers import known_browsers, password
from backend.signers.freeze import not_frozen
from backend.signers.registration import plain_login

log = logging.getLogger(__name__)


@final
class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """A signer whose password the SAM found right."""

    signer: UUID
    lang: str
    browser: str
    """What the browser is known by from now on; a secret of the browser."""


@final
class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody typed, and where."""

    login: str
    unverified_password: str
    unverified_browser: str = ""
    """What the browser says it is known by."""


def sign_in(session: Session, cells: Cells, typed: SignIn, *, now: datetime) -> SignedIn:
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
    count = _count_of(session, found, typed.unverified_browser, now=now)
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
    browser = known_browsers.remember(
        session, signer=found.id, unverified_token=typed.unverified_browser, now=now
    )
    if not found.may_go_on:
        raise SignerFrozen("the signer's access is locked")
    log.info("signed in", extra={"signer_id": found.id})
    return SignedIn(signer=found.id, lang=found.lang, browser=browser)


@final
class _Count(msgspec.Struct, frozen=True, kw_only=True):
    """Where a try counts."""

    tries: password.Tries
    add: Callable[[datetime], None]
    give_back: Callable[[], None]
    forget: Callable[[], None]
    """Does nothing in a known browser: those of the signer are left, others may have made them."""


def _count_of(
    session: Session, found: Row[*tuple[Any, ...]], browser: str, *, now: datetime
) -> _Count:
    signer: UUID = found.id
    known = known_browsers.tries_in(session, signer=signer, unverified_token=browser, now=now)
    if known is not None:
        return _Count(
            tries=known,
            add=lambda now: known_browsers.count_try(
                session, signer=signer, token=browser, tries=known, now=now
            ),
            give_back=lambda: known_browsers.give_try_back(session, signer=signer, token=browser),
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
