"""The waiting page: what follows from each way in which a request for signatures ends."""

import json
import re

import pytest
from sqlalchemy import select, update

from backend.access.registrations import RegistrationChange, change_registration
from backend.model.tables import Authorization, Cell, Transaction
from backend.oauth.authorizations import claim
from backend.signers.freeze import freeze
from backend.signing.cancellation import cancel
from backend.virtual_phone.transactions import Consent
from tests.world.browser import Browser, Shown
from tests.world.clock import SettableClock
from tests.world.csc_client import PAYMENT, SHA256, b64, times_asked
from tests.world.oauth_client import CALLBACK, OauthClient, sign_in
from tests.world.service import WITHOUT_NUMBER, hashes

ONE, TWO = hashes(2)
DENIED = {"error": "access_denied"}


def waiting(shop: OauthClient, **changed: str) -> Browser:
    """A browser whose signer is asked for two signatures."""
    browser = Browser(shop.service)
    address, _ = shop.address(shop.session(scope="credential"), **shop.wish(ONE, TWO, **changed))
    browser.open(address)
    sign_in(browser)
    return browser


def transaction(shop: OauthClient) -> Transaction:
    with shop.service.sessions() as session:
        return session.scalars(select(Transaction).where(Transaction.kind == "sign")).one()


def denied(shown: Shown) -> bool:
    """Back at the relying party, with state and issuer, and no code (CSC-52)."""
    assert shown.left_for.startswith(CALLBACK)
    assert shown.told.keys() == {"error", "error_description", "state", "iss"}
    return shown.told["error"] == "access_denied"


def test_csc_50_51_the_page_says_who_asks_for_what_and_nothing_is_issued(
    oauth_shop: OauthClient,
) -> None:
    browser = waiting(oauth_shop, description="Contract 17")
    page = browser.again().page
    (shown,) = oauth_shop.service.phone().pending().transactions

    assert page.refresh == "3"
    for words in ("Shop", "Contract 17", "2 документа", "5:00", "(Moscow, UTC+3)", "Sent: not yet"):
        assert words in page.text
    assert shown.id == str(transaction(oauth_shop).id)
    with oauth_shop.service.sessions() as session:
        assert session.scalars(select(Authorization.code_hash)).one() is None


def test_the_page_tells_how_far_the_message_has_come(
    oauth_shop: OauthClient, clock: SettableClock
) -> None:
    browser = waiting(oauth_shop)
    told = []
    for mark in ("sent_at", "delivered_at", "seen_at"):
        with oauth_shop.service.sessions.begin() as session:
            session.execute(update(Transaction).values({mark: clock()}))
        text = browser.again().page.text
        told.append([f"{step}: yes" in text for step in ("Sent", "Delivered", "Opened")])

    assert told == [[True, False, False], [True, True, False], [True, True, True]]


def test_csc_52_a_refusal_comes_back_as_access_denied(oauth_shop: OauthClient) -> None:
    browser = waiting(oauth_shop)
    oauth_shop.csc("none").reject()

    assert denied(browser.again())
    assert browser.again().answer.status_code == 403


def test_csc_52_no_answer_comes_back_as_access_denied(
    oauth_shop: OauthClient, clock: SettableClock
) -> None:
    browser = waiting(oauth_shop)
    clock.advance(seconds=200)
    assert "1:40" in browser.again().page.text
    clock.advance(seconds=101)

    assert denied(browser.again())


@pytest.mark.parametrize("approved", [False, True])
def test_r_048_a_freeze_ends_it_at_once(oauth_shop: OauthClient, *, approved: bool) -> None:
    browser, service = waiting(oauth_shop), oauth_shop.service
    if approved:
        oauth_shop.csc("none").approve()
    with service.sessions() as session:
        freeze(session, signer=service.signer(), by="operator", now=service.clock())

    assert denied(browser.again())


def test_an_operators_cancel_comes_back_as_access_denied(oauth_shop: OauthClient) -> None:
    browser, service = waiting(oauth_shop), oauth_shop.service
    with service.sessions() as session:
        which = transaction(oauth_shop).id
        cancel(session, transaction=which, because="an operator", now=service.clock())

    assert denied(browser.again())


def test_cancel_on_the_page_ends_the_transaction_too(oauth_shop: OauthClient) -> None:
    browser = waiting(oauth_shop)

    assert denied(browser.send("cancel"))
    assert transaction(oauth_shop).state == "cancelled"
    assert oauth_shop.service.phone().pending().transactions == ()


def test_cancel_after_the_refusal_is_the_same_answer(oauth_shop: OauthClient) -> None:
    browser = waiting(oauth_shop)
    oauth_shop.csc("none").reject()

    assert denied(browser.send("cancel"))
    assert transaction(oauth_shop).state == "rejected"


def test_a_state_without_evidence_gives_no_code(oauth_shop: OauthClient) -> None:
    """T-09: who writes rows gets nothing from it."""
    browser = waiting(oauth_shop)
    with oauth_shop.service.sessions.begin() as session:
        session.execute(update(Transaction).values(state="approved"))

    assert browser.again().page.refresh


def test_the_code_is_given_once(oauth_shop: OauthClient) -> None:
    browser = waiting(oauth_shop)
    oauth_shop.csc("none").approve()

    assert "code" in browser.again().told
    assert browser.again().answer.status_code == 403


def test_of_two_sign_ins_at_once_one_asks(oauth_shop: OauthClient) -> None:
    """The page of the other one waits for what the first one asked."""
    browser, service = waiting(oauth_shop), oauth_shop.service
    signer = service.signer()
    with service.sessions() as session:
        held = session.scalars(select(Authorization.id)).one()
        assert not claim(session, held, signer=signer, now=service.clock())
        session.execute(update(Authorization).values(transaction_id=None))
        session.commit()

    assert browser.again().page.refresh
    assert times_asked(service) == 1


