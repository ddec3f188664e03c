"""A password is changed while something else of the same signer changes: the two fit afterwards."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, update

from backend.devices.replacement import ReplacementOrder, print_replacement
from backend.errors import TooManyTries, TransactionOver
from backend.model.tables import (
    BrowserSession,
    Device,
    KnownBrowser,
    Signer,
    TotpSeed,
    Transaction,
)
from backend.signers import password
from backend.signers.freeze import freeze
from backend.virtual_phone.transactions import Consent
from tests.journeys.test_account import NEWER, change
from tests.journeys.test_account_codes import (
    CODES,
    authenticator,
    begun,
    code_of,
    methods,
    number,
)
from tests.journeys.test_forgotten_password import approve, ask, set_it, signs_in, verdict
from tests.world.browser import Browser
from tests.world.clock import SettableClock
from tests.world.oauth_client import an_oauth_client, sign_in
from tests.world.service import NEW_PASSWORD, PRINTER, Service, hashes

LAST = "три белых коня, 3"


def once_before(
    monkeypatch: pytest.MonkeyPatch, where: object, name: str, happens: Callable[[], object]
) -> None:
    """Let something happen before the next call of a function."""
    called = getattr(where, name)

    def interposed(*given: Any, **named: Any) -> Any:  # noqa: ANN401  # passed on as it came
        monkeypatch.setattr(where, name, called)
        happens()
        return called(*given, **named)

    monkeypatch.setattr(where, name, interposed)


def allow(service: Service, browser: Browser) -> None:
    """The phone lets a code stand for it; the clerk has not come yet."""
    phone = service.phone()
    (asked,) = [one for one in phone.pending().transactions if one.kind == "amend"]
    phone.approve(phone.show(asked.id), consent=Consent(number=number(browser)))


def approves_by_sms(service: Service, typed: str) -> bool:
    """Whether password and SMS approve a request."""
    shop = an_oauth_client(service)
    page = Browser(service)
    page.open(shop.address(shop.session(scope="credential"), **shop.wish(*hashes(1)))[0])
    waiting = sign_in(page, password=typed).address
    service.clock.advance(seconds=60)  # type: ignore[attr-defined]  # a SettableClock
    code = service.work()[-1].code
    page.open(f"{waiting}/code/sms")
    return "code" in page.send(code=code, password=typed).told


def reset(service: Service) -> None:
    """An operator prints another envelope, with a first password."""
    order = ReplacementOrder(
        login="a.ivanova", operator=PRINTER, remove_phones=False, reset_password=True
    )
    with service.sessions() as session:
        print_replacement(
            session,
            service.sam,
            order,
            settings=service.settings,
            public_keys=service.public_keys,
            now=service.clock(),
        )


def row(service: Service, query: Any) -> Any:  # noqa: ANN401  # any select of one column
    with service.sessions() as session:
        return session.scalars(query).one()


@pytest.mark.sms
def test_a_password_that_changes_while_the_phones_yes_is_written_opens_its_lock(
    signing_service: Service, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the verifier would be the new password's, and the lock the old one's, for good."""
    allow(signing_service, begun(signing_service, "sms"))
    clerk = signing_service.clerk
    once_before(monkeypatch, signing_service.sam, "change_password", clerk.run_once)
    refused = change(signing_service)

    assert refused.answer.status_code == 403
    assert methods(signing_service) == "app password+sms"
    assert signs_in(signing_service, NEW_PASSWORD)
    assert "was changed" in change(signing_service).page.text
    assert approves_by_sms(signing_service, NEWER)


