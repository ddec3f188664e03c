"""The signer's own pages: a new password, and the access that is locked by it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from backend.devices.envelope import Envelope
from backend.errors import SamUnavailable
from backend.model.tables import BrowserSession, Cell, Freeze, KnownBrowser, Lock, Record, Signer
from backend.signers.password import FREE_TRIES
from tests.journeys.conftest import Stage
from tests.world.browser import Browser, Shown
from tests.world.clock import SettableClock
from tests.world.oauth_client import OauthClient, an_oauth_client, sign_in
from tests.world.service import NEW_PASSWORD, Service, copy_service, hashes

NEWER = "синий забор, 9 досок"
PASSWORD, FIRST, LOST = "/account/password", "/account/first-password", "/account/lost-phone"


@pytest.fixture(scope="module")
def calm(certified: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that no test changes."""
    opened = copy_service(certified.folder, tmp_path_factory.mktemp("calm-account"))
    yield opened
    opened.close()


def fill(service: Service, address: str, browser: Browser | None = None, **typed: str) -> Shown:
    """Open a form, fill it in, send it."""
    browser = browser or Browser(service)
    browser.open(address)
    given = {"login": "a.ivanova", "password": NEW_PASSWORD}
    return browser.send(**(given | typed))


def change(
    service: Service, new: str = NEWER, browser: Browser | None = None, **typed: str
) -> Shown:
    return fill(service, PASSWORD, browser, new_password=new, **typed)


def comes_in(shop: OauthClient, password: str, browser: Browser | None = None) -> bool:
    browser = browser or Browser(shop.service)
    browser.open(shop.address(shop.session())[0])
    answer = sign_in(browser, password=password).answer
    assert answer.status_code in {303, 403}
    return answer.status_code == 303


def tries(service: Service) -> int:
    with service.sessions() as session:
        return session.scalars(select(Signer.password_tries)).one()


def locked(service: Service) -> list[str]:
    with service.sessions() as session:
        return list(session.scalars(select(Freeze.frozen_by)))


# --- the entry ----------------------------------------------------------------------


def test_the_entry_leads_to_what_can_be_done(calm: Service) -> None:
    browser = Browser(calm)
    shown = browser.open("/")

    assert shown.address == "/account"
    assert "Test CA" in shown.page.text
    for address in (PASSWORD, FIRST, LOST):
        assert browser.open(address).page.forms


def test_the_forms_of_other_sites_are_not_heard(calm: Service) -> None:
    browser = Browser(calm)
    browser._headers["Sec-Fetch-Site"] = "cross-site"
    for address in (PASSWORD, FIRST, LOST):
        assert fill(calm, address, browser).answer.status_code == 403
    assert locked(calm) == []


@pytest.mark.parametrize("address", [PASSWORD, FIRST, LOST])
def test_t_17_the_same_answer_whether_the_account_is_there_or_not(
    certified: Stage, tmp_path: Path, address: str, calm: Service
) -> None:
    """Unknown, wrong, empty, hostile: the page that was sent, with the login that was typed."""
    new: dict[str, Any] = {} if address == LOST else {"new_password": NEWER}
    wrong = fill(calm, address, password="wrong", **new)
    hostile: tuple[dict[str, Any], ...] = (
        {"login": "nobody"},
        {"login": "a.ivanova\x00"},
        {"login": "x" * 3000},
        {"password": "x" * 60_000},
    )
    for typed in hostile:
        shown = fill(calm, address, **(new | typed))
        assert shown.answer.status_code == wrong.answer.status_code == 403
        assert shown.page.text == wrong.page.text
    assert NEW_PASSWORD not in wrong.answer.get_data(as_text=True)


# --- a new password -----------------------------------------------------------------


def test_r_015_a_new_password_keeps_key_and_certificate(signing_service: Service) -> None:
    shop = an_oauth_client(signing_service)
    with signing_service.sessions() as session:
        before = session.execute(
            select(Cell.spki, Cell.blob, Cell.certificate, Cell.epoch, Record.record).join(Record)
        ).all()
        lock = session.scalars(select(Lock.lock).where(Lock.kind == "password")).one()
    shown = change(signing_service)
    with signing_service.sessions() as session:
        after = session.execute(
            select(Cell.spki, Cell.blob, Cell.certificate, Cell.epoch, Record.record).join(Record)
        ).all()
        sealed = session.scalars(select(Lock.lock).where(Lock.kind == "password")).one()

    assert "was changed" in shown.page.text
    assert not comes_in(shop, NEW_PASSWORD)
    assert comes_in(shop, NEWER)
    assert after == before
    assert sealed != lock
    assert "was changed" in change(signing_service, NEW_PASSWORD, password=NEWER).page.text


