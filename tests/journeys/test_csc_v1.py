"""CSC v1.0.4: ``credentials/authorize`` blocks until the phone has answered, or nobody waits."""

import base64
import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from cryptography.hazmat.primitives import hashes as primitives
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.x509 import load_der_x509_certificate
from werkzeug.test import TestResponse

from backend.cli.http_server import HttpServer
from backend.csc.uses import MOST_WAITING, MOST_WAITING_OF_ONE
from backend.signing.overview import show_transaction
from tests.world.clock import SettableClock
from tests.world.csc_client import (
    DENIED,
    CscClient,
    a_relying_party,
    content,
    refusal,
    words,
)
from tests.world.service import Service, hashes, open_service

ONE = hashes(1)
LOOK_SECONDS = 0.02
MANY_LOOKS = 10_000


def until(happens: Callable[[], bool]) -> None:
    """Wait for another thread; a test that waits in vain fails."""
    for _ in range(MANY_LOOKS):
        if happens():
            return
        time.sleep(LOOK_SECONDS)
    pytest.fail("it did not happen")


def asked(service: Service, count: int = 1) -> list[UUID]:
    """What the phone is asked, once so much has arrived."""
    phone = service.phone()
    until(lambda: len(phone.pending().transactions) == count)
    return [UUID(listed.id) for listed in phone.pending().transactions]


@contextmanager
def blocking(shop: CscClient, *wanted: bytes) -> Iterator[Future[TestResponse]]:
    """While a call of authorize blocks, and the phone has been asked."""
    with ThreadPoolExecutor(1) as others:
        answer = others.submit(shop.old_authorize, *wanted)
        asked(shop.service)
        yield answer


def state(service: Service, transaction: UUID) -> str:
    with service.sessions() as session:
        return str(show_transaction(session, transaction=transaction, now=service.clock()).state)


# --- the way it should be ---------------------------------------------------------


def test_csc_128_authorize_blocks_until_the_phone_approves(shop: CscClient) -> None:
    with blocking(shop, *ONE) as answer:
        assert not answer.done()
        shop.approve()
        told = content(answer.result(), 200)

    assert told.keys() == {"SAD", "expiresIn"}
    assert isinstance(told["expiresIn"], int)


def test_csc_91_119_one_approval_is_enough_for_all_that_multisign_allows(
    signing_service: Service, shop: CscClient
) -> None:
    """CSC-91: in request order, whatever that is at signing."""
    info = shop.get("v1/credentials/info", {"credentialID": shop.credential})
    wanted = hashes(info["multisign"])
    with blocking(shop, *wanted) as answer:
        shop.approve()
        sad = content(answer.result(), 200)["SAD"]
    turned = wanted[::-1]

    made = content(shop.old_sign_hash(sad, *turned), 200)["signatures"]

    certificate = load_der_x509_certificate(base64.b64decode(info["cert"]["certificates"][0]))
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert len(made) == len(wanted) == 100
    for digest, signature in zip(turned, made, strict=True):
        key.verify(base64.b64decode(signature), digest, ec.ECDSA(Prehashed(primitives.SHA256())))


def test_csc_131_an_edition_is_a_way_to_say_it_and_nothing_else(shop: CscClient) -> None:
    with blocking(shop, *ONE) as answer:
        shop.approve()
        old_sad = content(answer.result(), 200)["SAD"]
    two = hashes(2, seed="other")
    new_sad = shop.approved(*two)

    assert len(shop.signed(old_sad, *ONE)) == 1
    assert len(content(shop.old_sign_hash(new_sad, *two), 200)["signatures"]) == 2


def test_both_editions_on_every_database(
    database_url: str, tmp_path: Path, clock: SettableClock
) -> None:
    service = open_service(tmp_path, clock=clock, database_url=database_url)
    service.signing_phone(service.register())
    shop = a_relying_party(service)
    two = hashes(2)

    with blocking(shop, *ONE) as answer:
        shop.approve()
        old_sad = content(answer.result(), 200)["SAD"]
    old = content(shop.old_sign_hash(old_sad, *ONE), 200)["signatures"]
    new = shop.signed(shop.approved(*two), *two)
    shop.asked(*hashes(1, seed="refused"))
    shop.reject()
    service.close()

    assert (len(old), len(new)) == (1, 2)


