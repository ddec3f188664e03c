"""The use case: password and code become an approval like a phone's, counted, once, in time."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from backend.csc.answers import sad_of
from backend.errors import (
    CellkeyError,
    CodeRefused,
    CredentialDisabled,
    HsmUnavailable,
    NotFound,
    SamUnavailable,
    SignerFrozen,
    TooManyTries,
    TransactionOver,
    WrongCode,
    WrongPassword,
)
from backend.model.tables import (
    Approval,
    Cell,
    Device,
    Lock,
    OutboxMessage,
    Record,
    Signer,
    Transaction,
    TransactionState,
)
from backend.protocol.codes import operation_number
from backend.sam.transactions import ApproveByCode, ApprovedByCode, CodeSms, RenderSms
from backend.settings import SmsGatewayKind
from backend.signers.password import argon2_hash
from backend.signing import approval_by_code
from backend.signing.authorization import Authorization
from backend.signing.cancellation import cancel
from backend.signing.overview import show_transaction
from tests.world.clock import SettableClock
from tests.world.code_cell import CodeSigner, payment
from tests.world.code_world import PASSWORD, SALT, CodeWorld, open_code_world
from tests.world.meanwhile import Meanwhile
from tests.world.sam import open_sam_world
from tests.world.signing_world import SigningWorld, hashes

pytestmark = pytest.mark.sms

APPROVED = TransactionState.APPROVED


@pytest.fixture(autouse=True)
def _password_is_hashed() -> None:
    """Once for all (conftest.py), before some want it at once."""
    argon2_hash(PASSWORD, SALT)


@pytest.fixture
def alone(world_on_sqlite: SigningWorld) -> CodeWorld:
    """A signer without a phone, where the database is not what is tried."""
    return beside(world_on_sqlite, phone=False)


@pytest.fixture
def owner(world_on_sqlite: SigningWorld) -> CodeWorld:
    """A signer with a phone who may approve by SMS, too; likewise."""
    return beside(world_on_sqlite, phone=True)


@pytest.fixture
def anna(world: SigningWorld) -> CodeWorld:
    """A signer without a phone, on each of the two databases."""
    return beside(world, phone=False)


@pytest.fixture
def boris(world: SigningWorld) -> CodeWorld:
    """A signer with a phone, on each of the two databases."""
    return beside(world, phone=True)


@pytest.fixture
def newcomer(world_on_sqlite: SigningWorld) -> CodeWorld:
    """A signer without phone and certificate."""
    return beside(world_on_sqlite, phone=False, certified=False)


def beside(world: SigningWorld, *, phone: bool, certified: bool = True) -> CodeWorld:
    """A signer beside the one of that world, who has a phone alone."""
    return open_code_world(
        world.sam, world.sessions, world.clock, phone=phone, certified=certified, login="boris"
    )


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**8:08}"


def at_once(*calls: Callable[[], object]) -> list[object]:
    """What each call gave, or raised."""

    def run(call: Callable[[], object]) -> object:
        try:
            return call()
        except CellkeyError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


# --- from the request to the signature ------------------------------------------


def test_password_and_code_lead_to_a_signature(anna: CodeWorld) -> None:
    wanted = hashes(2)
    requested = anna.world.request(*wanted)
    assert anna.approve(requested.id) is APPROVED
    assert len(anna.world.collect(anna.world.csc_sad(requested), *wanted)) == 2
    assert anna.world.state(requested.id) == TransactionState.REDEEMED
    assert anna.world.sealed(requested.id) is None


def test_thirty_documents_are_one_sms_and_one_code(alone: CodeWorld) -> None:
    """R-127."""
    requested = alone.world.request(*hashes(10))
    assert len(alone.texts(requested.id)) == 1
    assert alone.approve(requested.id) is APPROVED


def test_the_row_says_how_the_signer_approved(owner: CodeWorld) -> None:
    """Invariant 7."""
    by_code, by_phone = owner.world.request(*hashes(1)), owner.world.request(*hashes(1))
    owner.wait_for_sms()
    owner.approve(by_code.id)
    owner.world.approve(by_phone.id)
    assert owner.row(by_code.id).method == "password+sms"
    assert owner.row(by_phone.id).method == "app"


def test_the_relying_party_is_told_that_no_phone_approved(owner: CodeWorld) -> None:
    """Invariant 7: reported, and refusable. Of what a phone approved CSC's own members are told."""
    by_code, by_phone = owner.world.request(*hashes(1)), owner.world.request(*hashes(1))
    owner.wait_for_sms()
    owner.approve(by_code.id)
    owner.world.approve(by_phone.id)
    told, plain = (owner.world.check(one) for one in (by_code, by_phone))
    assert isinstance(told, Authorization)
    assert isinstance(plain, Authorization)
    assert sad_of(told)["method"] == "password+sms"
    assert sad_of(plain).keys() == {"SAD", "expiresIn"}
    with owner.world.sessions() as session:
        shown = show_transaction(session, transaction=by_code.id, now=owner.clock())
    assert shown.method == "password+sms"


