"""Pairing, step 1: login, first password, new password, for a ticket; on both databases."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from argon2.low_level import hash_secret_raw
from sqlalchemy import func, select, update

from backend.devices.enrolment.ticket import MOST_TICKETS
from backend.devices.envelope import reprint
from backend.errors import (
    CellkeyError,
    PairingOver,
    PasswordUnfit,
    SignerFrozen,
    TooManyTries,
    WrongPassword,
)
from backend.model.tables import Lock, Pairing, Signer, Transaction
from backend.sam.cells import CheckPassword, PasswordChecked
from backend.sam.transactions import OpenedTransaction, OpenTransaction
from backend.signers.password import argon2_hash
from tests.world.counter import NEW_PASSWORD, Counter

WRONG = "dfhj-dfhj-dfhj-dfhj"

on_one_engine = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what depends on no statement: a password costs a third of a second."""


def tries(counter: Counter) -> int:
    counted: int = counter.row(select(Signer.password_tries))
    return counted


def refusal(counter: Counter, **changed: object) -> CellkeyError:
    with pytest.raises(CellkeyError) as refused:
        counter.sign_in(**changed)
    return refused.value


# --- the happy way -------------------------------------------------------------


def test_a_ticket_lasts_a_quarter_of_an_hour_and_ends_with_its_ask(printed: Counter) -> None:
    ticket = printed.sign_in()
    pairing: Pairing = printed.row(select(Pairing))
    opened: Transaction = printed.row(select(Transaction))

    assert ticket.expires_at == printed.clock() + timedelta(minutes=15)
    assert pairing.transaction_id == opened.id
    assert opened.kind == "enrol"
    assert opened.expires_at == opened.use_by == ticket.expires_at


def test_only_the_hash_of_a_ticket_is_kept(printed: Counter) -> None:
    ticket = printed.sign_in().ticket
    kept: bytes = printed.row(select(Pairing.ticket_hash))

    assert len(kept) == 32
    assert ticket.encode() not in kept


def test_the_first_password_is_dead_after_the_first_use(printed: Counter) -> None:
    """R-042, R-049."""
    printed.sign_in()

    assert isinstance(refusal(printed, new_password=None), WrongPassword)
    printed.sign_in(password=NEW_PASSWORD, new_password=None)


@on_one_engine
def test_the_password_lock_follows_the_new_password(printed: Counter) -> None:
    """R-015: key and cell stay, the lock is sealed again in the same commit."""
    before = printed.row(select(Lock.lock).where(Lock.kind == "password"))
    printed.sign_in()
    signer: Signer = printed.row(select(Signer))
    after = printed.row(select(Lock.lock).where(Lock.kind == "password"))

    assert before != after
    assert signer.password_change_due is False
    assert signer.password_verifier is not None
    printed.world.sam.check_password(
        CheckPassword(
            signer=signer.id,
            password_hash=argon2_hash(NEW_PASSWORD, signer.password_salt),
            verifier=signer.password_verifier,
            ask=None,
        )
    )


@on_one_engine
def test_the_first_password_may_be_typed_as_people_type(printed: Counter) -> None:
    typed = printed.envelope.first_password.replace("-", " ").upper()

    assert printed.sign_in(password=typed).ticket


@on_one_engine
def test_a_login_may_be_typed_in_capitals(printed: Counter) -> None:
    assert printed.sign_in(login="A.Ivanova ").ticket


# --- where an answer was lost --------------------------------------------------


def test_the_same_body_is_accepted_again(begun: Counter) -> None:
    """docs/phone-protocol.md, 8.2: a dead password and a new password that is right."""
    lost = begun.ticket
    again = begun.sign_in()

    assert again.ticket != lost
    assert begun.row(select(func.count()).select_from(Transaction)) == 2


@on_one_engine
def test_with_a_dead_password_and_a_wrong_new_one_nothing_is_given(begun: Counter) -> None:
    assert isinstance(refusal(begun, new_password="another one 55"), WrongPassword)


