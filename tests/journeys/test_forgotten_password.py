"""A forgotten password, with a paired phone: the page, the clerk, the phone, the page again."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from backend.access.stale_requests import forget_forgotten
from backend.devices.forgotten import (
    AskedPassword,
    Verdict,
    ask_new_password,
    look,
    set_new_password,
)
from backend.devices.forgotten_asking import ask_phone, forgotten_to_ask
from backend.errors import (
    AlreadyThere,
    NotApproved,
    NotFound,
    PasswordUnfit,
    SignerFrozen,
    TransactionOver,
    WrongPassword,
)
from backend.model.tables import (
    ForgottenPassword,
    Lock,
    OutboxMessage,
    PushSubscription,
    Signer,
    Transaction,
)
from backend.protocol.encoding import unb64u
from backend.signers.freeze import freeze
from backend.signers.sign_in import SignIn, sign_in
from backend.virtual_phone.errors import ServerRefused
from backend.virtual_phone.transactions import Consent
from tests.world.clock import SettableClock
from tests.world.service import NEW_PASSWORD, Service, open_service

ANNAS = "a.ivanova"
NEWER = "жёлтый самовар 9"


def ask(service: Service, login: str = ANNAS) -> AskedPassword:
    with service.sessions() as session:
        return ask_new_password(session, login=login, now=service.clock())


def verdict(service: Service, asked: AskedPassword) -> Verdict:
    with service.sessions() as session:
        return look(session, asked=asked.id, secret=asked.secret, now=service.clock())


def approve(service: Service, asked: AskedPassword, *, number: str | None = None) -> str:
    """The clerk asks, the phone says yes with the number of the page."""
    service.clerk.run_once()
    phone = service.phone()
    (waiting,) = phone.pending().transactions
    assert waiting.kind == "set_password"
    consent = Consent(number=number or asked.number)
    return phone.approve(phone.show(waiting.id), consent=consent)


def set_it(service: Service, asked: AskedPassword, password: str = NEWER) -> None:
    with service.sessions() as session:
        set_new_password(
            session,
            service.sam,
            asked=asked.id,
            secret=asked.secret,
            unverified_new_password=password,
            now=service.clock(),
        )


def signs_in(service: Service, password: str) -> bool:
    typed = SignIn(login=ANNAS, unverified_password=password)
    try:
        with service.sessions() as session:
            sign_in(session, service.sam, typed, now=service.clock())
    except WrongPassword:
        return False
    return True


def asks(service: Service) -> int:
    query = select(func.count()).select_from(Transaction).where(Transaction.kind == "set_password")
    with service.sessions() as session:
        return session.scalar(query) or 0


# --- the way it should be ---------------------------------------------------------


def test_a_paired_phone_gives_a_new_password(signing_service: Service) -> None:
    """R-015: key and certificate stay."""
    asked = ask(signing_service)
    assert verdict(signing_service, asked) == "waiting"
    assert approve(signing_service, asked) == "approved"
    assert verdict(signing_service, asked) == "approved"

    set_it(signing_service, asked)

    assert verdict(signing_service, asked) == "over"
    assert signs_in(signing_service, NEWER)
    assert not signs_in(signing_service, NEW_PASSWORD)
    with signing_service.sessions() as session:
        assert len(session.scalars(select(Lock).where(Lock.kind == "password")).all()) == 1


def test_t_21_with_a_new_password_nobody_waits_for_the_old_ones_tries(
    signing_service: Service,
) -> None:
    """Who guessed before would else keep its owner out."""
    asked = ask(signing_service)
    approve(signing_service, asked)
    with signing_service.sessions.begin() as session:
        guessed = update(Signer).values(
            password_tries=12, password_tried_at=signing_service.clock()
        )
        session.execute(guessed)
    set_it(signing_service, asked)
    assert signs_in(signing_service, NEWER)


def test_the_phone_shows_whose_password_and_since_when(signing_service: Service) -> None:
    ask(signing_service)
    signing_service.clerk.run_once()
    phone = signing_service.phone()
    (waiting,) = phone.pending().transactions
    text = "\n".join(phone.show(waiting.id).checked.ask.text.lines)
    assert "Иванова Анна Петровна" in text
    assert "обман" in text


def test_it_works_on_every_database(
    database_url: str, tmp_path: Path, clock: SettableClock
) -> None:
    service = open_service(tmp_path, clock=clock, database_url=database_url)
    service.signing_phone(service.register())
    asked = ask(service)
    approve(service, asked)
    set_it(service, asked)
    assert signs_in(service, NEWER)
    service.close()


def test_an_unfit_password_may_be_typed_anew(signing_service: Service) -> None:
    asked = ask(signing_service)
    approve(signing_service, asked)
    with pytest.raises(PasswordUnfit):
        set_it(signing_service, asked, "short")
    set_it(signing_service, asked)
    assert signs_in(signing_service, NEWER)


# --- who is not the signer --------------------------------------------------------


def test_t_17_the_answer_is_the_same_for_any_login(signing_service: Service) -> None:
    for login in ("nobody", "", "a" * 5000, "\0", ANNAS.upper()):
        asked = ask(signing_service, login)
        assert len(asked.secret) == 43
        assert verdict(signing_service, asked) == "waiting"
    signing_service.clerk.run_once()
    assert asks(signing_service) == 1


def test_without_the_phone_there_is_no_new_password(signing_service: Service) -> None:
    asked, nobodys = ask(signing_service), ask(signing_service, "nobody")
    for request in (asked, nobodys):
        with pytest.raises(NotApproved):
            set_it(signing_service, request)
    signing_service.clerk.run_once()
    with pytest.raises(NotApproved):
        set_it(signing_service, asked)


def test_t_01_a_wrong_number_ends_it_and_the_page_does_not_tell(signing_service: Service) -> None:
    asked = ask(signing_service)
    other = f"{(int(asked.number) + 1) % 100:02}"
    with pytest.raises(ServerRefused):
        approve(signing_service, asked, number=other)
    assert verdict(signing_service, asked) == "waiting"
    with pytest.raises(TransactionOver):
        set_it(signing_service, asked)


def test_only_the_browser_that_began_it_sets_the_password(signing_service: Service) -> None:
    asked = ask(signing_service)
    approve(signing_service, asked)
    thief = AskedPassword(
        id=asked.id, secret="x" * 43, number=asked.number, expires_at=asked.expires_at
    )
    assert verdict(signing_service, thief) == "over"
    with pytest.raises(NotFound):
        set_it(signing_service, thief)


def test_who_writes_rows_moves_no_approval_to_a_browser_of_his_own(
    signing_service: Service,
) -> None:
    """The ask holds the hash of the secret of the browser that began; KS signed it."""
    mine, theirs = ask(signing_service, "nobody"), ask(signing_service)
    approve(signing_service, theirs)
    with signing_service.sessions() as session:
        row = select(ForgottenPassword.transaction_id, ForgottenPassword.signer_id)
        transaction, signer = session.execute(row.where(ForgottenPassword.id == theirs.id)).one()
        session.execute(
            update(ForgottenPassword)
            .where(ForgottenPassword.id == theirs.id)
            .values(transaction_id=None)
        )
        session.execute(
            update(ForgottenPassword)
            .where(ForgottenPassword.id == mine.id)
            .values(transaction_id=transaction, signer_id=signer)
        )
        session.commit()
    assert verdict(signing_service, mine) == "approved"
    with pytest.raises(TransactionOver):
        set_it(signing_service, mine)
    assert signs_in(signing_service, NEW_PASSWORD)


def test_not_me_gives_an_hour_of_rest(signing_service: Service, clock: SettableClock) -> None:
    """T-01."""
    ask(signing_service)
    signing_service.clerk.run_once()
    phone = signing_service.phone()
    (waiting,) = phone.pending().transactions
    phone.reject(phone.show(waiting.id), decision="not_me")
    ask(signing_service)
    signing_service.clerk.run_once()
    assert asks(signing_service) == 1

    clock.advance(seconds=3601)
    ask(signing_service)
    signing_service.clerk.run_once()
    assert asks(signing_service) == 2


def test_t_01_one_at_a_time_and_so_many_an_hour(
    signing_service: Service, clock: SettableClock
) -> None:
    for _ in range(3):
        ask(signing_service)
        signing_service.clerk.run_once()
    assert asks(signing_service) == 1
    for _ in range(6):
        phone = signing_service.phone()
        for waiting in phone.pending().transactions:
            phone.reject(phone.show(waiting.id))
        ask(signing_service)
        signing_service.clerk.run_once()
    assert asks(signing_service) == 5
    clock.advance(seconds=3601)
    ask(signing_service)
    signing_service.clerk.run_once()
    assert asks(signing_service) == 6


def test_what_came_beside_another_one_is_never_asked(signing_service: Service) -> None:
    """Two at once that both found nothing; the second clerk, or the second row, gives way."""
    first = ask(signing_service)
    with signing_service.sessions() as session:
        signer = session.scalars(select(ForgottenPassword.signer_id)).one()
    second = ask(signing_service)
    with signing_service.sessions() as session:
        session.execute(
            update(ForgottenPassword)
            .where(ForgottenPassword.id == second.id)
            .values(signer_id=signer)
        )
        session.commit()
    signing_service.clerk.run_once()
    signing_service.clerk.run_once()
    assert asks(signing_service) == 1
    with signing_service.sessions() as session:
        assert forgotten_to_ask(session, signing_service.clock()) == []
        for asked in (first, second):
            with pytest.raises(AlreadyThere):
                ask_phone(
                    session,
                    signing_service.sam,
                    asked=asked.id,
                    settings=signing_service.settings,
                    now=signing_service.clock(),
                )


def test_two_clerks_ask_once(database_url: str, tmp_path: Path, clock: SettableClock) -> None:
    service = open_service(tmp_path, clock=clock, database_url=database_url)
    service.paired_phone(service.register())
    asked = ask(service)

    def clerk(_number: int) -> bool:
        try:
            with service.sessions() as session:
                ask_phone(
                    session,
                    service.sam,
                    asked=asked.id,
                    settings=service.settings,
                    now=service.clock(),
                )
        except AlreadyThere:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(clerk, range(4))) == [False, False, False, True]
    assert asks(service) == 1
    service.close()


def test_of_two_passwords_at_once_one_is_set(
    database_url: str, tmp_path: Path, clock: SettableClock
) -> None:
    service = open_service(tmp_path, clock=clock, database_url=database_url)
    service.signing_phone(service.register())
    asked = ask(service)
    approve(service, asked)

    def type_it(password: str) -> bool:
        try:
            set_it(service, asked, password)
        except TransactionOver:
            return False
        return True

    words = (f"{NEWER} a", f"{NEWER} b")
    with ThreadPoolExecutor(2) as pool:
        taken = list(pool.map(type_it, words))
    assert sorted(taken) == [False, True]
    assert [signs_in(service, word) for word in words] == taken
    service.close()


# --- what stands against it -------------------------------------------------------


def test_a_freeze_stops_it_up_to_the_end(signing_service: Service) -> None:
    asked = ask(signing_service)
    approve(signing_service, asked)
    with signing_service.sessions() as session:
        freeze(session, signer=signing_service.signer(), by="desk", now=signing_service.clock())
    assert verdict(signing_service, asked) == "waiting"
    with pytest.raises(SignerFrozen):
        set_it(signing_service, asked)
    ask(signing_service)
    signing_service.clerk.run_once()
    assert asks(signing_service) == 1


def test_a_phone_that_is_removed_after_its_approval_sets_no_password(
    signing_service: Service,
) -> None:
    asked = ask(signing_service)
    approve(signing_service, asked)
    phone = signing_service.phone()
    phone.calls().call("DELETE", f"devices/{phone.kid()}")
    with pytest.raises(TransactionOver):
        set_it(signing_service, asked)
    assert signs_in(signing_service, NEW_PASSWORD)


def test_it_ends_with_its_time(signing_service: Service, clock: SettableClock) -> None:
    asked = ask(signing_service)
    approve(signing_service, asked)
    clock.advance(seconds=1201)
    assert verdict(signing_service, asked) == "over"
    with pytest.raises(TransactionOver):
        set_it(signing_service, asked)
    clock.advance(seconds=3000)
    with signing_service.sessions() as session:
        assert forget_forgotten(session, signing_service.clock()) == 1


def test_a_row_is_kept_while_something_may_follow(
    signing_service: Service, clock: SettableClock
) -> None:
    ask(signing_service)
    clock.advance(seconds=3600)
    with signing_service.sessions() as session:
        assert forget_forgotten(session, signing_service.clock()) == 0


def test_the_first_asks_of_an_hour_wake_the_phone(signing_service: Service) -> None:
    """T-01: then they lie in its list."""
    phone = signing_service.phone()
    with signing_service.sessions() as session:
        session.add(
            PushSubscription(
                kid=unb64u(phone.kid()),
                endpoint="https://push.example/1",
                p256dh="key",
                auth="auth",
                created_at=signing_service.clock(),
            )
        )
        session.commit()
    for _ in range(5):
        ask(signing_service)
        signing_service.clerk.run_once()
        (waiting,) = phone.pending().transactions
        phone.reject(phone.show(waiting.id))
    with signing_service.sessions() as session:
        count = select(func.count()).select_from(OutboxMessage)
        assert session.scalar(count.where(OutboxMessage.channel == "push")) == 3