def test_the_code_is_typed_as_people_type(alone: CodeWorld) -> None:
    requested = alone.world.request(*hashes(1))
    code = alone.code(requested.id)
    assert alone.approve(requested.id, f" {code[:4]}-{code[4:]} ") is APPROVED


def test_the_page_shows_the_operation_that_the_sms_names(alone: CodeWorld) -> None:
    """R-129."""
    requested = alone.world.request(*hashes(1))
    operation = alone.ways(requested.id).operation
    assert operation == operation_number(alone.row(requested.id).tx_hash)
    assert operation in alone.texts(requested.id)[0]


def test_no_row_holds_a_code_or_a_number_beside_the_signers(alone: CodeWorld) -> None:
    requested = alone.world.request(*hashes(1))
    code = alone.code(requested.id)
    with alone.world.sessions() as session:
        row = session.scalars(
            select(OutboxMessage).where(OutboxMessage.transaction_id == requested.id)
        ).one()
        ask = session.get_one(Transaction, requested.id).ask
    assert code not in f"{row.sealed_sms}{ask}"


# --- who may, and when ----------------------------------------------------------


def test_a_phones_time_comes_first(boris: CodeWorld) -> None:
    """T-24: neither the signer's page nor whoever asks brings the SMS before the delay."""
    requested = boris.world.request(*hashes(1))
    code = boris.code(requested.id)
    due_at = boris.row(requested.id).sms_due_at
    assert due_at == boris.clock() + timedelta(seconds=60)
    with boris.world.sessions() as session:
        message = session.scalars(select(OutboxMessage).where(OutboxMessage.channel == "sms")).one()
    assert message.due_at == due_at
    assert message.expires_at == boris.row(requested.id).sms_valid_until
    way = boris.ways(requested.id).sms
    assert (way.open, way.why_not, way.opens_at, way.may_send) == (False, "too_soon", due_at, False)
    for call in (partial(boris.approve, requested.id, code), partial(boris.send, requested.id)):
        with pytest.raises(CodeRefused) as caught:
            call()
        assert caught.value.rule == 3
    boris.wait_for_sms()
    assert boris.ways(requested.id).sms.open
    assert boris.approve(requested.id, code) is APPROVED


def test_a_signer_without_the_method_has_no_way_and_no_sms(world_on_sqlite: SigningWorld) -> None:
    """As with SMS switched off."""
    requested = world_on_sqlite.request(*hashes(1))
    page = CodeWorld(world=world_on_sqlite, signer=CodeSigner(cell=world_on_sqlite.cell))
    assert page.texts(requested.id) == []
    ways = page.ways(requested.id)
    assert {ways.sms.why_not, ways.totp.why_not} == {"not_allowed"}
    with pytest.raises(CodeRefused):
        page.approve(requested.id, "00000000")
    with pytest.raises(CodeRefused):
        page.approve(requested.id, "00000000", method="password+totp")
    with pytest.raises(CodeRefused):
        page.send(requested.id)
    assert page.row(requested.id).code_tries == 0
    assert page.tries_of_day() == 0


def test_a_payment_above_the_cap_has_no_sms(owner: CodeWorld) -> None:
    """R-126."""
    requested = owner.world.request(*hashes(1), fields=payment("15000.01"))
    owner.wait_for_sms()
    assert owner.texts(requested.id) == []
    assert owner.ways(requested.id).sms.why_not == "amount"
    with pytest.raises(CodeRefused):
        owner.approve(requested.id, "00000000")
    assert owner.world.approve(requested.id) is APPROVED