def test_beginning_again_ends_the_ticket_before(begun: Counter) -> None:
    lost = begun.ticket
    begun.sign_in()
    begun.ticket = lost

    with pytest.raises(CellkeyError, match="ticket"):
        begun.enrolment()


def test_beginning_again_gives_new_tries_and_new_codes(enrolled: Counter) -> None:
    enrolled.send_code()
    enrolled.sign_in()
    pairing: Pairing = enrolled.row(select(Pairing))

    assert (pairing.state, pairing.codes_sent, pairing.code_tries) == ("printed", 0, 0)


def test_an_envelope_begins_only_so_many_pairings(begun: Counter) -> None:
    """T-15: each gives three tries of a code."""
    ask: Transaction = begun.row(select(Transaction))
    copied = {column.key: getattr(ask, column.key) for column in Transaction.__table__.columns}
    for number in range(MOST_TICKETS - 1):
        row = copied | {"id": uuid4(), "tx_hash": bytes([number])}
        begun.write(Transaction.__table__.insert().values(row))  # type: ignore[attr-defined]  # a Table

    assert isinstance(refusal(begun), PairingOver)


# --- who is refused ------------------------------------------------------------


@on_one_engine
@pytest.mark.parametrize(
    "changed",
    [
        {"login": "somebody.else"},
        {"login": "a.ivanov\u0430"},
        {"login": ""},
        {"login": "\ud800"},
        {"password": "\ud800"},
        {"password": WRONG},
        {"password": ""},
        {"password": "x" * 100_000},
        {"pairing": uuid4()},
    ],
)
def test_which_of_them_is_wrong_is_not_said(printed: Counter, changed: dict[str, object]) -> None:
    """T-17: pairing, login or password, the refusal is one."""
    refused = refusal(printed, **changed)

    assert isinstance(refused, WrongPassword)
    assert printed.row(select(Signer.password_change_due)) is True


@on_one_engine
def test_without_an_envelope_a_login_makes_no_difference(printed: Counter) -> None:
    """T-17: with a pairing id that is none, nothing is looked up by login."""
    unknown = [
        str(refusal(printed, pairing=uuid4(), login=login)) for login in ("a.ivanova", "nobody")
    ]

    assert unknown[0] == unknown[1]


