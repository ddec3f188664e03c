"""A signer asks that a code may stand for the phone: SMS, or an authenticator app.

1. It takes the password, for an authenticator a first code of it, and then the paired phone:
   nothing changes before the phone has approved (``credentials/amendment.py``).
2. Password and first code are counted and the counts committed before they are checked; the
   password's are those of the sign-in (T-16), a seed has three (T-15).
3. A seed is shown once. Of a cell's seeds the record says which counts; asking for another one
   throws away those that do not, and what the phone was asked with them.
4. What is asked is within the installation's bounds as they are now, and the phone shows them.
5. Who knows the password wears nobody out by asking (T-01): so many times an hour, of which the
   first wake the phone; "not me" gives an hour of rest.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, final
from uuid import UUID

import msgspec
from pyotp import HOTP, TOTP
from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.orm import Session

from backend.delivery.outbox import enqueue_push
from backend.errors import (
    CellkeyError,
    NotFound,
    TransactionOver,
    WrongPassword,
)
from backend.model.tables import (
    SEED_ROWS,
    Amendment,
    Signer,
    TotpSeed,
    Transaction,
    TransactionState,
)
from backend.protocol.approval import CodeMethod, SeedMethod
from backend.protocol.ask import AskingParty
from backend.protocol.codes import DIGITS
from backend.protocol.encoding import sha256
from backend.protocol.names import readable_name
from backend.sam.amending import (
    Amendments,
    MakeSeed,
    OpenAmendment,
    OpenedAmendment,
)
from backend.settings import Settings
from backend.signers import password
from backend.signers.code_caps import code_caps
from backend.signing.amendable import (
    KIND,
    asked_lately,
    count_first_code,
    end_asked,
    named_seed,
    pending_seed,
    read_amendable,
    refuse_often,
    typed_first_code,
)
from backend.signing.askable import language
from backend.signing.moves import state_at
from backend.signing.number import new_number
from backend.signing.request import AUTHORITY

log = logging.getLogger(__name__)

MOST_PUSHES: Final = 3
"""In an hour; the others lie in the phone's list."""
_NO_SYNC: Final = {"synchronize_session": False}


@final
class NewAuthenticator(msgspec.Struct, frozen=True, kw_only=True):
    """What an authenticator app takes. Shown once; kept nowhere in clear."""

    uri: str
    """``otpauth://``, for a QR code."""
    seed: str
    """Base32, to be typed."""


@final
class AskedAmendment(msgspec.Struct, frozen=True, kw_only=True):
    """The phone is asked."""

    transaction: UUID
    number: str
    """Two digits that the page shows and the phone wants."""
    expires_at: datetime


@final
class Amending(msgspec.Struct, frozen=True, kw_only=True):
    """How far it is."""

    done: bool
    """Whether the phone's yes has become the record's."""
    wait_id: UUID
    """By which a page may wait."""


def begin_authenticator(
    session: Session,
    amendments: Amendments,
    *,
    signer: UUID,
    method: SeedMethod,
    settings: Settings,
    now: datetime,
) -> NewAuthenticator:
    """Make a seed for an authenticator app. Commits.

    Raises:
        NotFound: the signer has no certificate, or no phone.
        SignerFrozen: the signer's access is locked.
    """
    held = read_amendable(session, signer)
    made = amendments.make_seed(MakeSeed(record=held.record, method=method))
    end_asked(session, held.cell, TransactionState.PENDING, TransactionState.APPROVED)
    seeds, named = SEED_ROWS[method], named_seed(held.record, method)
    session.execute(
        delete(seeds)
        .where(seeds.cell_id == held.cell, seeds.seed_hash != (named or b""))
        .execution_options(**_NO_SYNC)
    )
    row = {
        "seed_hash": made.seed_hash,
        "cell_id": held.cell,
        "sealed": made.sealed,
        "tries": 0,
        "created_at": now,
    }
    session.execute(insert(seeds).values(row))
    session.commit()
    kind = TOTP if method == "password+totp" else HOTP
    app = kind(made.seed, digits=DIGITS, name=held.login, issuer=settings.ca_name)
    return NewAuthenticator(uri=app.provisioning_uri(), seed=made.seed)


