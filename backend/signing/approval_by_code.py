"""The signer approves by password and code, typed on our page (design, 9).

1. Whether a code may stand for a phone is the record's word, never the initiator's: where a phone
   is paired, an SMS is sent after the record's delay and counts from then on (T-24).
2. A code is counted and the count committed before it is checked, so that parallel guesses are
   counted too: three for a transaction, and ten wrong ones of a signer in a day (T-15). What nobody
   could check, as the SAM did not answer, is given back.
3. An SMS code is good for five minutes from when its SMS was due, as the SMS itself says.
4. A code of an authenticator is used up: one that goes by time in a commit of its own, before the
   approval is kept; one that counts by the record, in the same commit (``counted.py``).
5. The approval is kept like a phone's, by the same step: of two answers one is first, and a frozen
   signer has none.

The SAM keeps rules of its own (``sam/code_approvals.py``), and the door believes neither of us.
"""

import logging
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy.orm import Session

from backend.errors import (
    CodeRefused,
    HsmUnavailable,
    MalformedMessage,
    SamUnavailable,
    SignerFrozen,
    TooManyTries,
    TransactionOver,
    WrongCode,
)
from backend.model.tables import TransactionState
from backend.protocol.approval import CodeMethod
from backend.protocol.codes import typed_code, typed_codes
from backend.protocol.public_keys import PublicKeys
from backend.sam.transactions import (
    ApproveByCode,
    ApprovedByCode,
    RenderSms,
    SmsAddress,
    Transactions,
)
from backend.signers.password import argon2_hash
from backend.signing.approval import keep_approval
from backend.signing.code_asked import (
    MOST_TRIES,
    AskedByCode,
    SealedSeed,
    check_code_in_time,
    check_may_send,
    check_open,
    check_sms_due,
    read_asked,
    read_items,
    read_seed,
)
from backend.signing.code_tries import (
    count_sms,
    count_try,
    give_day_back,
    give_try_back,
    use_step_up,
)
from backend.signing.code_ways import Way as Way
from backend.signing.code_ways import WaysOut as WaysOut
from backend.signing.code_ways import ways_of
from backend.signing.counted import keep_counted
from backend.signing.texts import text_of

log = logging.getLogger(__name__)


def ways_out(
    session: Session, *, transaction: UUID, signer: UUID, now: datetime, public_keys: PublicKeys
) -> WaysOut:
    """Tell how a signer may approve without a phone. Commits, which ends the read.

    Raises:
        NotFound: there is no such transaction of this signer.
        MalformedMessage: a row holds what KS did not sign.
    """
    asked = read_asked(session, transaction=transaction, signer=signer)
    return ways_of(asked, ks=public_keys.ks, now=now)


def approve_by_code(
    session: Session,
    transactions: Transactions,
    *,
    transaction: UUID,
    signer: UUID,
    method: CodeMethod,
    unverified_password: str,
    unverified_code: str,
    now: datetime,
) -> TransactionState:
    """Approve in the signer's name. Commits.

    Args:
        session: in whose transactions it happens; none is open while the SAM works.
        transactions: the SAM, as far as transactions go.
        transaction: what is approved.
        signer: who signed in to the page.
        method: how.
        unverified_password: as it was typed.
        unverified_code: as it was typed.
        now: the time.

    Returns:
        ``approved``.

    Raises:
        NotFound: there is no such transaction of this signer.
        SignerFrozen: the signer's access is locked.
        TransactionOver: it was answered, or is too late.
        CodeRefused: there is no way by this code; the rule is the SAM's.
        WrongCode: the code is wrong, or was used.
        AlreadyThere: HOTP: the record went on meanwhile, and another code is needed.
        WrongPassword: the code is right, the password is wrong.
        TooManyTries: those of the transaction, or of the day, are used up.
        SamUnavailable: the SAM does not answer; the try does not count.
        HsmUnavailable: the HSM does not work; the try does not count.
    """
    asked = read_asked(session, transaction=transaction, signer=signer)
    check_open(asked, now)
    if not asked.tries_left(now):
        raise TooManyTries("too many wrong codes")
    if method == "password+sms":
        check_code_in_time(asked, now)
    code = _typed(unverified_code, asked, method)
    seed = None if method == "password+sms" else read_seed(session, asked.record, method)
    typed = _typed_by_signer(
        asked, seed, method=method, code=code, unverified_password=unverified_password
    )
    left = _count(session, asked, now)
    try:
        by = transactions.approve_by_code(typed)
    except WrongCode as error:
        log.warning("wrong code", extra={"transaction_id": transaction})
        raise WrongCode(min(left, error.tries_left)) from error
    except (CodeRefused, SamUnavailable, HsmUnavailable):
        give_try_back(session, asked)
        raise
    if (
        seed is not None
        and by.step is not None
        and not use_step_up(session, seed.seed_hash, by.step)
    ):
        raise WrongCode(left)
    give_day_back(session, signer)
    return _keep(session, asked, by, method=method, now=now)


