"""Pairing, step 1: login, first password, new password, for a ticket; on both databases."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from argon2.low_level import hash_secret_raw
from sqlalchemy import select, update

from backend.errors import (
    PairingOver,
    PasswordUnfit,
    SignerFrozen,
    WrongPassword,
)
from backend.model.tables import Lock, Pairing, Signer, Transaction
from backend.sam.cells import CheckPassword
from backend.signers.password import argon2_hash
from tests.world.counter import NEW_PASSWORD, Counter

WRONG = "dfhj-dfhj-dfhj-dfhj"

on_one_engine = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what depends on no statement: a password costs a third of a second."""


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

    assert isinstance(printed.refused_sign_in(new_password=None), WrongPassword)
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
    refused = printed.refused_sign_in(**changed)

    assert isinstance(refused, WrongPassword)
    assert printed.row(select(Signer.password_change_due)) is True


@on_one_engine
def test_without_an_envelope_a_login_makes_no_difference(printed: Counter) -> None:
    """T-17: with a pairing id that is none, nothing is looked up by login."""
    unknown = [
        str(printed.refused_sign_in(pairing=uuid4(), login=login))
        for login in ("a.ivanova", "nobody")
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
        printed.refused_sign_in(**changed)
        work.append(len(hashed))

    assert work == [2, 2, 2]


def test_without_the_envelope_nobody_uses_up_the_signers_tries(printed: Counter) -> None:
    """T-21."""
    printed.refused_sign_in(pairing=uuid4(), password=WRONG)
    printed.refused_sign_in(login="somebody.else", password=WRONG)

    assert printed.password_tries == 0


@on_one_engine
def test_the_envelopes_password_opens_nothing_but_its_own_change(printed: Counter) -> None:
    """R-042."""
    assert isinstance(printed.refused_sign_in(new_password=None), PasswordUnfit)
    assert printed.rows(select(Transaction)) == []


@on_one_engine
@pytest.mark.parametrize("unfit", ["short 7", "Password2026", "my a.ivanova password", "x" * 129])
def test_an_unfit_new_password_is_refused_and_no_try_counted(printed: Counter, unfit: str) -> None:
    assert isinstance(printed.refused_sign_in(new_password=unfit), PasswordUnfit)
    assert printed.password_tries == 0


@on_one_engine
def test_the_envelopes_password_is_not_a_new_one(printed: Counter) -> None:
    first = printed.envelope.first_password
    for again in (first, first.replace("-", ""), first.upper()):
        assert isinstance(printed.refused_sign_in(new_password=again), PasswordUnfit)


@on_one_engine
def test_an_old_envelope_is_refused(printed: Counter) -> None:
    printed.clock.advance(hours=72)

    assert isinstance(printed.refused_sign_in(), PairingOver)


def test_a_used_envelope_is_worthless(paired: Counter) -> None:
    """R-049, T-02: with its password, and with the new one."""
    assert isinstance(paired.refused_sign_in(), PairingOver)
    assert isinstance(paired.refused_sign_in(password=NEW_PASSWORD, new_password=None), PairingOver)


@on_one_engine
def test_a_frozen_pairing_is_refused(begun: Counter) -> None:
    begun.write(update(Pairing).values(state="frozen"))

    assert isinstance(begun.refused_sign_in(), PairingOver)


def test_a_frozen_signer_is_refused(printed: Counter) -> None:
    printed.freeze()

    assert isinstance(printed.refused_sign_in(), SignerFrozen)


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
