"""Ways out of the waiting page: the phone is woken again, "this was not me", and the last pages."""

import pytest
from sqlalchemy import insert, select, update

from backend.model.tables import (
    Authorization,
    Device,
    OutboxMessage,
    PushSubscription,
    StoppedParty,
    Transaction,
)
from backend.protocol.encoding import unb64u
from backend.signers.freeze import freeze
from tests.world.browser import Browser, Shown
from tests.world.clock import SettableClock
from tests.world.oauth_client import CALLBACK, OauthClient, sign_in
from tests.world.raw_calls import RawCalls
from tests.world.service import Service, hashes

ONE = hashes(1)


def waiting(shop: OauthClient, **language: str) -> Browser:
    """A browser whose signer is asked for a signature."""
    browser = Browser(shop.service, **language)
    browser.open(shop.address(shop.session(scope="credential"), **shop.wish(*ONE))[0])
    sign_in(browser)
    return browser


def subscribe(service: Service) -> None:
    """The phone's app wants to be woken."""
    row = {"endpoint": "https://push.cellkey.test/phone", "p256dh": "key", "auth": "auth"}
    with service.sessions.begin() as session:
        session.execute(
            insert(PushSubscription).values(
                kid=unb64u(service.phone().kid()), created_at=service.clock(), **row
            )
        )


def state(browser: Browser) -> dict[str, object]:
    """What the page's script is told."""
    assert browser.shown is not None
    answer = browser.fetch(f"{browser.shown.address}/state")
    assert answer.status_code == 200
    told: dict[str, object] = answer.get_json()
    return told


def transaction(shop: OauthClient) -> Transaction:
    with shop.service.sessions() as session:
        return session.scalars(select(Transaction).where(Transaction.kind == "sign")).one()


# --- what the script is told ----------------------------------------------------------


def test_the_script_is_told_how_far_it_is_and_nothing_else(
    oauth_shop: OauthClient, clock: SettableClock
) -> None:
    browser = waiting(oauth_shop)
    first = state(browser)
    with oauth_shop.service.sessions.begin() as session:
        session.execute(update(Transaction).values(delivered_at=clock()))
    clock.advance(seconds=10)

    assert first == {
        "verdict": "waiting",
        "reached": 0,
        "seconds": 300,
        "status": "The request is on its way to your phone.",
    }
    assert state(browser) == {
        "verdict": "waiting",
        "reached": 2,
        "seconds": 290,
        "status": "The request was delivered to your phone.",
    }
    oauth_shop.csc("none").approve()
    assert state(browser)["verdict"] == "approved"


def test_the_state_is_for_the_browser_that_waits(oauth_shop: OauthClient) -> None:
    browser = waiting(oauth_shop)
    assert browser.shown is not None
    address = f"{browser.shown.address}/state"

    assert oauth_shop.service.client().get(address).status_code == 403


def test_while_it_is_being_asked_the_script_waits(oauth_shop: OauthClient) -> None:
    browser = waiting(oauth_shop)
    with oauth_shop.service.sessions.begin() as session:
        session.execute(update(Authorization).values(transaction_id=None))

    assert state(browser)["verdict"] == "waiting"
    assert browser.send("again").page.refresh
    assert browser.send("cancel").told["error"] == "access_denied"


# --- the last pages ---------------------------------------------------------------------


def test_each_end_says_what_happened_and_leads_back(
    oauth_shop: OauthClient, clock: SettableClock
) -> None:
    ends = []
    for end in ("approve", "reject"):
        browser = waiting(oauth_shop)
        getattr(oauth_shop.csc("none"), end)()
        ends.append(browser.again())
    browser = waiting(oauth_shop)
    clock.advance(seconds=200)
    browser.again()
    clock.advance(seconds=101)
    ends.append(browser.again())
    browser = waiting(oauth_shop)
    with oauth_shop.service.sessions() as session:
        freeze(session, signer=oauth_shop.service.signer(), by="operator", now=clock())
    ends.append(browser.again())

    for shown, words in zip(
        ends, ("Approved", "You refused", "The time is over", "Your access is locked"), strict=True
    ):
        assert shown.answer.status_code == 200
        assert words in shown.page.text
        assert shown.left_for.startswith(CALLBACK)
        assert {"state", "iss"} <= shown.told.keys()
    assert [shown.page.refresh is not None for shown in ends] == [True, False, False, False]
    assert "Test CA" in ends[3].page.text


def test_the_last_page_speaks_the_signers_language(oauth_shop: OauthClient) -> None:
    browser = waiting(oauth_shop, languages="ru")
    oauth_shop.csc("none").reject()

    assert "Вы отказались" in browser.again().page.text


# --- send again ---------------------------------------------------------------------------


def test_t_01_the_phone_is_woken_again_and_soon_not_any_more(
    oauth_shop: OauthClient, clock: SettableClock
) -> None:
    subscribe(oauth_shop.service)
    browser = waiting(oauth_shop)
    told = []
    for _ in range(4):
        with oauth_shop.service.sessions.begin() as session:
            session.execute(update(OutboxMessage).values(sent_at=clock()))
        told.append("Sent again" in browser.send("again").page.text)
        clock.advance(seconds=5)
    with oauth_shop.service.sessions() as session:
        pushes = session.scalars(select(OutboxMessage).where(OutboxMessage.channel == "push")).all()

    assert told == [True, True, False, False]
    assert len([push for push in pushes if push.transaction_id == transaction(oauth_shop).id]) == 3