@on_one_engine
def test_an_unknown_envelope_costs_the_same_work(
    printed: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T-17: the slow part is done whether or not there is something to compare with."""
    hashed: list[bytes] = []

    def noting(secret: bytes, salt: bytes, **parameters: Any) -> bytes:  # noqa: ANN401  # argon2's
        hashed.append(secret)
        return hash_secret_raw(secret, salt, **parameters)

    monkeypatch.setattr("backend.signers.password.hash_secret_raw", noting)
    work = []
    for changed in ({"pairing": uuid4()}, {"login": "nobody"}, {"password": WRONG}):
        hashed.clear()
        refusal(printed, **changed)
        work.append(len(hashed))

    assert work == [2, 2, 2]


def test_without_the_envelope_nobody_uses_up_the_signers_tries(printed: Counter) -> None:
    """T-21."""
    refusal(printed, pairing=uuid4(), password=WRONG)
    refusal(printed, login="somebody.else", password=WRONG)

    assert tries(printed) == 0


@on_one_engine
def test_the_envelopes_password_opens_nothing_but_its_own_change(printed: Counter) -> None:
    """R-042."""
    assert isinstance(refusal(printed, new_password=None), PasswordUnfit)
    assert printed.rows(select(Transaction)) == []


@on_one_engine
@pytest.mark.parametrize("unfit", ["short 7", "Password2026", "my a.ivanova password", "x" * 129])
def test_an_unfit_new_password_is_refused_and_no_try_counted(printed: Counter, unfit: str) -> None:
    assert isinstance(refusal(printed, new_password=unfit), PasswordUnfit)
    assert tries(printed) == 0


@on_one_engine
def test_the_envelopes_password_is_not_a_new_one(printed: Counter) -> None:
    first = printed.envelope.first_password
    for again in (first, first.replace("-", ""), first.upper()):
        assert isinstance(refusal(printed, new_password=again), PasswordUnfit)


@on_one_engine
def test_an_old_envelope_is_refused(printed: Counter) -> None:
    printed.clock.advance(hours=72)

    assert isinstance(refusal(printed), PairingOver)


def test_a_used_envelope_is_worthless(paired: Counter) -> None:
    """R-049, T-02: with its password, and with the new one."""
    assert isinstance(refusal(paired), PairingOver)
    assert isinstance(refusal(paired, password=NEW_PASSWORD, new_password=None), PairingOver)


@on_one_engine
def test_a_frozen_pairing_is_refused(begun: Counter) -> None:
    begun.write(update(Pairing).values(state="frozen"))

    assert isinstance(refusal(begun), PairingOver)


def test_a_frozen_signer_is_refused(printed: Counter) -> None:
    printed.freeze()

    assert isinstance(refusal(printed), SignerFrozen)


def test_a_freeze_between_password_and_commit_is_heard(
    printed: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-048: it acts at once on everything in flight."""
    change_password = printed.world.sam.change_password

    def frozen_meanwhile(request: object) -> object:
        printed.freeze()
        return change_password(request)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(printed.world.sam, "change_password", frozen_meanwhile)

    assert isinstance(refusal(printed), SignerFrozen)
    assert printed.row(select(Signer.password_change_due)) is True


def meanwhile(counter: Counter, monkeypatch: pytest.MonkeyPatch, statement: object) -> None:
    """Let somebody write while the SAM changes the password."""
    change_password = counter.world.sam.change_password

    def interposed(request: object) -> object:
        counter.write(statement)
        return change_password(request)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(counter.world.sam, "change_password", interposed)


def while_the_ask_is_opened(
    counter: Counter, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]
) -> None:
    """Let something happen while the SAM signs the ask to enrol."""
    open_transaction = counter.world.sam.open_transaction

    def interposed(request: OpenTransaction) -> OpenedTransaction:
        act()
        return open_transaction(request)

    monkeypatch.setattr(counter.world.sam, "open_transaction", interposed)


@on_one_engine
def test_nothing_of_the_database_is_held_while_the_sam_works(
    printed: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T-39: on SQLite whoever holds a transaction keeps everybody from writing."""
    check_password = printed.world.sam.check_password

    def write() -> None:
        printed.write(update(Signer).values(lang="en"))

    def interposed(request: CheckPassword) -> PasswordChecked:
        write()
        return check_password(request)

    while_the_ask_is_opened(printed, monkeypatch, write)
    monkeypatch.setattr(printed.world.sam, "check_password", interposed)

    assert printed.sign_in().ticket


def test_an_envelope_that_is_printed_anew_meanwhile_is_over(
    printed: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its cell is destroyed while the SAM signs the ask for it; the password tells, first."""

    def print_anew() -> None:
        with printed.session_factory() as session:
            reprint(
                session,
                printed.world.sam,
                login=printed.envelope.login,
                operator="another",
                settings=printed.settings,
                now=printed.clock(),
            )

    while_the_ask_is_opened(printed, monkeypatch, print_anew)

    assert isinstance(refusal(printed), TooManyTries)
    assert printed.rows(select(Transaction)) == []
    assert printed.row(select(Signer.password_change_due)) is True


def test_an_envelope_that_is_worthless_before_the_commit_begins_nothing(
    printed: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was printed anew, or its pairing was frozen, while the SAM worked."""
    meanwhile(printed, monkeypatch, update(Pairing).values(state="frozen"))

    assert isinstance(refusal(printed), PairingOver)
    assert printed.row(select(Signer.password_change_due)) is True
    assert printed.rows(select(Transaction)) == []


def test_a_password_that_changed_before_the_commit_is_not_overwritten(
    printed: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T-07: the verifier is the one that was checked, or nothing is written."""
    meanwhile(printed, monkeypatch, update(Signer).values(password_verifier=b"another"))

    assert isinstance(refusal(printed), TooManyTries)
    assert printed.row(select(Signer.password_verifier)) == b"another"
    assert printed.rows(select(Transaction)) == []