# --- who cannot be asked ----------------------------------------------------------


def test_csc_49_anothers_credential_is_as_unknown_as_any(oauth_shop: OauthClient) -> None:
    service = oauth_shop.service
    service.register(WITHOUT_NUMBER)
    others = str(service.credential(WITHOUT_NUMBER.login or ""))
    with service.sessions.begin() as session:
        certificates = select(Cell.certificate, Cell.certificate_expires_at)
        certified = session.execute(certificates.where(Cell.certificate.is_not(None))).one()
        session.execute(update(Cell).values(certified._asdict()))
    told = []
    for credential in (others, "00000000-0000-4000-8000-000000000000", "no id at all"):
        browser = Browser(service)
        wish = oauth_shop.wish_of(credential, ONE)
        browser.open(oauth_shop.address(oauth_shop.session(scope="credential"), **wish)[0])
        told.append(sign_in(browser).told | {"state": ""})

    assert told[0] == told[1] == told[2]
    assert told[0]["error"] == "access_denied"
    assert times_asked(service) == 0


def test_a_certificate_that_has_expired_is_not_asked_for(
    oauth_shop: OauthClient, clock: SettableClock
) -> None:
    clock.advance(days=800)

    browser = Browser(oauth_shop.service)
    wish = oauth_shop.wish(ONE)
    browser.open(oauth_shop.address(oauth_shop.session(scope="credential"), **wish)[0])

    assert denied(sign_in(browser))


def test_csc_48_more_than_the_key_signs_at_once_is_refused(oauth_shop: OauthClient) -> None:
    browser = Browser(oauth_shop.service)
    wish = oauth_shop.wish(*hashes(101))
    browser.open(oauth_shop.address(oauth_shop.session(scope="credential"), **wish)[0])

    assert sign_in(browser).told["error"] == "invalid_request"


def test_t_06_words_that_cannot_be_shown_are_refused(oauth_shop: OauthClient) -> None:
    browser = Browser(oauth_shop.service)
    wish = oauth_shop.wish(ONE, description="pay \u202e now")
    browser.open(oauth_shop.address(oauth_shop.session(scope="credential"), **wish)[0])
    told = sign_in(browser).told

    assert told["error"] == "invalid_request"
    assert "description" in told["error_description"]


def test_csc_51_122_a_typed_transaction_and_labels_reach_the_phone(oauth_shop: OauthClient) -> None:
    """Our extension member of ``authorization_details``; CSC-51, CSC-122."""
    service = oauth_shop.service
    entry = {
        "type": "credential",
        "credentialID": str(service.credential()),
        "documentDigests": [{"hash": b64(ONE), "label": "Invoice 118"}],
        "hashAlgorithmOID": SHA256,
        "transaction": PAYMENT,
    }
    browser = Browser(service)
    details = json.dumps([entry])
    session = oauth_shop.session(scope=None)
    browser.open(oauth_shop.address(session, authorization_details=details, lang="en")[0])
    sign_in(browser)
    phone = service.phone()
    shown = phone.show(phone.pending().transactions[0].id)

    assert "12" in str(shown)
    assert "Invoice 118" in str(shown)


def test_a_cell_without_a_certificate_is_none(oauth_shop: OauthClient) -> None:
    with oauth_shop.service.sessions.begin() as session:
        session.execute(update(Cell).values(certificate=None))
    browser = Browser(oauth_shop.service)
    wish = oauth_shop.wish(ONE)
    browser.open(oauth_shop.address(oauth_shop.session(scope="credential"), **wish)[0])

    assert denied(sign_in(browser))


# --- limits, "not me" and the number ------------------------------------------------


def test_t_01_the_page_shows_the_number_that_the_phone_asks_for(oauth_shop: OauthClient) -> None:
    service, phone = oauth_shop.service, oauth_shop.service.phone()
    with service.sessions() as session:
        change = RegistrationChange(asks_number=True)
        change_registration(session, client_id=oauth_shop.party.client_id, change=change)
    browser = waiting(oauth_shop)
    (listed,) = phone.pending().transactions
    shown = phone.show(listed.id)
    asked = re.search(r"The number that the app will ask for (\d\d)", browser.again().page.text)
    assert asked is not None
    phone.approve(shown, consent=Consent(number=asked[1]))

    assert "code" in browser.again().told


def test_who_asks_no_number_has_none_on_the_page(oauth_shop: OauthClient) -> None:
    assert "The number" not in waiting(oauth_shop).again().page.text


def test_t_01_a_relying_party_that_has_asked_too_much_is_told_to_come_back(
    oauth_shop: OauthClient,
) -> None:
    """RFC 6749, 4.1.2.1; what is not asked takes no slot."""
    for _ in range(5):
        waiting(oauth_shop)
    browser = Browser(oauth_shop.service)
    browser.open(
        oauth_shop.address(oauth_shop.session(scope="credential"), **oauth_shop.wish(ONE))[0]
    )

    assert sign_in(browser).told["error"] == "temporarily_unavailable"
    assert times_asked(oauth_shop.service) == 5


def test_a_relying_party_that_a_signer_stopped_gets_no_code(oauth_shop: OauthClient) -> None:
    browser = waiting(oauth_shop)
    phone = oauth_shop.service.phone()
    (listed,) = phone.pending().transactions
    phone.reject(phone.show(listed.id), decision="not_me")
    again = Browser(oauth_shop.service)
    again.open(
        oauth_shop.address(oauth_shop.session(scope="credential"), **oauth_shop.wish(ONE))[0]
    )

    assert denied(browser.again())
    assert denied(sign_in(again))
