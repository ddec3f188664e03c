"""A way from the reference client to our applications that is no network, and waits for nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from flask import Flask

from backend.virtual_phone.errors import ConnectionLost
from backend.virtual_phone.transport import Request, Response


@dataclass
class WsgiHttp:
    """Carries the reference client's requests to the applications without a network.

    ``lose`` says how many of the next answers get lost on the way back.
    """

    apps: dict[str, Callable[[], Flask]]
    """By origin."""
    lose: int = 0

    def send(self, request: Request, *, timeout_seconds: float) -> Response:
        """Carry one request."""
        parts = urlsplit(request.url)
        app = self.apps[f"{parts.scheme}://{parts.netloc}"]()
        answer = app.test_client().open(
            parts.path,
            method=request.method,
            query_string=parts.query,
            base_url=f"{parts.scheme}://{parts.netloc}",
            headers=dict(request.headers),
            data=request.body,
        )
        if self.lose:
            self.lose -= 1
            raise ConnectionLost("the answer is lost")
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Response(status=answer.status_code, headers=headers, body=answer.data)


@dataclass
class Pauses:
    """What happens while a long poll waits: nothing at all, in no time, unless a test says so."""

    seconds: list[float] = field(default_factory=list)
    then: Callable[[], object] = lambda: None

    def __call__(self, seconds: float) -> bool:
        """Wait; the process does not end meanwhile."""
        self.seconds.append(seconds)
        self.then()
        return False