def test_without_a_phone_a_payment_above_the_cap_is_refused_at_once(alone: CodeWorld) -> None:
    with pytest.raises(CredentialDisabled):
        alone.world.request(*hashes(1), fields=payment("15000.01"))


def without_texts(page: CodeWorld) -> None:
    page.world.settings = msgspec.structs.replace(
        page.world.settings, sms_gateway=SmsGatewayKind.OFF
    )


def test_where_texts_cannot_be_sent_nobody_is_offered_one(owner: CodeWorld) -> None:
    """Whatever the record allows."""
    without_texts(owner)
    requested = owner.world.request(*hashes(1))
    owner.wait_for_sms()
    assert owner.texts(requested.id) == []
    assert owner.ways(requested.id).sms.why_not == "not_allowed"
    with pytest.raises(CodeRefused):
        owner.send(requested.id)
    assert owner.world.approve(requested.id) is APPROVED


def test_where_texts_cannot_be_sent_who_has_no_other_way_is_asked_for_nothing(
    alone: CodeWorld,
) -> None:
    without_texts(alone)
    with pytest.raises(CredentialDisabled):
        alone.world.request(*hashes(1))


def test_another_signers_transaction_is_not_found(alone: CodeWorld) -> None:
    requested = alone.world.request(*hashes(1))
    for call in (
        partial(alone.approve, requested.id, "00000000", signer=uuid4()),
        partial(alone.approve, uuid4(), "00000000"),
        partial(alone.send, uuid4()),
        partial(alone.ways, uuid4()),
    ):
        with pytest.raises(NotFound):
            call()


def test_a_frozen_signer_approves_nothing(alone: CodeWorld) -> None:
    requested = alone.world.request(*hashes(1))
    alone.world.freeze()
    for call in (partial(alone.approve, requested.id), partial(alone.send, requested.id)):
        with pytest.raises(SignerFrozen):
            call()
    assert alone.ways(requested.id).sms.why_not == "frozen"
    assert alone.row(requested.id).code_tries == 0


def test_a_freeze_while_the_sam_works_keeps_the_approval_out(anna: CodeWorld) -> None:
    requested = anna.world.request(*hashes(1))
    with pytest.raises(SignerFrozen):
        anna.approve(requested.id, sam=Meanwhile(anna.world.sam.sam, anna.world.freeze))
    assert anna.world.state(requested.id) == TransactionState.PENDING


def test_an_end_while_the_sam_works_stands(alone: CodeWorld) -> None:
    requested = alone.world.request(*hashes(1))

    def called_off() -> None:
        with alone.world.sessions() as session:
            cancel(session, transaction=requested.id, because="test", now=alone.clock())

    with pytest.raises(TransactionOver) as caught:
        alone.approve(requested.id, sam=Meanwhile(alone.world.sam.sam, called_off))
    assert caught.value.state == TransactionState.CANCELLED


def call_off(world: CodeWorld, transaction: UUID) -> None:
    with world.world.sessions() as session:
        cancel(session, transaction=transaction, because="test", now=world.clock())


def freeze_signer(world: CodeWorld, _transaction: UUID) -> None:
    world.world.freeze()


@pytest.mark.parametrize(
    ("happens", "refusal"), [(call_off, TransactionOver), (freeze_signer, SignerFrozen)]
)
def test_what_ends_while_the_password_is_hashed_costs_no_try(
    alone: CodeWorld,
    monkeypatch: pytest.MonkeyPatch,
    happens: Callable[[CodeWorld, UUID], None],
    refusal: type[Exception],
) -> None:
    """Between the look at the request and the count: the SAM is not asked."""
    requested = alone.world.request(*hashes(1))
    code = alone.code(requested.id)

    def interposed(typed: str, salt: bytes) -> bytes:
        happens(alone, requested.id)
        return argon2_hash(typed, salt)

    monkeypatch.setattr(approval_by_code, "argon2_hash", interposed)
    with pytest.raises(refusal):
        alone.approve(requested.id, code)
    assert (alone.row(requested.id).code_tries, alone.tries_of_day()) == (0, 0)