def ask_amendment(
    session: Session,
    amendments: Amendments,
    *,
    signer: UUID,
    method: CodeMethod,
    unverified_password: str,
    unverified_code: str | None,
    settings: Settings,
    now: datetime,
) -> AskedAmendment:
    """Ask the signer's phone whether a method by code shall be allowed. Commits.

    Args:
        session: no transaction of it is open while the SAM works.
        amendments: the SAM, as far as loosening goes.
        signer: who signed in to the page.
        method: what is to be allowed.
        unverified_password: as it was typed.
        unverified_code: a first code of the authenticator, for these methods alone.
        settings: the installation's bounds and name.
        now: the time.

    Raises:
        NotFound: no certificate, phone, password, or seed.
        SignerFrozen: the signer's access is locked.
        WrongPassword: the password is wrong.
        WrongCode: the first code is wrong.
        TooManyTries: of either.
        TooManyRequests: the phone was asked too often, or its owner said "not me".
        AmendmentRefused: a rule of the SAM was not kept.
        SamUnavailable: the SAM does not answer; no try counts.
    """
    if method == "password+sms" and not settings.sends_sms:
        raise NotFound("no text can be sent here")
    held = read_amendable(session, signer)
    if held.lock is None:
        raise NotFound("there is no password that opens this cell: set one first")
    refuse_often(session, held.cell, now)
    seed = None if method == "password+sms" else pending_seed(session, held, method)
    code = None if seed is None else typed_first_code(unverified_code or "", seed.tries)
    tries = password.Tries(used=held.password_tries, last_at=held.password_tried_at)
    password.refuse_paused(tries, now=now)
    hashed = password.argon2_hash(unverified_password, held.password_salt)
    if method != "password+sms" and seed is not None:
        count_first_code(session, seed.seed_hash, method)
    password.count_try(session, signer=signer, tries=tries, now=now)
    exp = int(now.timestamp()) + settings.transaction_seconds
    asked = OpenAmendment(
        record=held.record,
        method=method,
        **code_caps(settings),
        lock=held.lock,
        password_hash=hashed,
        number=held.number,
        seed=None if seed is None else seed.sealed,
        code=code,
        name=readable_name(held.subject),
        rp=AskingParty(id=AUTHORITY, name=settings.ca_name),
        lang=language(held.lang),
        zone=held.zone,
        exp=exp,
        use_by=exp + settings.use_seconds,
    )
    opened = _ask_the_sam(
        lambda: amendments.open_amendment(asked),
        give_back=lambda: password.give_try_back(session, signer=signer),
    )
    return _keep(session, held, asked, opened, now=now)


def _ask_the_sam(
    call: Callable[[], OpenedAmendment], *, give_back: Callable[[], None]
) -> OpenedAmendment:
    """Give the password's try back where the SAM never looked at the password."""
    try:
        return call()
    except WrongPassword:
        raise
    except CellkeyError:
        give_back()
        raise


def _keep(
    session: Session,
    held: Row[*tuple[Any, ...]],
    asked: OpenAmendment,
    opened: OpenedAmendment,
    *,
    now: datetime,
) -> AskedAmendment:
    """Write the ask in place of an earlier one that nobody answered."""
    ask, number = opened.opened, new_number()
    expires_at = datetime.fromtimestamp(asked.exp, UTC)
    # First, as it locks the signer's row: two who ask at once are counted one after the other.
    session.execute(update(Signer).where(Signer.id == held.signer).values(password_tries=0))
    earlier, _ = asked_lately(session, held.cell, now)
    end_asked(session, held.cell, TransactionState.PENDING)
    row = {
        "id": ask.id,
        "kind": KIND,
        "cell_id": held.cell,
        "signer_id": held.signer,
        "epoch": ask.epoch,
        "state": TransactionState.PENDING,
        "ask": ask.ask,
        "tx_hash": ask.tx_hash,
        "number": number,
        "created_at": now,
        "expires_at": expires_at,
        "use_by": datetime.fromtimestamp(asked.use_by, UTC),
    }
    session.execute(insert(Transaction).values(row))
    replaces = sha256(asked.lock.encode("ascii", "replace"))
    amendment = {"transaction_id": ask.id, "lock": opened.lock, "replaces": bytes(replaces)}
    session.execute(insert(Amendment).values(amendment))
    if opened.step is not None:
        session.execute(
            update(TotpSeed)
            .where(TotpSeed.cell_id == held.cell, TotpSeed.sealed == asked.seed)
            .values(used_step=opened.step)
            .execution_options(**_NO_SYNC)
        )
    if earlier < MOST_PUSHES:
        enqueue_push(session, transaction=ask.id, cell=held.cell, now=now, expires_at=expires_at)
    session.commit()
    log.info("amendment asked", extra={"transaction_id": ask.id, "method": asked.method})
    return AskedAmendment(transaction=ask.id, number=number, expires_at=expires_at)


def amended(session: Session, *, transaction: UUID, signer: UUID, now: datetime) -> Amending:
    """Tell a page how far it is. Commits, which ends the read.

    Raises:
        NotFound: there is no such ask of this signer.
        TransactionOver: it was refused, or is too late.
    """
    found = session.execute(
        select(
            Transaction.state, Transaction.expires_at, Transaction.use_by, Transaction.wait_id
        ).where(
            Transaction.id == transaction,
            Transaction.signer_id == signer,
            Transaction.kind == KIND,
        )
    ).one_or_none()
    session.commit()
    if found is None:
        raise NotFound("no such request")
    state = state_at(found.state, expires_at=found.expires_at, use_by=found.use_by, now=now)
    waits = state in {TransactionState.PENDING, TransactionState.APPROVED}
    if not waits and state is not TransactionState.REDEEMED:
        raise TransactionOver(state)
    return Amending(done=not waits, wait_id=found.wait_id)