# --- nobody approves, or nobody waits ---------------------------------------------


def test_csc_128_a_refusal_ends_the_wait(shop: CscClient) -> None:
    with blocking(shop, *ONE) as answer:
        shop.reject()

        assert refusal(answer.result()) == DENIED
        assert words(answer.result()) == "The signer refused"


def test_csc_128_when_its_time_is_up_the_request_is_cancelled(
    signing_service: Service, shop: CscClient, clock: SettableClock
) -> None:
    with blocking(shop, *ONE) as answer:
        (transaction,) = asked(signing_service)
        clock.advance(seconds=signing_service.settings.implicit_wait_seconds)

        assert refusal(answer.result()) == DENIED
        assert "did not answer in time" in words(answer.result())
    assert state(signing_service, transaction) == "cancelled"
    assert not signing_service.phone().pending().transactions


@contextmanager
def listening(service: Service) -> Iterator[int]:
    """The server of ``cellkey serve``; gives its port."""
    server = HttpServer(service.app, host="127.0.0.1", port=0, threads=4)
    thread = Thread(target=server.serve)
    thread.start()
    try:
        yield server.bind_addr[1]
    finally:
        server.stop()
        thread.join()


def test_csc_128_a_caller_that_breaks_off_cancels_the_request(
    signing_service: Service, shop: CscClient
) -> None:
    """Nobody would collect what the signer approves afterwards."""
    sent = json.dumps(shop.old_body(*ONE))
    with listening(signing_service) as port:
        with socket.create_connection(("127.0.0.1", port)) as caller:
            lines = [
                "POST /csc/v1/credentials/authorize HTTP/1.1",
                f"Host: {urlsplit(signing_service.settings.authorization_server_url).netloc}",
                f"Authorization: Bearer {shop.token}",
                "Content-Type: application/json",
                f"Content-Length: {len(sent)}",
            ]
            caller.sendall(("\r\n".join([*lines, "", sent])).encode())
            (transaction,) = asked(signing_service)
            before = state(signing_service, transaction)
        until(lambda: state(signing_service, transaction) != "pending")

    assert before == "pending"
    assert state(signing_service, transaction) == "cancelled"


@pytest.mark.parametrize("settings", [{"pending_per_signer": MOST_WAITING}], ids=["slots"])
def test_who_finds_all_places_to_wait_taken_asks_nobody(
    signing_service: Service, shop: CscClient
) -> None:
    """T-22: one relying party takes not all; tokens, pairing and v2 go on."""
    wanted = hashes(MOST_WAITING_OF_ONE)
    bank = a_relying_party(signing_service, name="Bank")
    with ThreadPoolExecutor(MOST_WAITING) as others:
        answers = [others.submit(shop.old_authorize, each) for each in wanted]
        asked(signing_service, MOST_WAITING_OF_ONE)

        too_many = shop.old_authorize(*hashes(1, seed="other"))
        answers.append(others.submit(bank.old_authorize, *hashes(1, seed="bank")))
        asked(signing_service, MOST_WAITING_OF_ONE + 1)
        v2 = shop.get("v2/credentials/list", {"userID": "a.ivanova"})

        phone = signing_service.phone()
        for listed in phone.pending().transactions:
            phone.reject(phone.show(listed.id))
        statuses = {answer.result().status_code for answer in answers}

    assert refusal(too_many) == (503, "temporarily_unavailable")
    assert too_many.headers["Retry-After"] == "2"
    assert v2["credentialIDs"] == [shop.credential]
    assert statuses == {400}
    with blocking(shop, *hashes(1, seed="later")) as later:
        shop.reject()
        assert refusal(later.result()) == DENIED