@pytest.mark.parametrize("happens", [call_off, freeze_signer])
def test_no_sms_is_added_to_what_ends_while_the_sam_writes_it(
    alone: CodeWorld, happens: Callable[[CodeWorld, UUID], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    requested = alone.world.request(*hashes(1))
    sam = alone.world.sam.sam
    render_sms = sam.render_sms

    def interposed(asked: RenderSms) -> CodeSms:
        happens(alone, requested.id)
        return render_sms(asked)

    monkeypatch.setattr(sam, "render_sms", interposed)
    with pytest.raises(TooManyTries):
        alone.send(requested.id)
    assert (len(alone.texts(requested.id)), alone.row(requested.id).sms_asked) == (1, 0)


def test_after_five_minutes_the_code_is_too_old_until_it_is_sent_again(
    newcomer: CodeWorld, clock: SettableClock
) -> None:
    transaction = newcomer.world.request_certificate()
    code = newcomer.code(transaction)
    clock.advance(seconds=300)
    assert newcomer.ways(transaction).sms.open
    clock.advance(seconds=1)
    way = newcomer.ways(transaction).sms
    assert (way.open, way.why_not, way.may_send) == (False, "expired", True)
    with pytest.raises(CodeRefused) as caught:
        newcomer.approve(transaction, code)
    assert caught.value.rule == 4
    assert newcomer.row(transaction).code_tries == 0
    assert newcomer.send(transaction) == clock() + timedelta(seconds=300)
    assert newcomer.approve(transaction) is APPROVED


def test_an_sms_is_sent_again_three_times_and_not_every_moment(
    newcomer: CodeWorld, clock: SettableClock
) -> None:
    """T-14."""
    transaction = newcomer.world.request_certificate()
    for _ in range(3):
        newcomer.send(transaction)
        assert not newcomer.ways(transaction).sms.may_send
        with pytest.raises(TooManyTries):
            newcomer.send(transaction)
        clock.advance(seconds=30)
    with pytest.raises(TooManyTries, match="as often"):
        newcomer.send(transaction)
    assert len(newcomer.texts(transaction)) == 4
    assert not newcomer.ways(transaction).sms.may_send
    assert newcomer.approve(transaction) is APPROVED


def test_of_two_who_let_it_be_sent_at_once_one_does(anna: CodeWorld) -> None:
    requested = anna.world.request(*hashes(1))
    results = at_once(*[partial(anna.send, requested.id)] * 4)
    sent = [one for one in results if not isinstance(one, CellkeyError)]
    assert len(sent) == 1
    assert len(anna.texts(requested.id)) == 2


# --- counts ---------------------------------------------------------------------


def test_three_codes_are_looked_at_and_no_fourth(anna: CodeWorld) -> None:
    """T-15, by the database anna: the SAM forgets between the tries."""
    requested = anna.world.request(*hashes(1))
    code = anna.code(requested.id)
    for left in (2, 1, 0):
        with pytest.raises(WrongCode) as caught:
            anna.approve(requested.id, wrong(code), sam=fresh_sam(anna))
        assert caught.value.tries_left == left
    with pytest.raises(TooManyTries):
        anna.approve(requested.id, code, sam=fresh_sam(anna))
    assert anna.ways(requested.id).sms.why_not == "used_up"
    assert anna.row(requested.id).code_tries == 3


def fresh_sam(world: CodeWorld) -> Any:  # noqa: ANN401  # a Sam
    return open_sam_world(world.world.sam.hsm, world.clock).sam


def test_by_the_sam_alone_three_codes_are_looked_at_too(alone: CodeWorld) -> None:
    """Whoever writes the database's counts back wins nothing."""
    requested = alone.world.request(*hashes(1))
    code = alone.code(requested.id)

    def forget(session: Session) -> None:
        session.execute(update(Transaction).values(code_tries=0))
        session.execute(update(Signer).values(code_tries=0))

    for _ in range(3):
        with pytest.raises(WrongCode):
            alone.approve(requested.id, wrong(code))
        alone.world.overwrite(forget)
    with pytest.raises(TooManyTries):
        alone.approve(requested.id, code)


def test_parallel_guesses_are_counted_too(anna: CodeWorld) -> None:
    """T-15."""
    requested = anna.world.request(*hashes(1))
    code = anna.code(requested.id)
    guesses = [partial(anna.approve, requested.id, wrong(code), sam=fresh_sam(anna))] * 8
    results = at_once(*guesses)
    assert sum(isinstance(one, WrongCode) for one in results) == 3
    assert sum(isinstance(one, TooManyTries) for one in results) == 5


def test_ten_wrong_codes_of_a_day_close_the_way_until_it_is_over(
    anna: CodeWorld, clock: SettableClock
) -> None:
    """T-15; the count lies in the signer's row, whatever transaction it is."""
    requested = anna.world.request(*hashes(1))
    anna.world.overwrite(
        lambda session: session.execute(
            update(Signer).values(code_tries=10, code_tries_since=clock() - timedelta(hours=23))
        )
    )
    assert anna.ways(requested.id).tries_left == 0
    with pytest.raises(TooManyTries):
        anna.approve(requested.id)
    anna.world.overwrite(
        lambda session: session.execute(
            update(Signer).values(code_tries_since=clock() - timedelta(days=1))
        )
    )
    with pytest.raises(WrongCode):
        anna.approve(requested.id, wrong(anna.code(requested.id)))
    assert anna.tries_of_day() == 1
    assert anna.approve(requested.id) is APPROVED
    assert anna.tries_of_day() == 1


def test_the_days_count_holds_against_guesses_that_read_it_before(anna: CodeWorld) -> None:
    requests = [anna.world.request(*hashes(1, seed=str(place))) for place in range(4)]
    anna.world.overwrite(
        lambda session: session.execute(
            update(Signer).values(code_tries=8, code_tries_since=anna.clock())
        )
    )
    guesses = [partial(anna.approve, each.id, "00000000", sam=fresh_sam(anna)) for each in requests]
    results = at_once(*guesses)
    assert sum(isinstance(one, WrongCode) for one in results) == 2
    assert anna.tries_of_day() == 10


def test_a_right_code_with_a_wrong_password_counts(alone: CodeWorld) -> None:
    requested = alone.world.request(*hashes(1))
    with pytest.raises(WrongPassword):
        alone.approve(requested.id, unverified_password="not this one")
    assert (alone.row(requested.id).code_tries, alone.tries_of_day()) == (1, 1)
    assert alone.approve(requested.id) is APPROVED


@pytest.mark.parametrize("typed", ["", "1234567", "123456789", "abcdefgh", "1234 567x", "1" * 500])
def test_what_has_not_eight_digits_costs_no_try(alone: CodeWorld, typed: str) -> None:
    requested = alone.world.request(*hashes(1))
    with pytest.raises(WrongCode) as caught:
        alone.approve(requested.id, typed)
    assert caught.value.tries_left == 3
    assert alone.row(requested.id).code_tries == 0


@pytest.mark.parametrize("error", [SamUnavailable("away"), HsmUnavailable("away")])
def test_a_try_that_nobody_could_check_is_given_back(alone: CodeWorld, error: CellkeyError) -> None:
    requested = alone.world.request(*hashes(1))

    class Away:
        def approve_by_code(self, request: ApproveByCode) -> ApprovedByCode:
            del request
            raise error

    with pytest.raises(type(error)):
        alone.approve(requested.id, sam=Away())
    assert (alone.row(requested.id).code_tries, alone.tries_of_day()) == (0, 0)
    assert alone.approve(requested.id) is APPROVED


def test_where_the_password_lock_is_destroyed_no_code_helps(alone: CodeWorld) -> None:
    requested = alone.world.request(*hashes(1))
    alone.world.overwrite(
        lambda session: session.execute(delete(Lock).where(Lock.kind == "password"))
    )
    assert alone.ways(requested.id).sms.why_not == "not_allowed"
    with pytest.raises(CodeRefused) as caught:
        alone.approve(requested.id)
    assert caught.value.rule == 5


# --- one answer -----------------------------------------------------------------


def test_a_code_is_good_once(alone: CodeWorld) -> None:
    requested = alone.world.request(*hashes(1))
    code = alone.code(requested.id)
    alone.approve(requested.id, code)
    with pytest.raises(TransactionOver):
        alone.approve(requested.id, code)
    assert alone.ways(requested.id).sms.why_not == "over"


def test_of_phone_and_code_at_once_one_answer_stands(boris: CodeWorld) -> None:
    """R-056: exactly one way wins."""
    requested = boris.world.request(*hashes(1))
    boris.wait_for_sms()
    results = at_once(
        partial(boris.approve, requested.id),
        partial(boris.world.approve, requested.id),
        partial(boris.approve, requested.id),
    )
    assert results.count(APPROVED) == 1
    with boris.world.sessions() as session:
        assert len(session.scalars(select(Approval)).all()) == 1
    wanted = hashes(1)
    assert boris.world.collect(boris.world.csc_sad(requested), *wanted)


def test_a_phones_refusal_counts_after_an_approval_by_code(boris: CodeWorld) -> None:
    """The boris sees on the phone what somebody approves by SMS, and stops it."""
    requested = boris.world.request(*hashes(1))
    boris.wait_for_sms()
    boris.approve(requested.id)
    assert boris.world.refuse(requested.id) is TransactionState.REJECTED
    with pytest.raises(CellkeyError):
        boris.world.csc_sad(requested)


def test_after_a_refusal_no_code_is_heard(owner: CodeWorld) -> None:
    requested = owner.world.request(*hashes(1))
    owner.wait_for_sms()
    owner.world.refuse(requested.id)
    with pytest.raises(TransactionOver):
        owner.approve(requested.id)
    with pytest.raises(TransactionOver):
        owner.send(requested.id)


def test_after_exp_no_code_is_heard(alone: CodeWorld, clock: SettableClock) -> None:
    requested = alone.world.request(*hashes(1))
    clock.advance(seconds=301)
    with pytest.raises(TransactionOver):
        alone.approve(requested.id)
    assert alone.ways(requested.id).sms.why_not == "over"


# --- whom one may ask -----------------------------------------------------------


def test_a_phone_that_was_removed_leaves_the_way_by_code(owner: CodeWorld) -> None:
    owner.world.overwrite(
        lambda session: session.execute(update(Device).values(removal_asked_at=owner.clock()))
    )
    requested = owner.world.request(*hashes(1))
    owner.wait_for_sms()
    assert owner.approve(requested.id) is APPROVED


def test_a_row_that_says_methods_of_which_the_record_knows_nothing_gives_no_way(
    world_on_sqlite: SigningWorld, clock: SettableClock
) -> None:
    """Rows are no authority."""

    def pretend(session: Session) -> None:
        session.execute(update(Cell).values(methods="app password+sms"))
        session.execute(update(Device).values(removal_asked_at=clock()))

    world_on_sqlite.overwrite(pretend)
    with pytest.raises(CredentialDisabled):
        world_on_sqlite.request(*hashes(1))


def test_a_row_that_holds_no_record_gives_no_way(alone: CodeWorld) -> None:
    requested = alone.world.request(*hashes(1))
    code = alone.code(requested.id)
    alone.world.overwrite(lambda session: session.execute(update(Record).values(record="x")))
    for method in ("password+sms", "password+totp"):
        with pytest.raises(CodeRefused) as caught:
            alone.approve(requested.id, code, method=method)
        assert caught.value.rule == 2
    with pytest.raises(CellkeyError):
        alone.ways(requested.id)


def test_a_number_that_was_written_over_gets_no_sms(owner: CodeWorld) -> None:
    owner.world.overwrite(
        lambda session: session.execute(update(Signer).values(number="+79160000000"))
    )
    requested = owner.world.request(*hashes(1))
    assert owner.texts(requested.id) == []
    assert owner.ways(requested.id).sms.why_not == "not_allowed"


def test_a_first_approval_by_code_is_asked_of_who_has_no_phone(
    newcomer: CodeWorld, clock: SettableClock
) -> None:
    transaction = newcomer.world.request_certificate()
    assert "сертификат" in newcomer.texts(transaction)[0].lower()
    assert newcomer.approve(transaction) is APPROVED
