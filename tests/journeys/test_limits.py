"""Limits as their callers meet them: 429 in each API's own words, and an honest ``Retry-After``."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from backend.access.registrations import RegistrationChange, change_registration
from backend.protocol.encoding import b64u
from backend.signing.request import Requester
from backend.virtual_phone.errors import ServerRefused
from backend.virtual_phone.transactions import Consent
from tests.journeys.conftest import Stage
from tests.world.clock import SettableClock
from tests.world.csc_client import (
    DENIED,
    CscClient,
    a_relying_party,
    ask_token,
    content,
    refusal,
    words,
)
from tests.world.raw_calls import RawCalls, problem
from tests.world.screen_number import number_on_screen
from tests.world.service import Service, copy_service, hashes

TOO_MANY = (429, "too_many_requests")
ONE = hashes(1)


@pytest.fixture
def strict(certified: Stage, tmp_path: Path, clock: SettableClock) -> Iterator[Service]:
    """The service of a signer with a phone, with limits that are soon reached."""
    opened = copy_service(
        certified.folder,
        tmp_path / "service",
        clock=clock,
        calls_per_minute=60,
        tokens_per_minute=2,
        phone_calls_per_minute=30,
        failures_per_minute=3,
        proxies=1,
    )
    yield opened
    opened.close()


def until_refused(call: Callable[[], TestResponse]) -> tuple[int, TestResponse]:
    """Call until the answer is 429; how many were not."""
    for count in range(100):
        answer = call()
        if answer.status_code == 429:
            return count, answer
    raise AssertionError("never refused")


def seconds(answer: TestResponse) -> int:
    return int(answer.headers["Retry-After"])


# --- relying parties ----------------------------------------------------------------


def test_csc_09_a_sixth_unanswered_request_is_429_and_honest(
    shop: CscClient, clock: SettableClock
) -> None:
    count, answer = until_refused(lambda: shop.authorize(*ONE))

    assert (count, refusal(answer)) == (5, TOO_MANY)
    clock.advance(seconds=seconds(answer))
    assert shop.authorize(*ONE).status_code == 202


def test_v1_is_told_the_same(shop: CscClient) -> None:
    for _ in range(5):
        shop.asked(*ONE)

    assert refusal(shop.old_authorize(*ONE)) == TOO_MANY


def test_csc_75_polling_too_often_is_429_and_harms_nothing(
    strict: Service, clock: SettableClock
) -> None:
    shop = a_relying_party(strict)
    handle = shop.asked(*ONE)

    count, answer = until_refused(lambda: shop.check(handle))
    other = a_relying_party(strict, name="Bank")

    assert (count, refusal(answer)) == (59, TOO_MANY)
    assert other.authorize(*ONE).status_code == 202
    clock.advance(seconds=seconds(answer))
    assert shop.check(handle).status_code == 202


def test_who_needs_no_token_is_counted_by_address(strict: Service) -> None:
    client = strict.client()

    def info() -> TestResponse:
        return client.post("/csc/v2/info", json={}, headers={"X-Forwarded-For": "192.0.2.7"})

    count, answer = until_refused(info)
    elsewhere = client.post("/csc/v1/info", json={}, headers={"X-Forwarded-For": "192.0.2.8"})

    assert (count, refusal(answer)) == (60, TOO_MANY)
    assert elsewhere.status_code == 200


def test_tokens_are_given_so_often_and_no_oftener(strict: Service, clock: SettableClock) -> None:
    """T-39: each is a row."""
    shop = a_relying_party(strict)

    count, answer = until_refused(lambda: ask_token(strict, shop.party))

    assert (count, content(answer, 429)["error"]) == (1, "too_many_requests")
    clock.advance(seconds=seconds(answer))
    assert ask_token(strict, shop.party).status_code == 200


def false_secret(client: FlaskClient, client_id: str, address: str) -> TestResponse:
    return client.post(
        "/oauth2/token",
        data={"grant_type": "client_credentials"},
        auth=(client_id, "no secret"),
        headers={"X-Forwarded-For": address},
    )


def test_false_secrets_from_an_address_are_looked_at_less_often(
    strict: Service, clock: SettableClock
) -> None:
    client = strict.client()

    count, answer = until_refused(lambda: false_secret(client, "nobody", "192.0.2.7"))

    assert (count, content(answer, 429)["error"]) == (3, "too_many_requests")
    assert false_secret(client, "nobody", "192.0.2.8").status_code == 401
    clock.advance(seconds=seconds(answer))
    assert false_secret(client, "nobody", "192.0.2.7").status_code == 401


def test_t_21_false_secrets_keep_the_owner_out_neither_here_nor_elsewhere(
    strict: Service, clock: SettableClock
) -> None:
    """Who knows the client id and shares the address with the owner wins nothing."""
    shop = a_relying_party(strict)
    until_refused(lambda: false_secret(strict.client(), "nobody", "127.0.0.1"))
    until_refused(lambda: false_secret(strict.client(), shop.party.client_id, "192.0.2.9"))

    clock.advance(minutes=1)
    until_refused(lambda: false_secret(strict.client(), "nobody", "127.0.0.1"))

    assert ask_token(strict, shop.party).status_code == 200


# --- phones -------------------------------------------------------------------------


def test_a_phone_that_calls_too_often_waits(strict: Service, clock: SettableClock) -> None:
    calls = RawCalls(strict, strict.phone())

    count, answer = until_refused(lambda: calls.send("GET", "/devices"))

    assert (count, problem(answer)) == (30, (429, "too-many-requests"))
    clock.advance(seconds=seconds(answer))
    assert calls.send("GET", "/devices").status_code == 200


def test_t_21_false_proofs_from_an_address_keep_no_known_phone_out(strict: Service) -> None:
    calls = RawCalls(strict, strict.phone())
    calls.send("GET", "/devices")

    count, answer = until_refused(
        lambda: strict.mobile_client().get("/devices", headers={"Authorization": "DPoP a.b.c"})
    )

    assert (count, problem(answer)) == (3, (429, "too-many-requests"))
    assert calls.send("GET", "/devices").status_code == 200


def test_false_tickets_are_slowed_down_at_both_servers(strict: Service) -> None:
    false = {"Authorization": "Bearer no-ticket"}

    def here() -> TestResponse:
        return strict.client().post("/pairing/confirmation", json={"code": "1"}, headers=false)

    def there() -> TestResponse:
        return strict.mobile_client().get("/pairing", headers=false)

    for call in (here, there):
        count, answer = until_refused(call)
        assert (count, problem(answer)) == (3, (429, "too-many-requests"))
        assert seconds(answer) == 20


def test_what_needs_no_proof_is_counted_by_address(strict: Service) -> None:
    count, answer = until_refused(lambda: strict.mobile_client().get("/info"))

    assert (count, problem(answer)) == (60, (429, "too-many-requests"))


# --- "not me" and the number --------------------------------------------------------


def test_not_me_stops_who_asked_and_the_phone_lets_it_ask_again(shop: CscClient) -> None:
    phone = shop.service.phone()
    handle = shop.asked(*ONE)
    (listed,) = phone.pending().transactions
    phone.reject(phone.show(listed.id), decision="not_me")

    told = shop.check(handle)
    stopped = shop.authorize(*ONE)
    (party,) = phone.calls().stopped().relying_parties
    phone.calls().allow(party.id)

    assert (refusal(told), refusal(stopped)) == (DENIED, DENIED)
    assert words(stopped) == "Credential locked"
    assert (party.id, party.name) == (shop.party.client_id, "Shop")
    assert phone.calls().stopped().relying_parties == ()
    assert shop.authorize(*ONE).status_code == 202


def test_nobody_is_allowed_who_is_no_relying_party(signing_service: Service) -> None:
    calls = RawCalls(signing_service, signing_service.phone())
    path = "/relying-parties/stopped/no%2Fbody"

    assert problem(calls.send("DELETE", "/relying-parties/stopped/nobody"))[0] == 404
    assert problem(calls.send("DELETE", path))[0] in {401, 404}


def test_only_a_phone_sees_and_lifts_what_its_signer_stopped(shop: CscClient) -> None:
    client = shop.service.mobile_client()

    assert problem(client.get("/relying-parties/stopped"))[0] == 401
    assert problem(client.delete("/relying-parties/stopped/shop"))[0] == 401


def test_a_relying_partys_policy_has_the_phone_ask_for_the_number(shop: CscClient) -> None:
    service, phone = shop.service, shop.service.phone()
    with service.sessions() as session:
        change = RegistrationChange(asks_number=True)
        changed = change_registration(session, client_id=shop.party.client_id, change=change)
    party = Requester(id=changed.id, client_id="shop", name="Shop", asks_number=True)
    states = []
    for right in (True, False):
        handle = b64u(service.ask(*ONE, party=party).handle)
        (listed,) = phone.pending().transactions
        shown = phone.show(listed.id)
        assert shown.checked.ask.number_asked
        number = number_on_screen(service.sessions, UUID(listed.id))
        typed = number if right else f"{(int(number) + 1) % 100:02}"
        try:
            states.append(phone.approve(shown, consent=Consent(number=typed)))
        except ServerRefused as refused:
            states.append(str(refused.members["state"]))
            assert refusal(shop.check(handle)) == DENIED

    assert states == ["approved", "failed"]
