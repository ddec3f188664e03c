"""HTTP that goes on until there is an answer."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from backend.virtual_phone.errors import ConnectionLost, MessageRefused, ServerRefused, Unreachable
from backend.virtual_phone.transport import (
    ANSWER_LIMIT,
    Caller,
    Clock,
    Request,
    RequestsHttp,
    Response,
)
from tests.unit.virtual_phone.loopback import serving

URL = "https://m.test/transactions"
Answer = Response | ConnectionLost


def answered(status: int = 200, body: bytes = b"{}", **headers: str) -> Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status=status, headers=names, body=body)


class Line:
    """An :class:`Http` that gives these answers, one after the other."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.sent: list[Request] = []
        self.pauses: list[float] = []
        self.seen: list[tuple[object, ...]] = []

    def send(self, request: Request, *, timeout_seconds: float) -> Response:
        self.sent.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, ConnectionLost):
            raise answer
        return answer

    def caller(self, clock: Clock | None = None) -> Caller:
        def watch(*message: object) -> None:
            self.seen.append(message)

        return Caller(
            self, clock=clock or Clock(lambda: 0.0), sleep=self.pauses.append, watch=watch
        )


LOST = ConnectionLost("lost")


def test_the_same_bytes_are_sent_until_an_answer_comes() -> None:
    line = Line(LOST, answered(503), LOST, answered(201))
    answer = line.caller().exchange("PUT", URL, body=b'{"a":1}')
    assert answer.status == 201
    assert {(sent.method, sent.url, sent.body) for sent in line.sent} == {("PUT", URL, b'{"a":1}')}
    assert line.pauses == [0.5, 1.0, 2.0]


def test_a_proof_is_made_anew_for_each_attempt() -> None:
    line = Line(LOST, answered(503), answered())
    proofs = iter("abc")
    line.caller().exchange("GET", URL, prove=lambda *_request: next(proofs))
    assert [sent.headers["Authorization"] for sent in line.sent] == ["a", "b", "c"]


def test_the_service_says_how_long_to_wait_within_reason() -> None:
    line = Line(
        answered(503, retry_after="7"),
        answered(503, retry_after="86400"),
        answered(503, retry_after="Sat, 21 Nov 2026 12:00:00 GMT"),
        answered(),
    )
    line.caller().exchange("GET", URL)
    assert line.pauses == [7.0, 30.0, 2.0]


def test_where_no_answer_comes_at_all_the_phone_gives_up() -> None:
    line = Line(*[LOST] * 6)
    with pytest.raises(Unreachable, match="lost"):
        line.caller().exchange("GET", URL)
    assert len(line.sent) == 6


def test_a_refusal_is_not_repeated_and_keeps_its_members() -> None:
    problem = {
        "type": "urn:cellkey:problem:wrong-code",
        "title": "Wrong code",
        "status": 422,
        "detail": "this is not the code",
        "tries_left": 2,
    }
    line = Line(answered(422, json.dumps(problem).encode()))
    with pytest.raises(ServerRefused, match="this is not the code") as refusal:
        line.caller().exchange("POST", URL, body=b"{}")
    assert refusal.value.name == "wrong-code"
    assert refusal.value.status == 422
    assert refusal.value.members["tries_left"] == 2


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"type":1}', b'{"type":"about:blank"}'])
def test_an_error_that_is_no_problem_document_is_a_refusal_all_the_same(body: bytes) -> None:
    line = Line(answered(500, body))
    with pytest.raises(ServerRefused) as refusal:
        line.caller().exchange("GET", URL)
    assert (refusal.value.name, refusal.value.status) == ("unknown", 500)


def test_the_clock_follows_the_services_date() -> None:
    clock = Clock(lambda: 1000.0)
    line = Line(answered(date="Sat, 21 Nov 2026 12:00:00 GMT"), answered(date="soon"), answered())
    caller = line.caller(clock)
    assert clock.now() == 1000
    for _ in range(3):
        caller.exchange("GET", URL)
        assert clock.now() == 1795262400


def test_everything_on_the_wire_can_be_watched() -> None:
    line = Line(LOST, answered(200, b"[]", x="y"))
    line.caller().exchange("PUT", URL, body=b"{}")
    headers = {"Content-Type": "application/json"}
    assert line.seen == [
        ("sent", "PUT", URL, headers, b"{}"),
        ("sent", "PUT", URL, headers, b"{}"),
        ("received", "PUT", URL, {"x": "y"}, b"[]"),
    ]


# --- the network itself -----------------------------------------------------


def send(url: str, *, method: str = "GET", body: bytes | None = None) -> Response:
    request = Request(method=method, url=url, headers={"X-A": "b"}, body=body)
    return RequestsHttp().send(request, timeout_seconds=60)


def test_a_request_goes_out_and_its_answer_comes_back_byte_for_byte() -> None:
    def application(environ: dict[str, Any], start: Callable[..., object]) -> list[bytes]:
        start("201 Created", [("Content-Encoding", "aes128gcm"), ("X-Method", "x")])
        length = int(environ["CONTENT_LENGTH"])
        body: bytes = environ["wsgi.input"].read(length)
        return [environ["REQUEST_METHOD"].encode(), environ["HTTP_X_A"].encode(), body]

    with serving(application) as url:
        answer = send(url, method="PUT", body=b"\0\xff")
    assert (answer.status, answer.body) == (201, b"PUTb\0\xff")
    assert answer.headers["content-encoding"] == "aes128gcm"


def test_a_redirect_is_not_followed() -> None:
    def application(_environ: dict[str, Any], start: Callable[..., object]) -> list[bytes]:
        start("302 Found", [("Location", "http://127.0.0.1:9/")])
        return []

    with serving(application) as url:
        assert send(url).status == 302


def test_an_answer_without_end_is_cut_off() -> None:
    def application(_environ: dict[str, Any], start: Callable[..., object]) -> list[bytes]:
        start("200 OK", [])
        return [bytes(ANSWER_LIMIT), b"x"]

    with serving(application) as url, pytest.raises(MessageRefused, match="longer"):
        send(url)


def test_an_answer_that_breaks_off_is_a_lost_one() -> None:
    def application(_environ: dict[str, Any], start: Callable[..., object]) -> list[bytes]:
        start("200 OK", [("Content-Length", "10")])
        return [b"half"]

    with serving(application) as url, pytest.raises(ConnectionLost):
        send(url)


def test_a_server_that_is_not_there_is_a_lost_connection() -> None:
    with pytest.raises(ConnectionLost):
        send("http://127.0.0.1:9/")


@pytest.mark.parametrize("url", ["http://m.test/", "http://192.0.2.1/", "ftp://127.0.0.1/", "m"])
def test_plain_http_is_spoken_to_this_machine_alone(url: str) -> None:
    with pytest.raises(Unreachable, match="only https"):
        send(url)