def test_a_message_that_has_not_left_is_not_sent_twice(oauth_shop: OauthClient) -> None:
    subscribe(oauth_shop.service)
    browser = waiting(oauth_shop)
    for _ in range(3):
        assert "Sent again" in browser.send("again").page.text
    with oauth_shop.service.sessions() as session:
        asked = transaction(oauth_shop).id
        pushes = select(OutboxMessage.id).where(OutboxMessage.transaction_id == asked)
        assert len(session.scalars(pushes).all()) == 1


def test_after_the_answer_nobody_is_woken(oauth_shop: OauthClient) -> None:
    browser = waiting(oauth_shop)
    form = browser.shown
    oauth_shop.csc("none").reject()
    browser.shown = form

    assert "You refused" in browser.send("again").page.text


# --- which phones ---------------------------------------------------------------------------


def test_the_phones_that_can_answer_are_named_where_there_are_several(
    oauth_shop: OauthClient, clock: SettableClock
) -> None:
    browser = waiting(oauth_shop)
    alone = browser.again().page.text
    with oauth_shop.service.sessions.begin() as session:
        here = session.scalars(select(Device)).one()
        for kid, kind, removed_at in ((b"2", "pwa", None), (b"3", "native", clock())):
            session.add(
                Device(
                    kid=kid,
                    cell_id=here.cell_id,
                    request_kid=kid,
                    kind=kind,
                    paired_at=clock(),
                    removal_asked_at=removed_at,
                    removed_at=None,
                )
            )
    both = browser.again().page.text

    assert "other phone" not in alone
    assert "phone with the web app, paired on" in both
    assert "phone with the app" not in both


# --- "this was not me" --------------------------------------------------------------------


def not_me(browser: Browser) -> Shown:
    assert browser.shown is not None
    page = browser.open(f"{browser.shown.address}/not-me").page
    assert "Shop can ask for your signature no more" in page.text
    return browser.send()


def test_t_21_not_me_cancels_stops_who_asked_and_ends_the_session(oauth_shop: OauthClient) -> None:
    browser = waiting(oauth_shop)
    address = browser.again().address
    end = not_me(browser)
    again = Browser(oauth_shop.service)
    again.open(
        oauth_shop.address(oauth_shop.session(scope="credential"), **oauth_shop.wish(*ONE))[0]
    )

    assert "Cancelled and stopped" in end.page.text
    assert end.told["error"] == "access_denied"
    assert transaction(oauth_shop).state == "cancelled"
    assert browser.open(address).answer.status_code == 403
    assert sign_in(again).told["error"] == "access_denied"


def test_the_phone_allows_again_what_the_page_stopped(oauth_shop: OauthClient) -> None:
    not_me(waiting(oauth_shop))
    calls = RawCalls(oauth_shop.service, oauth_shop.service.phone())
    assert calls.send("DELETE", "/relying-parties/stopped/shop-oauth").status_code == 204

    assert waiting(oauth_shop).again().page.refresh


def test_not_me_is_asked_before_it_is_done(oauth_shop: OauthClient) -> None:
    browser = waiting(oauth_shop)
    address = browser.again().address
    browser.open(f"{address}/not-me")

    assert browser.open(address).page.refresh
    with oauth_shop.service.sessions() as session:
        assert session.scalars(select(StoppedParty)).all() == []


def test_where_no_phone_could_allow_it_again_not_me_only_cancels(oauth_shop: OauthClient) -> None:
    browser = waiting(oauth_shop)
    assert browser.shown is not None
    with oauth_shop.service.sessions.begin() as session:
        session.execute(update(Device).values(removed_at=oauth_shop.service.clock()))
    page = browser.open(f"{browser.shown.address}/not-me").page
    end = browser.send()

    assert "The request of Shop will be cancelled" in page.text
    assert "Nothing was signed" in end.page.text
    with oauth_shop.service.sessions() as session:
        assert session.scalars(select(StoppedParty)).all() == []
    assert transaction(oauth_shop).state == "cancelled"


@pytest.mark.parametrize("form", ["again", "not-me"])
def test_a_form_of_another_site_changes_nothing(oauth_shop: OauthClient, form: str) -> None:
    browser = waiting(oauth_shop)
    assert browser.shown is not None
    address = f"{browser.shown.address}/{form}"
    told = browser.fetch(address, csrf_token="x")

    assert told.status_code == 403
    assert transaction(oauth_shop).state == "pending"


def test_before_the_sign_in_there_is_nothing_to_say_not_me_to(oauth_shop: OauthClient) -> None:
    browser = Browser(oauth_shop.service)
    browser.open(
        oauth_shop.address(oauth_shop.session(scope="credential"), **oauth_shop.wish(*ONE))[0]
    )
    assert browser.shown is not None
    wait = browser.shown.address.replace("sign-in", "wait")

    assert browser.open(f"{wait}/not-me").page.forms[0].fields.keys() >= {"login", "password"}
    token = browser.shown.page.forms[0].fields["csrf_token"]
    end = browser.fetch(f"{wait}/not-me", csrf_token=token)
    assert "Nothing was signed" in end.get_data(as_text=True)
