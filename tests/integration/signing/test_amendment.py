"""Allowing a code on the phone: from the page through phone and clerk to a signature by code."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec
import pytest
from pyotp import TOTP, parse_uri
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from backend.cli.clerk import make_clerk
from backend.credentials.amendment import approved_amendments, finish_amendment
from backend.errors import (
    AlreadyThere,
    CellkeyError,
    NotFound,
    SamUnavailable,
    SignerFrozen,
    TooManyRequests,
    TooManyTries,
    TransactionOver,
    WrongCode,
    WrongPassword,
)
from backend.model.tables import (
    Cell,
    Device,
    Lock,
    OutboxMessage,
    Record,
    Signer,
    TotpSeed,
    Transaction,
    TransactionState,
)
from backend.protocol.approval import SeedMethod
from backend.settings import SmsGatewayKind
from backend.signers import password
from backend.signing.amendable import MOST_IN_WINDOW
from backend.signing.amendment import (
    AskedAmendment,
    NewAuthenticator,
    amended,
    ask_amendment,
    begin_authenticator,
)
from tests.world.code_cell import CodeSigner
from tests.world.code_world import PASSWORD, SALT, WITH_SMS, CodeWorld
from tests.world.meanwhile import Meanwhile
from tests.world.paired_cell import make_cell
from tests.world.sam import open_sam_world
from tests.world.signing_world import SigningWorld, hashes, world_of

pytestmark = pytest.mark.sms


@pytest.fixture
def owner(world_on_sqlite: SigningWorld) -> CodeWorld:
    """A signer who may approve on the phone alone, and has a password of their own."""
    return beside(world_on_sqlite)


@pytest.fixture
def boris(world: SigningWorld) -> CodeWorld:
    """The same, on each of the two databases."""
    return beside(world)


def beside(world: SigningWorld) -> CodeWorld:
    cell = make_cell(world.sam, password_hash=password.argon2_hash(PASSWORD, SALT))
    cell.pair()
    cell.certify()
    after = world.clock() + timedelta(days=400)
    made = world_of(
        world.sam, world.sessions, world.clock, cell=cell, not_after=after, login="boris"
    )
    return CodeWorld(world=replace(made, settings=WITH_SMS), signer=CodeSigner(cell=cell))


def ask(page: CodeWorld, **members: Any) -> AskedAmendment:  # noqa: ANN401  # arguments of ask_amendment
    given: dict[str, Any] = {
        "signer": page.id,
        "method": "password+sms",
        "unverified_password": PASSWORD,
        "unverified_code": None,
        "settings": page.world.settings,
        "now": page.clock(),
    }
    sam = members.pop("sam", page.world.sam.sam)
    with page.world.sessions() as session:
        return ask_amendment(session, sam, **(given | members))


def begin(page: CodeWorld, method: SeedMethod = "password+totp") -> NewAuthenticator:
    with page.world.sessions() as session:
        return begin_authenticator(
            session,
            page.world.sam.sam,
            signer=page.id,
            method=method,
            settings=page.world.settings,
            now=page.clock(),
        )


def shown(page: CodeWorld, app: NewAuthenticator) -> str:
    return TOTP(app.seed, digits=8).at(int(page.clock().timestamp()))


def answer(page: CodeWorld, asked: AskedAmendment, *, number: str | None = None) -> None:
    """The phone approves, with the number of the page."""
    read = page.world.read_ask(asked.transaction)
    phone = page.signer.cell.phone
    secret = phone.secret_in_lock(page.signer.cell.device_lock)
    page.world.send(asked.transaction, *phone.approve(read, secret, number=number or asked.number))


def finish(page: CodeWorld) -> list[bool]:
    """What the clerk does; gives what came of each."""
    with page.world.sessions() as session:
        found = approved_amendments(session, page.clock())
        session.commit()
        sam = page.world.sam.sam
        return [
            finish_amendment(session, sam, transaction=each, now=page.clock()) for each in found
        ]


def is_amended(page: CodeWorld, asked: AskedAmendment) -> bool:
    with page.world.sessions() as session:
        return amended(
            session, transaction=asked.transaction, signer=page.id, now=page.clock()
        ).done


def newest_record(page: CodeWorld) -> str:
    with page.world.sessions() as session:
        return (
            session.scalars(
                select(Record.record)
                .where(Record.cell_id == page.signer.cell.made.cell)
                .order_by(Record.epoch.desc())
            ).first()
            or ""
        )


# --- the way --------------------------------------------------------------------


def test_sms_is_allowed_on_the_phone_and_then_signs(boris: CodeWorld) -> None:
    asked = ask(boris)
    assert not is_amended(boris, asked)
    answer(boris, asked)
    assert not is_amended(boris, asked)
    assert finish(boris) == [True]
    assert is_amended(boris, asked)
    assert finish(boris) == []

    wanted = hashes(1)
    requested = boris.world.request(*wanted)
    boris.wait_for_sms()
    assert boris.approve(requested.id) is TransactionState.APPROVED
    assert boris.world.collect(boris.world.csc_sad(requested), *wanted)
    assert boris.world.sealed(asked.transaction) is None


def test_an_authenticator_is_shown_once_confirmed_and_then_signs(boris: CodeWorld) -> None:
    app = begin(boris)
    uri = parse_uri(app.uri)
    assert isinstance(uri, TOTP)
    assert (uri.secret, uri.digits, uri.name) == (app.seed, 8, "boris")
    asked = ask(boris, method="password+totp", unverified_code=shown(boris, app))
    answer(boris, asked)
    assert finish(boris) == [True]

    boris.clock.advance(seconds=30)
    wanted = hashes(1)
    requested = boris.world.request(*wanted)
    assert boris.ways(requested.id).totp.open
    code = shown(boris, app)
    assert boris.approve(requested.id, code, method="password+totp") is TransactionState.APPROVED
    assert boris.row(requested.id).method == "password+totp"
    assert boris.world.collect(boris.world.csc_sad(requested), *wanted)

    again = boris.world.request(*hashes(1))
    with pytest.raises(WrongCode):
        boris.approve(again.id, code, method="password+totp")


def test_a_step_that_the_database_knows_is_refused_by_a_sam_that_forgot_it(
    owner: CodeWorld,
) -> None:
    app = begin(owner)
    answer(owner, ask(owner, method="password+totp", unverified_code=shown(owner, app)))
    finish(owner)
    owner.clock.advance(seconds=30)
    code = shown(owner, app)
    owner.approve(owner.world.request(*hashes(1)).id, code, method="password+totp")
    fresh = open_sam_world(owner.world.sam.hsm, owner.clock).sam
    with pytest.raises(WrongCode):
        owner.approve(owner.world.request(*hashes(1)).id, code, method="password+totp", sam=fresh)


def test_of_two_who_use_one_code_at_once_one_approves(owner: CodeWorld) -> None:
    """Also where two SAMs, which know nothing of each other, found it right."""
    app = begin(owner)
    answer(owner, ask(owner, method="password+totp", unverified_code=shown(owner, app)))
    finish(owner)
    owner.clock.advance(seconds=30)
    code = shown(owner, app)
    other = owner.world.request(*hashes(1))

    def use_it_elsewhere() -> None:
        fresh = open_sam_world(owner.world.sam.hsm, owner.clock).sam
        owner.approve(other.id, code, method="password+totp", sam=fresh)

    requested = owner.world.request(*hashes(1))
    with pytest.raises(WrongCode):
        owner.approve(
            requested.id,
            code,
            method="password+totp",
            sam=Meanwhile(owner.world.sam.sam, use_it_elsewhere),
        )
    assert owner.world.state(other.id) == TransactionState.APPROVED
    assert owner.world.state(requested.id) == TransactionState.PENDING


def test_the_clerk_does_it_by_itself(owner: CodeWorld) -> None:
    asked = ask(owner)
    answer(owner, asked)
    clerk = make_clerk(
        owner.world.settings, owner.world.sessions, owner.world.sam.sam, clock=owner.clock
    )
    assert clerk.run_once() == 1
    assert is_amended(owner, asked)
    assert clerk.run_once() == 0


# --- nothing before the phone ---------------------------------------------------


def test_without_the_phone_nothing_changes(owner: CodeWorld) -> None:
    record = newest_record(owner)
    asked = ask(owner)
    assert finish(owner) == []
    owner.world.refuse(asked.transaction)
    assert finish(owner) == []
    assert newest_record(owner) == record
    with pytest.raises(TransactionOver):
        is_amended(owner, asked)
    assert owner.ways(owner.world.request(*hashes(1)).id).sms.why_not == "not_allowed"


def test_another_number_than_the_pages_ends_it(owner: CodeWorld) -> None:
    asked = ask(owner)
    other = f"{(int(asked.number) + 1) % 100:02}"
    with pytest.raises(TransactionOver):
        answer(owner, asked, number=other)
    assert finish(owner) == []


def test_who_asks_again_ends_what_was_asked_before(owner: CodeWorld) -> None:
    first, second = ask(owner), ask(owner)
    assert owner.world.state(first.transaction) == TransactionState.CANCELLED
    answer(owner, second)
    assert finish(owner) == [True]


def test_another_seed_throws_away_the_one_that_was_not_confirmed(owner: CodeWorld) -> None:
    first = begin(owner)
    begin(owner)
    with pytest.raises(WrongCode):
        ask(owner, method="password+totp", unverified_code=shown(owner, first))
    with owner.world.sessions() as session:
        assert len(session.scalars(select(TotpSeed)).all()) == 1


def test_a_confirmed_seed_stays_until_another_one_is_allowed(owner: CodeWorld) -> None:
    app = begin(owner)
    answer(owner, ask(owner, method="password+totp", unverified_code=shown(owner, app)))
    finish(owner)
    other = begin(owner)
    owner.clock.advance(seconds=60)
    requested = owner.world.request(*hashes(1))
    assert owner.approve(requested.id, shown(owner, app), method="password+totp")
    owner.clock.advance(seconds=60)
    answer(owner, ask(owner, method="password+totp", unverified_code=shown(owner, other)))
    assert finish(owner) == [True]
    owner.clock.advance(seconds=60)
    requested = owner.world.request(*hashes(1))
    with pytest.raises(WrongCode):
        owner.approve(requested.id, shown(owner, app), method="password+totp")
    assert owner.approve(requested.id, shown(owner, other), method="password+totp")


# --- counts ---------------------------------------------------------------------


def test_a_wrong_password_counts_with_those_of_the_sign_in(owner: CodeWorld) -> None:
    """T-16."""
    with pytest.raises(WrongPassword):
        ask(owner, unverified_password="another one")
    with owner.world.sessions() as session:
        assert session.get_one(Signer, owner.id).password_tries == 1
    ask(owner)
    with owner.world.sessions() as session:
        assert session.get_one(Signer, owner.id).password_tries == 0
    owner.world.overwrite(
        lambda session: session.execute(
            update(Signer).values(password_tries=9, password_tried_at=owner.clock())
        )
    )
    with pytest.raises(TooManyTries):
        ask(owner)


def test_three_first_codes_of_a_seed_are_looked_at(owner: CodeWorld) -> None:
    """T-15, by the database alone: the SAM forgets between the tries."""
    app = begin(owner)
    for _ in range(3):
        with pytest.raises(WrongCode):
            ask(
                owner,
                method="password+totp",
                unverified_code="00000000",
                sam=open_sam_world(owner.world.sam.hsm, owner.clock).sam,
            )
    with pytest.raises(TooManyTries):
        ask(owner, method="password+totp", unverified_code=shown(owner, app))


@pytest.mark.parametrize("code", [None, "", "123456", "x" * 100])
def test_what_is_no_code_costs_no_try(owner: CodeWorld, code: str | None) -> None:
    app = begin(owner)
    with pytest.raises(WrongCode) as caught:
        ask(owner, method="password+totp", unverified_code=code)
    assert caught.value.tries_left == 3
    assert ask(owner, method="password+totp", unverified_code=shown(owner, app)).number


def test_a_try_that_nobody_could_check_is_given_back(owner: CodeWorld) -> None:
    class Away:
        def open_amendment(self, request: object) -> object:
            raise SamUnavailable(f"away: {type(request)}")

    with pytest.raises(SamUnavailable):
        ask(owner, sam=Away())
    with owner.world.sessions() as session:
        assert session.get_one(Signer, owner.id).password_tries == 0


def pushes(page: CodeWorld) -> int:
    asked = select(Transaction.id).where(Transaction.kind == "amend")
    with page.world.sessions() as session:
        query = select(OutboxMessage.id).where(OutboxMessage.transaction_id.in_(asked))
        return len(session.scalars(query).all())


def test_t_01_who_knows_the_password_wakes_the_phone_three_times_an_hour(boris: CodeWorld) -> None:
    """T-01: the others lie in its list, and the eleventh is not asked at all."""
    for _ in range(MOST_IN_WINDOW):
        ask(boris)
    with pytest.raises(TooManyRequests):
        ask(boris, unverified_password="another one")
    assert pushes(boris) == 3
    with boris.world.sessions() as session:
        assert session.get_one(Signer, boris.id).password_tries == 0

    boris.clock.advance(hours=1)
    ask(boris)
    assert pushes(boris) == 4


def test_t_01_not_me_gives_an_hour_of_rest(boris: CodeWorld) -> None:
    asked = ask(boris)
    phone, read = boris.signer.cell.phone, boris.world.read_ask(asked.transaction)
    boris.clock.advance(minutes=4)
    boris.world.refuse(asked.transaction, refusal=phone.refuse(read, decision="not_me"))
    boris.clock.advance(minutes=59)
    with pytest.raises(TooManyRequests):
        ask(boris)
    boris.clock.advance(minutes=1)
    assert ask(boris).number


# --- what is missing, and what happens meanwhile ---------------------------------


def no_phone(session: Session) -> None:
    session.execute(update(Device).values(removal_asked_at=Device.paired_at))


def no_certificate(session: Session) -> None:
    session.execute(update(Cell).values(certificate=None))


def no_password(session: Session) -> None:
    session.execute(delete(Lock).where(Lock.kind == "password"))


@pytest.mark.parametrize("missing", [no_phone, no_certificate, no_password])
def test_without_phone_certificate_or_password_nothing_is_asked(
    owner: CodeWorld, missing: Callable[[Session], None]
) -> None:
    owner.world.overwrite(missing)
    with pytest.raises(NotFound):
        ask(owner)


def test_where_no_text_can_be_sent_sms_is_not_asked_and_an_authenticator_is(
    owner: CodeWorld,
) -> None:
    """As with SMS switched off."""
    off = msgspec.structs.replace(owner.world.settings, sms_gateway=SmsGatewayKind.OFF)
    with pytest.raises(NotFound):
        ask(owner, settings=off)
    app = begin(owner)
    assert ask(
        owner, settings=off, method="password+totp", unverified_code=shown(owner, app)
    ).number


def test_without_a_seed_no_authenticator_is_allowed(owner: CodeWorld) -> None:
    with pytest.raises(NotFound):
        ask(owner, method="password+totp", unverified_code="00000000")


def test_a_row_that_holds_no_record_allows_nothing(owner: CodeWorld) -> None:
    app = begin(owner)
    owner.world.overwrite(lambda session: session.execute(update(Record).values(record="x")))
    with pytest.raises(CellkeyError):
        ask(owner, method="password+totp", unverified_code=shown(owner, app))


def test_a_frozen_signer_allows_nothing(owner: CodeWorld) -> None:
    asked = ask(owner)
    answer(owner, asked)
    owner.world.freeze()
    for call in (partial(ask, owner), partial(begin, owner)):
        with pytest.raises(SignerFrozen):
            call()
    assert finish(owner) == []


def test_a_freeze_while_the_sam_works_keeps_the_record(owner: CodeWorld) -> None:
    asked = ask(owner)
    answer(owner, asked)
    record = newest_record(owner)
    with owner.world.sessions() as session, pytest.raises(AlreadyThere):
        finish_amendment(
            session,
            Meanwhile(owner.world.sam.sam, owner.world.freeze),  # type: ignore[arg-type]  # as far as it is asked
            transaction=asked.transaction,
            now=owner.clock(),
        )
    assert newest_record(owner) == record


def remove_the_phone(page: CodeWorld) -> None:
    removed = update(Device).values(removal_asked_at=page.clock())
    page.world.overwrite(lambda session: session.execute(removed))


def test_t_37_what_a_phone_approved_that_is_removed_since_is_not_finished(
    boris: CodeWorld,
) -> None:
    """Another phone of the signer removed it, before the clerk came or while the SAM works."""
    asked = ask(boris)
    answer(boris, asked)
    record = newest_record(boris)
    with boris.world.sessions() as session, pytest.raises(AlreadyThere):
        finish_amendment(
            session,
            Meanwhile(boris.world.sam.sam, lambda: remove_the_phone(boris)),  # type: ignore[arg-type]  # as far as it is asked
            transaction=asked.transaction,
            now=boris.clock(),
        )
    assert finish(boris) == []
    assert newest_record(boris) == record


def test_a_password_that_was_changed_meanwhile_ends_it(owner: CodeWorld) -> None:
    """The lock that was sealed anew is the old password's."""
    asked = ask(owner)
    answer(owner, asked)
    changed = update(Lock).where(Lock.kind == "password").values(lock="another")
    owner.world.overwrite(lambda session: session.execute(changed))
    assert finish(owner) == [False]
    assert owner.world.state(asked.transaction) == TransactionState.FAILED
    assert owner.world.sealed(asked.transaction) is None


