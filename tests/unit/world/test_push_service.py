"""tests/world/push_service.py is as strict as its docstring says: RFC 8030, 8291, 8292."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep
from types import MappingProxyType
from typing import Any

import http_ece
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec
from py_vapid import Vapid

from tests.world.push_phone import PushPhone, phones_session
from tests.world.push_service import PushService, running_push_service
from tests.world.woken_phones import b64u, point

VAPID = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def service(tmp_path: Path) -> Iterator[PushService]:
    with running_push_service(ca_out=tmp_path / "ca.pem") as service:
        yield service


@pytest.fixture
def http(service: PushService) -> Iterator[requests.Session]:
    with phones_session(service) as http:
        yield http


@pytest.fixture
def phone(service: PushService, http: requests.Session) -> PushPhone:
    return PushPhone(http, service, vapid=VAPID.public_key())


class Application:
    """Sends by hand, so that each part can be wrong."""

    def __init__(self, service: PushService, http: requests.Session, phone: PushPhone) -> None:
        self.service = service
        self.http = http
        self.phone = phone

    def token(self, claims: Mapping[str, object], key: ec.EllipticCurvePrivateKey = VAPID) -> str:
        given = {
            "aud": f"https://{self.service.host}",
            "sub": "mailto:admin@example.org",
            "exp": int(time.time()) + 3600,
        }
        signed: dict[str, str] = Vapid(key, {"no-strict": True}).sign(given | dict(claims))
        return signed["Authorization"]

    def encrypt(self, clear: bytes = b"hello") -> bytes:
        body = http_ece.encrypt(
            clear,
            private_key=ec.generate_private_key(ec.SECP256R1()),
            dh=point(self.phone.keys.private.public_key()),
            auth_secret=self.phone.keys.auth,
        )
        assert isinstance(body, bytes)
        return body

    def send(
        self,
        headers: Mapping[str, str | None] = MappingProxyType({}),
        *,
        endpoint: str = "",
        body: bytes | None = None,
    ) -> requests.Response:
        given: dict[str, str | None] = {
            "Authorization": self.token({}),
            "TTL": "60",
            "Content-Encoding": "aes128gcm",
            "Host": self.service.host,
        }
        given |= headers
        url = (endpoint or self.phone.endpoint).replace(
            f"https://{self.service.host}", self.service.base
        )
        return self.http.post(
            url,
            data=self.encrypt() if body is None else body,
            headers={name: value for name, value in given.items() if value is not None},
        )


@pytest.fixture
def application(service: PushService, http: requests.Session, phone: PushPhone) -> Application:
    return Application(service, http, phone)


def test_a_good_message_is_accepted_and_waits_for_its_phone(
    application: Application, phone: PushPhone, service: PushService
) -> None:
    answer = application.send({"Topic": "abc", "Urgency": "high"})
    assert (answer.status_code, answer.headers["TTL"]) == (201, "60")
    assert answer.headers["Location"].startswith(f"https://{service.host}/")
    picked_up = phone.pick_up()
    assert picked_up.headers["Content-Encoding"] == "aes128gcm"
    assert phone.decrypt(picked_up.content) == b"hello"
    assert phone.pick_up().headers["X-Message-Id"] == picked_up.headers["X-Message-Id"]
    phone.acknowledge(picked_up)
    assert phone.pick_up().status_code == 204


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"TTL": None}, 400),
        ({"TTL": "soon"}, 400),
        ({"TTL": "-1"}, 400),
        ({"Urgency": "urgent"}, 400),
        ({"Topic": "x" * 33}, 400),
        ({"Topic": "not base64url!"}, 400),
        ({"Content-Encoding": None}, 415),
        ({"Content-Encoding": "aesgcm"}, 415),
        ({"Authorization": None}, 401),
        ({"Authorization": "Bearer x"}, 403),
        ({"Authorization": "vapid t=x.y.z"}, 403),
        ({"Host": "other.example"}, 421),
    ],
)
def test_a_message_with_a_wrong_header_is_refused(
    application: Application, phone: PushPhone, headers: dict[str, str | None], status: int
) -> None:
    assert application.send(headers).status_code == status
    assert phone.pick_up().status_code == 204


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://other.example"},
        {"aud": "https://push.cellkey.test:443"},
        {"exp": 1},
        {"sub": "nobody"},
    ],
)
def test_a_token_with_a_wrong_claim_is_refused(
    application: Application, claims: dict[str, object]
) -> None:
    assert application.send({"Authorization": application.token(claims)}).status_code == 403


def test_a_token_that_counts_for_more_than_a_day_is_refused(application: Application) -> None:
    """From now: when the tests were collected is long ago."""
    token = application.token({"exp": int(time.time()) + 25 * 3600})
    assert application.send({"Authorization": token}).status_code == 403


def test_a_token_of_another_key_or_with_another_signature_is_refused(
    application: Application,
) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    assert application.send({"Authorization": application.token({}, other)}).status_code == 403
    foreign, key = application.token({}, other).split(",")[0], application.token({}).split(",")[1]
    assert application.send({"Authorization": f"{foreign},{key}"}).status_code == 403


def test_the_longest_body_is_accepted_and_a_longer_one_is_not(application: Application) -> None:
    """phone.md 4: 3993 bytes of text make a body of 4096."""
    assert application.send(body=application.encrypt(b"x" * 3993)).status_code == 201
    assert application.send(body=application.encrypt(b"x" * 3994)).status_code == 413


@pytest.mark.parametrize("body", [b"", b"clear text", bytes(200)])
def test_a_body_that_is_no_encrypted_message_is_refused(
    application: Application, body: bytes
) -> None:
    assert application.send(body=body).status_code == 400


def test_unknown_and_expired_subscriptions_are_told_apart(
    application: Application, service: PushService, phone: PushPhone
) -> None:
    assert application.send(endpoint=phone.endpoint + "x").status_code == 404
    service.expire(phone.endpoint)
    assert application.send().status_code == 410


def test_a_topic_replaces_what_still_waits_of_it(
    application: Application, phone: PushPhone
) -> None:
    for topic, text in (("a", b"1"), ("b", b"2"), ("a", b"3"), (None, b"4")):
        application.send({"Topic": topic}, body=application.encrypt(text))
    assert phone.read_all() == [b"2", b"3", b"4"]


def test_a_message_is_kept_no_longer_than_its_life(
    tmp_path: Path,
) -> None:
    now = [time.time()]
    with (
        running_push_service(ca_out=tmp_path / "own.pem", clock=lambda: now[0]) as service,
        phones_session(service) as http,
    ):
        phone = PushPhone(http, service, vapid=VAPID.public_key())
        application = Application(service, http, phone)
        application.send({"TTL": "10"})
        application.send({"TTL": "20"})
        now[0] += 10
        assert len(phone.read_all()) == 1


def test_a_message_without_life_reaches_only_a_phone_that_waits(
    application: Application, service: PushService, phone: PushPhone
) -> None:
    assert application.send({"TTL": "0"}).status_code == 201
    assert phone.pick_up().status_code == 204
    with phones_session(service) as http, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(http.get, phone.inbox, params={"wait": "25"})
        while not service.is_awaited(phone.endpoint):
            sleep(0.01)
        assert application.send({"TTL": "0"}).status_code == 201
        assert phone.decrypt(waiting.result().content) == b"hello"


def test_a_phone_that_waits_gets_a_message_when_it_comes(
    application: Application, service: PushService, phone: PushPhone
) -> None:
    with phones_session(service) as http, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(http.get, phone.inbox, params={"wait": "25"})
        while not service.is_awaited(phone.endpoint):
            sleep(0.01)
        application.send()
        assert waiting.result().status_code == 200


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"key": "x"}', b'{"key": 7}', b"\xff"])
def test_a_subscription_without_a_key_is_refused(
    service: PushService, http: requests.Session, body: bytes
) -> None:
    assert http.post(f"{service.base}/subscribe", data=body).status_code == 400


def test_nobody_elses_inbox_can_be_read(http: requests.Session, phone: PushPhone) -> None:
    assert http.get(phone.inbox + "x").status_code == 404
    assert http.get(phone.inbox, params={"wait": "x"}).status_code == 400


def test_it_runs_as_a_process_and_says_where(tmp_path: Path) -> None:
    ready, ca = tmp_path / "ready.json", tmp_path / "ca.pem"
    arguments = ["--port", "0", "--ca-out", str(ca), "--ready-file", str(ready)]
    with subprocess.Popen([sys.executable, "-m", "tests.world.push_service", *arguments]) as run:
        while not ready.exists():
            assert run.poll() is None
            sleep(0.05)
        told: dict[str, Any] = json.loads(ready.read_text())
        assert told["push_hosts"] == [
            f"push.cellkey.test={told['base'].removeprefix('https://')};{ca}"
        ]
        with requests.Session() as http:
            http.trust_env = False
            http.verify = str(ca)
            key = b64u(point(VAPID.public_key()))
            assert http.post(told["base"] + "/subscribe", json={"key": key}).status_code == 201
        os.kill(run.pid, signal.SIGTERM)
        assert run.wait() == 0
