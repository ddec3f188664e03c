"""A phone at the push service: it subscribes, picks up, and alone can decrypt."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

import http_ece
import requests
from cryptography.hazmat.primitives.asymmetric import ec

from tests.world.push_service import LONGEST_WAIT_SECONDS, PushService
from tests.world.woken_phones import PhoneKeys, b64u, point


class PushPhone:
    """One subscription and its keys."""

    def __init__(
        self, http: requests.Session, service: PushService, *, vapid: ec.EllipticCurvePublicKey
    ) -> None:
        self._http = http
        self.keys = PhoneKeys()
        answer = http.post(f"{service.base}/subscribe", json={"key": b64u(point(vapid))})
        assert answer.status_code == 201
        self.endpoint: str = answer.json()["endpoint"]
        self.inbox: str = answer.json()["inbox"]

    def pick_up(self, *, wait: int = 0) -> requests.Response:
        """The oldest message as it waits, encrypted."""
        return self._http.get(self.inbox, params={"wait": str(wait)})

    def wait(self) -> requests.Response:
        """The oldest message, however long it takes to come."""
        while True:
            answer = self.pick_up(wait=LONGEST_WAIT_SECONDS)
            if answer.status_code != HTTPStatus.NO_CONTENT:
                return answer

    def acknowledge(self, picked_up: requests.Response) -> None:
        answer = self._http.delete(f"{self.inbox}/{picked_up.headers['X-Message-Id']}")
        assert answer.status_code == 204

    def decrypt(self, body: bytes) -> bytes:
        """RFC 8291, by the subscriber's keys."""
        clear = http_ece.decrypt(body, private_key=self.keys.private, auth_secret=self.keys.auth)
        assert isinstance(clear, bytes)
        return clear

    def read_all(self) -> list[bytes]:
        """Everything that waits, decrypted and acknowledged."""
        messages = []
        while (waiting := self.pick_up()).status_code == 200:
            messages.append(self.decrypt(waiting.content))
            self.acknowledge(waiting)
        return messages


@contextmanager
def phones_session(service: PushService) -> Iterator[requests.Session]:
    """HTTP as phones speak it with this service."""
    with requests.Session() as http:
        http.trust_env = False
        http.verify = str(service.ca_file)
        yield http