@pytest.mark.sms
def test_a_forgotten_password_that_is_set_while_the_phones_yes_is_written_opens_its_lock(
    signing_service: Service, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock says what it opens for, and that has changed; it may be typed again."""
    asked = ask(signing_service)
    signing_service.clerk.run_once()
    browser = begun(signing_service, "sms")
    allow(signing_service, browser)
    phone = signing_service.phone()
    (waiting,) = phone.pending().transactions
    phone.approve(phone.show(waiting.id), consent=Consent(number=asked.number))
    clerk = signing_service.clerk
    once_before(monkeypatch, signing_service.sam, "set_password", clerk.run_once)
    with pytest.raises(TooManyTries):
        set_it(signing_service, asked)

    assert methods(signing_service) == "app password+sms"
    assert verdict(signing_service, asked) == "approved"
    set_it(signing_service, asked, NEWER)
    assert approves_by_sms(signing_service, NEWER)


def test_a_forgotten_password_is_not_set_over_an_operators_reset(
    signing_service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the new salt it would be nobody's password."""
    asked = ask(signing_service)
    approve(signing_service, asked)
    once_before(monkeypatch, signing_service.sam, "set_password", lambda: reset(signing_service))
    with pytest.raises(TooManyTries):
        set_it(signing_service, asked)

    assert row(signing_service, select(Signer.password_change_due))
    set_it(signing_service, asked, NEWER)
    assert signs_in(signing_service, NEWER)


def freeze_it(service: Service) -> None:
    with service.sessions() as session:
        freeze(session, signer=service.signer(), by="operator", now=service.clock())


def remove_it(service: Service) -> None:
    with service.sessions.begin() as session:
        session.execute(update(Device).values(removal_asked_at=service.clock()))


@pytest.mark.parametrize("happens", [freeze_it, remove_it])
def test_t_37_a_freeze_or_removal_while_the_sam_works_keeps_the_old_password(
    signing_service: Service,
    monkeypatch: pytest.MonkeyPatch,
    happens: Callable[[Service], None],
) -> None:
    """Of the phone that approved the new one."""
    asked = ask(signing_service)
    approve(signing_service, asked)
    verifier = row(signing_service, select(Signer.password_verifier))
    once_before(monkeypatch, signing_service.sam, "set_password", lambda: happens(signing_service))
    with pytest.raises(TransactionOver):
        set_it(signing_service, asked)

    assert row(signing_service, select(Signer.password_verifier)) == verifier


def test_who_sends_the_form_twice_changes_the_password_once(
    signing_service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is done between the second's look at the password and at the lock."""
    answers: list[int] = []
    hashed = password.argon2_hash

    def interposed(typed: str, salt: bytes) -> bytes:
        if typed == LAST and not answers:
            answers.append(0)
            answers.append(change(signing_service).answer.status_code)
        return hashed(typed, salt)

    monkeypatch.setattr(password, "argon2_hash", interposed)
    second = change(signing_service, LAST)

    assert answers[1:] == [200]
    assert second.answer.status_code == 403
    assert signs_in(signing_service, NEWER)
    assert "was changed" in change(signing_service, password=NEWER, new=LAST).page.text


def test_after_an_operators_reset_no_browser_goes_on(signing_service: Service) -> None:
    """ASVS 7.4.3: the thief of the old password may be there."""
    shop = an_oauth_client(signing_service)
    thief = Browser(signing_service)
    thief.open(shop.address(shop.session(scope="credential"), **shop.wish(*hashes(1)))[0])
    sign_in(thief)
    reset(signing_service)

    assert thief.again().answer.status_code == 403
    with signing_service.sessions() as session:
        assert session.scalars(select(BrowserSession.token_hash)).all() == []
        assert session.scalars(select(KnownBrowser.token_hash)).all() == []


@pytest.mark.sms
def test_the_phones_yes_to_a_lock_that_is_destroyed_meanwhile_is_over(
    signing_service: Service,
) -> None:
    """And not tried again twice a second until it is too late."""
    browser = begun(signing_service, "sms")
    allow(signing_service, browser)
    reset(signing_service)
    signing_service.clerk.run_once()

    amend = select(Transaction.state).where(Transaction.kind == "amend")
    assert row(signing_service, amend) == "failed"
    assert methods(signing_service) == "app"
    assert "Nothing has changed" in browser.open(f"{CODES}/wait").page.text


def test_the_phones_yes_to_a_seed_that_was_thrown_away_is_over(signing_service: Service) -> None:
    """Else the record would name a seed that nobody has."""
    browser = begun(signing_service, "totp")
    app = authenticator(browser)
    browser.send_also(do="confirm", code=code_of(app, signing_service), password=NEW_PASSWORD)
    allow(signing_service, browser)
    authenticator(begun(signing_service, "totp"))
    signing_service.clerk.run_once()

    assert methods(signing_service) == "app"
    assert "Nothing has changed" in browser.again().page.text
    with signing_service.sessions() as session:
        assert len(session.scalars(select(TotpSeed)).all()) == 1
