"""Recovery by password, and a new password: kills at every commit, and what comes between.

On both databases.
"""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, delete, select, update
from sqlalchemy.orm import Session, sessionmaker

from backend.devices.enrolment.confirmation import confirm_by_code
from backend.devices.enrolment.ticket import SignIn, open_ticket
from backend.devices.forgotten import AskedPassword, ask_new_password, look, set_new_password
from backend.devices.forgotten_asking import ask_phone
from backend.devices.pairing import pairing_view, store_enrolment
from backend.devices.replacement import Replacement, ReplacementOrder, print_replacement
from backend.errors import (
    CellkeyError,
    MalformedMessage,
    SamUnavailable,
    SignerFrozen,
    TooManyTries,
    TransactionOver,
    WrongCode,
    WrongPassword,
)
from backend.model.tables import (
    Device,
    Lock,
    OutboxMessage,
    Pairing,
    PairingState,
    Signer,
    Transaction,
)
from backend.signers.password import argon2_hash
from backend.signing.approval import approve
from tests.world.counter import NEW_PASSWORD, PRINTER, Counter
from tests.world.killed import killed_everywhere
from tests.world.paper_phone import PaperPhone, read

NEWER = "жёлтый самовар 9"


def replace(counter: Counter, *, reset_password: bool = False) -> Replacement:
    order = ReplacementOrder(
        login=counter.envelope.login,
        operator=PRINTER,
        remove_phones=False,
        reset_password=reset_password,
    )
    with counter.session_factory() as session:
        return print_replacement(
            session,
            counter.world.sam,
            order,
            settings=counter.settings,
            public_keys=counter.public_keys,
            now=counter.clock(),
        )


def present(counter: Counter, phone: PaperPhone) -> str:
    """Steps 1 and 2 with another envelope, by the password; gives the code of the SMS."""
    counter.write(delete(OutboxMessage))  # sealed to the worker of the stage before
    printed = replace(counter)
    with counter.session_factory() as session:
        ticket = open_ticket(
            session,
            counter.world.sam,
            counter.world.sam,
            SignIn(
                login=printed.login,
                password=NEW_PASSWORD,
                new_password=None,
                pairing=printed.pairing,
            ),
            settings=counter.settings,
            now=counter.clock(),
        )
    counter.ticket = ticket.ticket
    with counter.session_factory() as session:
        view = pairing_view(
            session, ticket=counter.ticket, public_keys=counter.public_keys, now=counter.clock()
        )
        assert view.password_recovery
        assert (view.envelope_lock, view.recovery_lock) == (None, None)
        store_enrolment(
            session,
            ticket=counter.ticket,
            enrolment=phone.enrol_without_secret(read(view.ask, view.ks)),
            sealed=None,
            public_keys=counter.public_keys,
            settings=counter.settings,
            now=counter.clock(),
        )
    return counter.send_code()


def confirm(counter: Counter, code: str, password: str | None = NEW_PASSWORD) -> PairingState:
    with counter.session_factory() as session:
        return confirm_by_code(
            session,
            counter.world.sam,
            ticket=counter.ticket,
            code=code,
            unverified_password=password,
            now=counter.clock(),
        )


def kids(counter: Counter) -> set[bytes]:
    return set(counter.rows(select(Device.kid)))


# --- the password brings the secret -----------------------------------------------


@pytest.mark.sms
def test_a_kill_anywhere_in_the_confirmation_pairs_the_phone_once(
    paired: Counter, engine: Engine
) -> None:
    new = PaperPhone()
    code = present(paired, new)

    def step(sessions: sessionmaker[Session]) -> None:
        with sessions() as session:
            confirm_by_code(
                session,
                paired.world.sam,
                ticket=paired.ticket,
                code=code,
                unverified_password=NEW_PASSWORD,
                now=paired.clock(),
            )

    for _ in killed_everywhere(engine, step):
        assert kids(paired) <= {paired.phone.kid, new.kid}
        # Each kill may cost a try, of the code or of the password, but never both phones.
        paired.write(update(Pairing).values(code_tries=0))
        paired.write(update(Signer).values(password_tries=0))
    assert kids(paired) == {paired.phone.kid, new.kid}
    lock = paired.row(select(Lock.lock).where(Lock.key_id == new.kid))
    old = paired.row(select(Lock.lock).where(Lock.key_id == paired.phone.kid))
    assert new.secret_in_lock(lock) == paired.phone.secret_in_lock(old)


@pytest.mark.sms
def test_a_wrong_code_beside_the_right_password_is_counted(paired: Counter) -> None:
    """T-15, T-36: three, and the pairing begins again."""
    code = present(paired, PaperPhone())
    wrong = "00000000" if code != "00000000" else "11111111"
    for left in (2, 1, 0):
        with pytest.raises(WrongCode) as refused:
            confirm(paired, wrong)
        assert refused.value.tries_left == left
    with pytest.raises(CellkeyError):
        confirm(paired, code)
    assert kids(paired) == {paired.phone.kid}


@pytest.mark.sms
def test_a_wrong_password_is_counted_and_then_paused(paired: Counter) -> None:
    """T-16."""
    code = present(paired, PaperPhone())
    for _ in range(6):
        with pytest.raises(WrongPassword):
            confirm(paired, code, "another")
        paired.clock.advance(seconds=1)
    with pytest.raises(TooManyTries):
        confirm(paired, code)
    assert paired.row(select(Pairing.code_tries).where(Pairing.for_existing)) == 0


