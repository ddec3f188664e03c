"""Pairing, step 1: what comes between password and commit; on both databases."""

from collections.abc import Callable

import pytest
from sqlalchemy import select, update

from backend.devices.envelope import reprint
from backend.errors import (
    NothingTried,
    PairingOver,
    SignerFrozen,
)
from backend.model.tables import Pairing, Signer, Transaction
from backend.sam.cells import CheckPassword, PasswordChecked
from backend.sam.transactions import OpenedTransaction, OpenTransaction
from backend.signers import password
from tests.world.counter import Counter

WRONG = "dfhj-dfhj-dfhj-dfhj"

on_one_engine = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what depends on no statement: a password costs a third of a second."""


def test_a_freeze_between_password_and_commit_is_heard(
    printed: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-048: it acts at once on everything in flight."""
    change_password = printed.world.sam.change_password

    def frozen_meanwhile(request: object) -> object:
        printed.freeze()
        return change_password(request)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(printed.world.sam, "change_password", frozen_meanwhile)

    assert isinstance(printed.refused_sign_in(), SignerFrozen)
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
                public_keys=printed.public_keys,
                now=printed.clock(),
            )

    while_the_ask_is_opened(printed, monkeypatch, print_anew)

    assert isinstance(printed.refused_sign_in(), NothingTried)
    assert printed.rows(select(Transaction)) == []
    assert printed.row(select(Signer.password_change_due)) is True


def test_an_envelope_that_is_worthless_before_the_commit_begins_nothing(
    printed: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was printed anew, or its pairing was frozen, while the SAM worked."""
    meanwhile(printed, monkeypatch, update(Pairing).values(state="frozen"))

    assert isinstance(printed.refused_sign_in(), PairingOver)
    assert printed.row(select(Signer.password_change_due)) is True
    assert printed.rows(select(Transaction)) == []


@on_one_engine
def test_who_repeats_the_call_while_the_first_one_still_runs_is_told_to_wait(
    printed: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A phone whose answer is late; the first call seals the locks under the new password."""
    hashed = password.argon2_hash
    first: list[str] = []

    def interposed(typed: str, salt: bytes) -> bytes:
        if not first:
            first.append(typed)
            first.append(printed.sign_in().ticket)
        return hashed(typed, salt)

    monkeypatch.setattr(password, "argon2_hash", interposed)

    assert isinstance(printed.refused_sign_in(), NothingTried)
    assert printed.sign_in().ticket, "the same call again"


def test_a_password_that_changed_before_the_commit_is_not_overwritten(
    printed: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T-07: the verifier is the one that was checked, or nothing is written."""
    meanwhile(printed, monkeypatch, update(Signer).values(password_verifier=b"another"))

    assert isinstance(printed.refused_sign_in(), NothingTried)
    assert printed.row(select(Signer.password_verifier)) == b"another"
    assert printed.rows(select(Transaction)) == []