def test_an_approval_that_the_sam_refuses_ends_it(owner: CodeWorld) -> None:
    """Rows that somebody wrote over: the SAM asks its own rules."""
    asked = ask(owner)
    answer(owner, asked)
    other = ask(owner)
    ask_of_other = owner.world.transaction(other.transaction).ask
    owner.world.overwrite(
        lambda session: session.execute(
            update(Transaction).where(Transaction.id == asked.transaction).values(ask=ask_of_other)
        )
    )
    record = newest_record(owner)
    assert finish(owner) == [False]
    assert owner.world.state(asked.transaction) == TransactionState.FAILED
    assert newest_record(owner) == record


def test_of_two_clerks_one_writes(owner: CodeWorld) -> None:
    asked = ask(owner)
    answer(owner, asked)
    assert finish(owner) == [True]
    with owner.world.sessions() as session:
        session.execute(update(Transaction).values(state="approved"))
        session.commit()
    with owner.world.sessions() as session:
        assert not finish_amendment(
            session, owner.world.sam.sam, transaction=asked.transaction, now=owner.clock()
        )


def test_what_is_no_amendment_is_not_finished(owner: CodeWorld) -> None:
    requested = owner.world.request(*hashes(1))
    with owner.world.sessions() as session, pytest.raises(AlreadyThere):
        finish_amendment(session, owner.world.sam.sam, transaction=requested.id, now=owner.clock())
    with owner.world.sessions() as session, pytest.raises(NotFound):
        amended(session, transaction=requested.id, signer=owner.id, now=owner.clock())
