"""A signer changes the password in a browser: locks are sealed again, key and cell stay (R-015).

1. The old password is checked as at a sign-in, with the same counts and the same work (T-16, T-17);
   whether the new one is fit is said first, as that depends on nothing of the signer.
2. The SAM makes verifier and locks; they are written in one commit, unless another request changed
   the password, or a lock, meanwhile. With it every session of the signer ends (ASVS 7.4.3), and no
   other browser is known any more.
3. The envelope's password is changed here only where its signer may approve without a phone: who is
   to pair one changes it there, with the envelope (R-042). To everybody else the page says that it
   is wrong.
"""

import logging
from datetime import datetime
from typing import Any, Final, final
from uuid import UUID

import msgspec
from sqlalchemy import Row, select, update
from sqlalchemy.orm import Session

from backend.access.sessions import end_sessions_of
from backend.devices.enrolment.held import password_locks, refuse_changed
from backend.devices.enrolment.resealing import reseal
from backend.errors import (
    HsmUnavailable,
    PasswordUnfit,
    RequestRefused,
    SamUnavailable,
    SignerFrozen,
    TooManyTries,
    WrongPassword,
)
from backend.model.tables import Signer
from backend.protocol.jose import PublicJwk
from backend.protocol.record import verify_record
from backend.sam.cells import Cells, ChangedPassword, PasswordLock
from backend.signers import password
from backend.signers.freeze import not_frozen
from backend.signers.known_browsers import forget_others
from backend.signers.registration import plain_first_password, plain_login
from backend.signers.sign_in import SignedIn, SignIn, sign_in

log = logging.getLogger(__name__)

WITHOUT_PHONE: Final = frozenset({"password+sms", "password+totp", "password+hotp"})
"""Methods of a record that need no phone."""


@final
class _Held(msgspec.Struct, frozen=True, kw_only=True):
    """What the SAM changes a password by."""

    signer: UUID
    verifier: bytes
    old_hash: bytes
    new_hash: bytes
    locks: dict[UUID, PasswordLock]
    browser: str
    """The one that stays known."""


def change_own_password(
    session: Session,
    cells: Cells,
    typed: SignIn,
    *,
    new_password: str,
    now: datetime,
) -> SignedIn:
    """Change the password of who knows the old one. Commits.

    Raises:
        PasswordUnfit: the new one does not keep the rules, or is the old one; nothing was tried.
        WrongPassword: login or password is wrong, or nothing was checked after too many tries.
        TooManyTries: too many people sign in now, or another try or change runs.
        SignerFrozen: they are right, but the signer's access is locked.
        SamUnavailable: the SAM does not answer; nothing changed.
    """
    password.check_rules(new_password, login=plain_login(typed.login))
    if new_password == typed.unverified_password:
        raise PasswordUnfit("choose another password than before", rule="same")
    signed_in = sign_in(session, cells, typed, now=now)
    row = session.execute(
        select(Signer.password_salt, Signer.password_verifier).where(Signer.id == signed_in.signer)
    ).one()
    held = _Held(
        signer=signed_in.signer,
        verifier=row.password_verifier,
        old_hash=password.argon2_hash(typed.unverified_password, row.password_salt),
        new_hash=password.argon2_hash(new_password, row.password_salt),
        locks=_locks(session, signed_in.signer),
        browser=signed_in.browser,
    )
    _keep(session, held, _changed(session, cells, held))
    log.info("password changed", extra={"signer_id": signed_in.signer})
    return signed_in


def change_first_password(
    session: Session,
    cells: Cells,
    typed: SignIn,
    *,
    new_password: str,
    ks: PublicJwk,
    now: datetime,
) -> None:
    """Put a password of one's own in place of the envelope's. Commits.

    Raises:
        PasswordUnfit: the new one does not keep the rules, or is the old one; nothing was tried.
        WrongPassword: login or password is wrong, or this signer is to pair a phone instead.
        TooManyTries: too many people sign in now, or another try or change runs.
        SignerFrozen: they are right, but the signer's access is locked.
        SamUnavailable: the SAM does not answer; the try does not count.
    """
    password.check_rules(new_password, login=plain_login(typed.login))
    first = plain_first_password(typed.unverified_password)
    if plain_first_password(new_password) == first:
        raise PasswordUnfit("choose another password than the envelope's", rule="same")
    found = _find_due(session, typed.login, ks=ks)
    if found is None:
        password.argon2_for_nobody(first)
        password.argon2_for_nobody(new_password)
        raise WrongPassword("login or password is wrong")
    tries = password.Tries(used=found.password_tries, last_at=found.password_tried_at)
    try:
        password.refuse_paused(tries, now=now)
    except TooManyTries as pause:
        password.argon2_for_nobody(first)
        password.argon2_for_nobody(new_password)
        raise WrongPassword("too many wrong passwords") from pause
    held = _Held(
        signer=found.id,
        verifier=found.password_verifier,
        old_hash=password.argon2_hash(first, found.password_salt),
        new_hash=password.argon2_hash(new_password, found.password_salt),
        locks=_locks(session, found.id),
        browser="",
    )
    password.count_try(session, signer=found.id, tries=tries, now=now)
    try:
        changed = _changed(session, cells, held)
    except (SamUnavailable, HsmUnavailable):
        password.give_try_back(session, signer=found.id)
        raise
    if not found.may_go_on:
        raise SignerFrozen("the signer's access is locked")
    _keep(session, held, changed)
    log.info("first password changed", extra={"signer_id": found.id})


def _find_due(session: Session, login: str, *, ks: PublicJwk) -> Row[*tuple[Any, ...]] | None:
    """Find a signer who still has the envelope's password, and may approve without a phone."""
    typed = plain_login(login)
    if not typed.isprintable() or not typed.isascii():
        return None
    found = session.execute(
        select(
            Signer.id,
            Signer.password_salt,
            Signer.password_verifier,
            Signer.password_tries,
            Signer.password_tried_at,
            not_frozen(Signer.id).label("may_go_on"),
        ).where(
            Signer.login == typed,
            Signer.password_verifier.is_not(None),
            Signer.password_change_due,
        )
    ).one_or_none()
    locks = {} if found is None else password_locks(session, found.id)
    session.commit()
    records = (verify_record(lock.record, expected_ks=ks) for lock in locks.values())
    allowed = any(WITHOUT_PHONE & set(record.policy.methods) for record in records)
    return found if allowed else None


def _locks(session: Session, signer: UUID) -> dict[UUID, PasswordLock]:
    locks = password_locks(session, signer)
    session.commit()
    return locks


def _changed(session: Session, cells: Cells, held: _Held) -> ChangedPassword:
    try:
        return password.change(
            cells,
            signer=held.signer,
            old_hash=held.old_hash,
            new_hash=held.new_hash,
            verifier=held.verifier,
            locks=tuple(held.locks.values()),
        )
    except RequestRefused:
        refuse_changed(session, signer=held.signer, verifier=held.verifier)
        raise


def _keep(session: Session, held: _Held, changed: ChangedPassword) -> None:
    """Write verifier and locks, unless another request changed the password meanwhile. Commits."""
    kept = session.execute(
        update(Signer)
        .where(Signer.id == held.signer, Signer.password_verifier == held.verifier)
        .values(password_verifier=changed.verifier, password_change_due=False, password_tries=0)
        .returning(Signer.id)
    ).first()
    if kept is None or not reseal(session, held.locks, changed.locks):
        session.rollback()
        raise TooManyTries("another change is running", retry_after_seconds=1)
    end_sessions_of(session, held.signer)
    forget_others(session, signer=held.signer, token=held.browser)
    session.commit()