def test_with_a_new_password_the_other_sessions_end(signing_service: Service) -> None:
    """ASVS 7.4.3: who waits must sign in anew, and other browsers are as unknown as any."""
    shop = an_oauth_client(signing_service)
    thief, mine = Browser(signing_service), Browser(signing_service)
    thief.open(shop.address(shop.session(scope="credential"), **shop.wish(*hashes(1)))[0])
    sign_in(thief)
    change(signing_service, browser=mine)

    assert thief.again().answer.status_code == 403
    with signing_service.sessions() as session:
        assert session.scalars(select(BrowserSession.token_hash)).all() == []
        assert len(session.scalars(select(KnownBrowser.token_hash)).all()) == 1
    for _ in range(FREE_TRIES):
        change(signing_service, NEW_PASSWORD, browser=Browser(signing_service), password="wrong")
    assert comes_in(shop, NEWER, mine)


@pytest.mark.parametrize(
    ("new", "words"),
    [
        ("short", "8 to 128"),
        ("x" * 129, "8 to 128"),
        ("xx a.ivanova xx", "must not contain the login"),
        ("qwertyuiop", "first that are guessed"),
        (NEW_PASSWORD, "another one than before"),
    ],
)
def test_an_unfit_password_is_said_to_be_unfit_and_costs_no_try(
    calm: Service, new: str, words: str
) -> None:
    """ASVS 6.2; also to who does not know the old one, as it depends on nothing of the signer."""
    before = tries(calm)
    shown = change(calm, new)

    assert shown.answer.status_code == 400
    assert words in shown.page.text
    assert tries(calm) == before


def test_t_16_guesses_here_and_at_the_sign_in_are_counted_together(
    signing_service: Service, clock: SettableClock
) -> None:
    shop = an_oauth_client(signing_service)
    for address in (PASSWORD, LOST, PASSWORD, LOST, PASSWORD):
        new: dict[str, Any] = {"new_password": NEWER} if address == PASSWORD else {}
        fill(signing_service, address, password="wrong", **new)

    assert change(signing_service).answer.status_code == 403
    assert fill(signing_service, LOST).answer.status_code == 403
    assert not comes_in(shop, NEW_PASSWORD)
    assert locked(signing_service) == []
    clock.advance(minutes=1)
    assert comes_in(shop, NEW_PASSWORD)


def test_where_the_sam_is_down_nothing_changes(
    signing_service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as down:
        down.setattr(signing_service.sam, "change_password", _down)
        shown = change(signing_service)

    assert shown.answer.status_code == 503
    assert shown.answer.headers["Retry-After"]
    assert "was changed" in change(signing_service).page.text


def _down(*_given: object) -> None:
    raise SamUnavailable("the SAM does not answer")


def test_of_two_changes_at_once_one_counts(
    signing_service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one is told to try again: the verifier that it started from is gone."""
    changed = signing_service.sam.change_password

    def other_first(asked: object) -> object:
        monkeypatch.setattr(signing_service.sam, "change_password", changed)
        assert "was changed" in change(signing_service, "другой забор 5").page.text
        return changed(asked)  # type: ignore[arg-type]  # as it came

    monkeypatch.setattr(signing_service.sam, "change_password", other_first)
    shop = an_oauth_client(signing_service)

    assert change(signing_service).answer.status_code == 403
    assert comes_in(shop, "другой забор 5")


# --- the password of the envelope -----------------------------------------------------


def test_r_042_who_is_to_pair_a_phone_changes_the_first_password_there(
    service: Service, envelope: Envelope
) -> None:
    """Here it is as wrong as any: who photographed the paper cannot make it worthless."""
    shown = fill(service, FIRST, password=envelope.first_password, new_password=NEWER)
    wrong = fill(service, FIRST, password="wrong", new_password=NEWER)

    assert shown.answer.status_code == 403
    assert shown.page.text == wrong.page.text
    assert tries(service) == 0
    service.paired_phone(envelope)


# --- "I lost my phone" ------------------------------------------------------------------


def test_r_048_login_and_password_lock_access_at_once(signing_service: Service) -> None:
    """In flight too, and nothing of the signer is shown."""
    shop = an_oauth_client(signing_service)
    waiting = Browser(signing_service)
    waiting.open(shop.address(shop.session(scope="credential"), **shop.wish(*hashes(1)))[0])
    sign_in(waiting)
    shop.csc("none").approve()
    shown = fill(signing_service, LOST)

    assert "access is locked" in shown.page.text
    assert locked(signing_service) == ["password"]
    assert not shown.page.forms
    for told in ("Иванова", "phone.json", "virtual"):
        assert told not in shown.page.text
    assert waiting.again().told["error"] == "access_denied"


def test_who_is_locked_already_is_told_the_same(signing_service: Service) -> None:
    first = fill(signing_service, LOST)
    second = fill(signing_service, LOST)
    refused = change(signing_service)

    assert first.page.text == second.page.text == refused.page.text
    assert locked(signing_service) == ["password"]


def test_t_21_nobody_locks_access_without_the_password(
    signing_service: Service, clock: SettableClock
) -> None:
    for guess in range(FREE_TRIES + 2):
        shown = fill(signing_service, LOST, password=f"guess {guess}")
        assert shown.answer.status_code == 403
        clock.advance(minutes=1)

    assert locked(signing_service) == []
