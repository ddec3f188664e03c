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
    ECDSA_SHA256,
    SHA256,
    SHA384,
    CscClient,
    a_relying_party,
    b64,
    changed,
    content,
    refusal,
    texts,
    words,
)
from tests.world.service import Service, hashes, open_service

INVALID = (400, "invalid_request")
DENIED = (400, "access_denied")
ONE = hashes(1)
LOOK_SECONDS = 0.02
MANY_LOOKS = 1000


@pytest.fixture
def shop(signing_service: Service) -> CscClient:
    return a_relying_party(signing_service)


def body(shop: CscClient, *wanted: bytes, **members: object) -> dict[str, object]:
    given: dict[str, object] = {
        "credentialID": shop.credential,
        "numSignatures": len(wanted),
        "hash": texts(wanted),
    }
    return changed(given, members)


def authorize(shop: CscClient, *wanted: bytes, **members: object) -> TestResponse:
    return shop.post("v1/credentials/authorize", body(shop, *wanted, **members))


def sign_hash(shop: CscClient, sad: object, *wanted: bytes, **members: object) -> TestResponse:
    given: dict[str, object] = {
        "credentialID": shop.credential,
        "SAD": sad,
        "hash": texts(wanted),
        "hashAlgo": SHA256,
        "signAlgo": ECDSA_SHA256,
    }
    return shop.post("v1/signatures/signHash", changed(given, members))


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
        answer = others.submit(authorize, shop, *wanted)
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


def test_csc_119_one_approval_is_enough_for_all_that_multisign_allows(
    signing_service: Service, shop: CscClient
) -> None:
    """CSC-91: in request order, whatever that is at signing."""
    info = shop.get("v1/credentials/info", {"credentialID": shop.credential})
    wanted = hashes(info["multisign"])
    with blocking(shop, *wanted) as answer:
        shop.approve()
        sad = content(answer.result(), 200)["SAD"]
    turned = wanted[::-1]

    made = content(sign_hash(shop, sad, *turned), 200)["signatures"]

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
    assert len(content(sign_hash(shop, new_sad, *two), 200)["signatures"]) == 2


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
    old = content(sign_hash(shop, old_sad, *ONE), 200)["signatures"]
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
    sent = json.dumps(body(shop, *ONE))
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


def test_who_finds_all_places_to_wait_taken_asks_nobody(
    signing_service: Service, shop: CscClient
) -> None:
    """T-22: one relying party takes not all; tokens, pairing and v2 go on."""
    wanted = hashes(MOST_WAITING_OF_ONE)
    bank = a_relying_party(signing_service, name="Bank")
    with ThreadPoolExecutor(MOST_WAITING) as others:
        answers = [others.submit(authorize, shop, each) for each in wanted]
        asked(signing_service, MOST_WAITING_OF_ONE)

        too_many = authorize(shop, *hashes(1, seed="other"))
        answers.append(others.submit(authorize, bank, *hashes(1, seed="bank")))
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


# --- what cannot be asked ---------------------------------------------------------


@pytest.mark.parametrize(
    "members",
    [
        {"hash": ...},
        {"hash": []},
        {"hash": "text"},
        {"hash": [b64(bytes(20))]},
        {"hash": [b64(bytes(33))]},
        {"hash": [b64(bytes(32)), b64(bytes(48))], "numSignatures": 2},
        {"hash": [b64(bytes(48))]},
        {"numSignatures": 2},
        {"numSignatures": ...},
        {"credentialID": "unknown"},
        {"hashes": texts(ONE)},
        {"hashAlgorithmOID": SHA256},
        {"authData": [{"id": "app"}]},
        {"PIN": "1234"},
        {"OTP": "123456"},
    ],
    ids=str,
)
def test_csc_129_what_does_not_fit_v1_is_refused_and_asks_nobody(
    calm_shop: CscClient, members: dict[str, object]
) -> None:
    """Hashes of 32, 48 or 64 bytes name their algorithm; the key of this signer has SHA-256."""
    assert refusal(authorize(calm_shop, *ONE, **members)) == INVALID
    assert not calm_shop.service.phone().pending().transactions


@pytest.mark.parametrize("member", ["hashes", "hashAlgorithmOID", "authData", "PIN", "OTP"])
def test_csc_129_the_refusal_names_the_foreign_member(calm_shop: CscClient, member: str) -> None:
    assert words(authorize(calm_shop, *ONE, **{member: ["x"]})).startswith(f"{member}: ")


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"SAD": ...}, "Missing (or invalid type) string parameter SAD"),
        ({"hash": ...}, "Missing (or invalid type) array parameter hash"),
        ({"hash": []}, "Empty hash array"),
        ({"hash": ["!"]}, "Invalid Base64 hash string parameter"),
        ({"hash": [b64(bytes(31))]}, "Invalid digest value length"),
        ({"hash": [b64(bytes(48))]}, "Invalid digest value length"),
        ({"hashAlgo": SHA384}, "String parameter hashAlgo contradicts with signAlgo"),
        ({"hashAlgorithmOID": SHA256}, "hashAlgorithmOID: is of CSC API v2; v1 has hashAlgo"),
        ({"hashes": texts(ONE)}, "hashes: is of CSC API v2; v1 has hash"),
        ({"signAlgo": ...}, "Missing (or invalid type) string parameter signAlgo"),
        ({"signAlgo": "1.2.3"}, "Invalid parameter signAlgo"),
    ],
    ids=str,
)
def test_csc_129_what_does_not_fit_at_signing_is_said(
    calm_shop: CscClient, members: dict[str, object], said: str
) -> None:
    answer = sign_hash(calm_shop, "A" * 43, *ONE, **members)

    assert refusal(answer) == INVALID
    assert words(answer) == said


def test_there_is_no_handle_in_v1(calm_shop: CscClient) -> None:
    answer = calm_shop.post("v1/credentials/authorizeCheck", {"handle": "A" * 43})

    assert refusal(answer) == (501, "invalid_request")