def send_sms(
    session: Session,
    transactions: Transactions,
    *,
    transaction: UUID,
    signer: UUID,
    now: datetime,
) -> datetime:
    """Send the SMS once more, or because the first was held back. Commits.

    Returns:
        Until when its code is good.

    Raises:
        NotFound: there is no such transaction of this signer.
        SignerFrozen: the signer's access is locked.
        TransactionOver: it was answered, or is too late.
        CodeRefused: there is no way by SMS, or a phone is asked first; the rule is the SAM's.
        TooManyTries: it was sent too often, or a moment ago.
    """
    asked = read_asked(session, transaction=transaction, signer=signer)
    check_open(asked, now)
    check_sms_due(asked, now)
    check_may_send(asked, now)
    sms = transactions.render_sms(
        RenderSms(
            record=asked.record,
            ask=asked.ask,
            items=read_items(session, transaction),
            zone=asked.zone,
            address=SmsAddress(number=asked.number or "", subject=asked.subject),
        )
    )
    text = text_of(sms)
    count_sms(session, asked, text, now=now)
    log.info("SMS sent again", extra={"transaction_id": transaction})
    return text.expires_at


# --- parts ------------------------------------------------------------------------


def _typed(unverified_code: str, asked: AskedByCode, method: CodeMethod) -> str:
    """What has not eight digits was shown to nobody: it costs no try. An app may show two codes."""
    try:
        return (typed_codes if method == "password+hotp" else typed_code)(unverified_code)
    except MalformedMessage as error:
        raise WrongCode(MOST_TRIES - asked.code_tries) from error


def _typed_by_signer(
    asked: AskedByCode,
    seed: SealedSeed | None,
    *,
    method: CodeMethod,
    code: str,
    unverified_password: str,
) -> ApproveByCode:
    """Put together what the SAM is asked. What the password costs is spent only for who may try.

    Raises:
        CodeRefused: no password opens this cell.
        TooManyTries: too many people sign in now; nothing was tried.
    """
    if asked.lock is None:
        raise CodeRefused(5, "there is no password that opens this cell")
    return ApproveByCode(
        record=asked.record,
        ask=asked.ask,
        lock=asked.lock,
        password_hash=argon2_hash(unverified_password, asked.salt),
        method=method,
        code=code,
        number=asked.number,
        seed=None if seed is None else seed.sealed,
        used_step=None if seed is None else seed.used_step,
    )


def _count(session: Session, asked: AskedByCode, now: datetime) -> int:
    """Count a try; gives how many are left after it. Commits."""
    tries = count_try(session, asked, now=now)
    if tries is None:
        check_open(read_asked(session, transaction=asked.id, signer=asked.signer), now)
        raise TooManyTries("too many wrong codes")
    return MOST_TRIES - tries


def _keep(
    session: Session, asked: AskedByCode, by: ApprovedByCode, *, method: CodeMethod, now: datetime
) -> TransactionState:
    """Rule 5."""
    if _kept(session, asked, by, method=method, now=now):
        log.warning("approved by code", extra={"transaction_id": asked.id, "method": method})
        return TransactionState.APPROVED
    after = read_asked(session, transaction=asked.id, signer=asked.signer)
    if not after.may_go_on:
        raise SignerFrozen("the signer's access is locked")
    raise TransactionOver(after.state_at(now))


def _kept(
    session: Session, asked: AskedByCode, by: ApprovedByCode, *, method: CodeMethod, now: datetime
) -> bool:
    kept = {
        "approval": by.approval,
        "sealed": by.sealed,
        "kid": by.kid,
        "received_at": now,
        "method": method,
    }
    if by.counted is None:
        return keep_approval(session, asked.id, kept)
    counted = msgspec.structs.asdict(by.counted)
    return keep_counted(session, asked.id, kept, cell=asked.cell, now=now, **counted)