@pytest.mark.sms
def test_a_sam_that_does_not_answer_costs_no_try(
    paired: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = present(paired, PaperPhone())

    def away(_request: object) -> object:
        raise SamUnavailable("gone")

    monkeypatch.setattr(paired.world.sam, "check_password", away)
    with pytest.raises(SamUnavailable):
        confirm(paired, code)
    monkeypatch.undo()
    assert paired.row(select(Signer.password_tries)) == 0
    assert confirm(paired, code) == "confirmed"


def test_without_a_password_lock_an_enrolment_without_secret_is_refused(paired: Counter) -> None:
    paired.write(delete(Lock).where(Lock.kind == "password"))
    with pytest.raises(AssertionError):
        present(paired, PaperPhone())


def test_a_first_envelope_takes_no_enrolment_without_secret(begun: Counter) -> None:
    with begun.session_factory() as session:
        view = pairing_view(
            session, ticket=begun.ticket, public_keys=begun.public_keys, now=begun.clock()
        )
    assert not view.password_recovery
    enrolment = PaperPhone().enrol_without_secret(read(view.ask, view.ks))
    with pytest.raises(MalformedMessage, match="must bring"), begun.session_factory() as session:
        store_enrolment(
            session,
            ticket=begun.ticket,
            enrolment=enrolment,
            sealed=None,
            public_keys=begun.public_keys,
            settings=begun.settings,
            now=begun.clock(),
        )


# --- a new password ---------------------------------------------------------------


def approved(counter: Counter) -> AskedPassword:
    """Somebody forgot the password; the clerk asked, the phone said yes."""
    with counter.session_factory() as session:
        asked = ask_new_password(session, login=counter.envelope.login, now=counter.clock())
        transaction = ask_phone(
            session,
            counter.world.sam,
            asked=asked.id,
            settings=counter.settings,
            now=counter.clock(),
        )
    phone = counter.paired_phone()
    ask = read(
        counter.row(select(Transaction.ask).where(Transaction.id == transaction)),
        counter.public_keys.ks,
    )
    lock = counter.row(select(Lock.lock).where(Lock.kind == "device"))
    secret = counter.phone.secret_in_lock(lock)
    approval, sealed = counter.phone.approve(ask, secret, number=asked.number)
    with counter.session_factory() as session:
        approve(
            session,
            phone=phone,
            transaction=transaction,
            approval=approval,
            sealed=sealed,
            public_keys=counter.public_keys,
            now=counter.clock(),
        )
    return asked


def set_it(counter: Counter, asked: AskedPassword) -> Callable[[sessionmaker[Session]], None]:
    def step(sessions: sessionmaker[Session]) -> None:
        with sessions() as session:
            set_new_password(
                session,
                counter.world.sam,
                asked=asked.id,
                secret=asked.secret,
                unverified_new_password=NEWER,
                now=counter.clock(),
            )

    return step


def opens(counter: Counter, password: str) -> bool:
    """Whether the lock and the verifier are those of this password."""
    sam = counter.world.sam
    salt, verifier = counter.rows(select(Signer.password_salt))[0], None
    verifier = counter.row(select(Signer.password_verifier))
    hashed = argon2_hash(password, salt)
    lock = counter.row(select(Lock.lock).where(Lock.kind == "password"))
    record = sam._voice.verified_record(counter.paired_phone().record)
    try:
        sam._passwords.open(lock, record=record, password_hash=hashed)
    except MalformedMessage:
        return False
    made: bool = sam._passwords.verifier(record.signer, hashed) == verifier
    return made


def test_a_kill_anywhere_leaves_the_old_password_or_the_new_one(
    paired: Counter, engine: Engine
) -> None:
    asked = approved(paired)
    for _ in killed_everywhere(engine, set_it(paired, asked)):
        assert opens(paired, NEWER) is not opens(paired, NEW_PASSWORD)
        if opens(paired, NEWER):
            break
    if not opens(paired, NEWER):
        set_it(paired, asked)(paired.session_factory)
    assert opens(paired, NEWER)
    with pytest.raises(TransactionOver):
        set_it(paired, asked)(paired.session_factory)


def test_a_freeze_while_the_sam_works_sets_nothing(
    paired: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-048."""
    asked = approved(paired)
    set_password = paired.world.sam.set_password

    def frozen_meanwhile(request: Any) -> Any:  # noqa: ANN401  # passed on as it came
        seal = set_password(request)
        paired.freeze()
        return seal

    monkeypatch.setattr(paired.world.sam, "set_password", frozen_meanwhile)
    with pytest.raises(TransactionOver):
        set_it(paired, asked)(paired.session_factory)
    with pytest.raises(SignerFrozen):
        set_it(paired, asked)(paired.session_factory)
    assert opens(paired, NEW_PASSWORD)


def test_a_request_without_its_evidence_is_no_approval(paired: Counter) -> None:
    """T-09: a row that says approved."""
    with paired.session_factory() as session:
        asked = ask_new_password(session, login=paired.envelope.login, now=paired.clock())
        ask_phone(
            session,
            paired.world.sam,
            asked=asked.id,
            settings=paired.settings,
            now=paired.clock(),
        )
    paired.write(
        update(Transaction).where(Transaction.kind == "set_password").values(state="approved")
    )
    with paired.session_factory() as session:
        waits = look(session, asked=asked.id, secret=asked.secret, now=paired.clock())
    assert waits == "waiting"
    with pytest.raises(TransactionOver):
        set_it(paired, asked)(paired.session_factory)


def test_a_reset_by_an_operator_leaves_no_password_lock(paired: Counter) -> None:
    printed = replace(paired, reset_password=True)
    assert printed.first_password
    assert paired.rows(select(Lock).where(Lock.kind == "password")) == []
    assert paired.row(select(Signer.password_change_due)) is True
