"""A phone that waits where nobody is trusted: what it does with each answer, and with none."""

from collections.abc import Callable
from typing import Any, cast

import msgspec
import pytest

from backend.virtual_phone.calls import PendingList
from backend.virtual_phone.errors import ConnectionLost
from backend.virtual_phone.following import READ_AFTER_ROUNDS, NextList
from backend.virtual_phone.phone import VirtualPhone
from backend.virtual_phone.transport import Request, Response
from backend.virtual_phone.waiting import WaitAnswer, WaitCalls

ADDRESS = "https://wait.example.org/wait/00000000-0000-4000-8000-00000000000a"
Answer = Response | ConnectionLost


def told(*, changed: bool, cursor: str = "c1") -> Response:
    body = msgspec.json.encode({"changed": changed, "cursor": cursor})
    return Response(status=200, headers={"date": "Sat, 01 Jan 2000 00:00:00 GMT"}, body=body)


class Line:
    """Answers one after the other, and keeps what was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.slept: list[float] = []

    def send(self, request: Request, *, timeout_seconds: float) -> Response:
        assert "Authorization" not in request.headers
        assert timeout_seconds > 25
        self.asked.append(request.url)
        answer = self.answers.pop(0)
        if isinstance(answer, ConnectionLost):
            raise answer
        return answer

    def calls(self, monotonic: Callable[[], float] = lambda: 0.0) -> WaitCalls:
        return WaitCalls(self, sleep=self.slept.append, monotonic=monotonic)


class Phone:
    """What :class:`NextList` needs of a phone; its list is another each time it is read."""

    def __init__(self, line: Line) -> None:
        self.wait_calls = line.calls()
        self.reads: list[int] = []

    def pending(self, *, version: object = None, wait_seconds: int = 0) -> PendingList:
        self.reads.append(wait_seconds)
        return a_list(str(len(self.reads)))


def a_list(version: str, *, wait: str | None = ADDRESS) -> PendingList:
    return PendingList(version=version, transactions=(), wait=wait)


def following(line: Line) -> tuple[NextList, Phone]:
    phone = Phone(line)
    return NextList(cast("VirtualPhone", phone)), phone


def test_the_cursor_comes_first_then_the_list_then_the_wait() -> None:
    line = Line(told(changed=True, cursor="a"), told(changed=False, cursor="b"))
    next_list, phone = following(line)

    first = next_list.after(a_list("0"))
    second = next_list.after(first)

    assert line.asked == [ADDRESS, f"{ADDRESS}?cursor=a"]
    assert phone.reads == [0]
    assert second is first


def test_the_list_is_read_now_and_then_whatever_is_said() -> None:
    """Who holds back the word holds up nobody for longer than two minutes."""
    quiet = READ_AFTER_ROUNDS
    line = Line(told(changed=True), *[told(changed=False)] * quiet)
    next_list, phone = following(line)
    before = next_list.after(a_list("0"))
    for _ in range(quiet):
        before = next_list.after(before)

    assert phone.reads == [0, 0]


@pytest.mark.parametrize(
    "answer",
    [
        ConnectionLost("down"),
        Response(status=503, headers={}, body=b""),
        Response(status=429, headers={}, body=b""),
        Response(status=200, headers={}, body=b"<html>"),
        Response(status=200, headers={}, body=b'{"changed": 1, "cursor": "c"}'),
        Response(status=200, headers={}, body=b'{"changed": true, "cursor": "c", "more": 1}'),
    ],
)
def test_without_an_answer_the_phone_polls_and_begins_anew(answer: Answer) -> None:
    line = Line(told(changed=True, cursor="a"), answer, told(changed=True, cursor="b"))
    next_list, phone = following(line)
    before = a_list("0")
    for _ in range(3):
        before = next_list.after(before)

    assert line.asked == [ADDRESS, f"{ADDRESS}?cursor=a", ADDRESS]
    assert phone.reads == [0, 25, 0]
    assert line.slept == []  # it is not asked again and again


def test_without_an_address_the_phone_polls() -> None:
    next_list, phone = following(Line())

    next_list.after(a_list("0", wait=None))

    assert phone.reads == [25]


def test_who_always_says_changed_is_asked_once_a_second() -> None:
    line = Line(*[told(changed=True)] * 4)
    calls = line.calls()
    for cursor in (None, "a", "b", "c"):
        assert calls.ask(ADDRESS, cursor=cursor) == WaitAnswer(changed=True, cursor="c1")

    assert line.slept == [1.0, 1.0]


def test_a_wait_that_lasted_is_followed_at_once() -> None:
    times = iter([0.0, 0.0, 25.0, 25.0])
    line = Line(*[told(changed=False)] * 2)
    calls = line.calls(lambda: next(times))
    for cursor in ("a", "b"):
        calls.ask(ADDRESS, cursor=cursor)

    assert line.slept == []


def test_a_cursor_is_sent_as_it_is_whatever_it_holds() -> None:
    line = Line(told(changed=False))

    line.calls().ask(ADDRESS, cursor="a&b=c #\n")

    assert line.asked == [f"{ADDRESS}?cursor=a%26b%3Dc+%23%0A"]


def test_its_date_sets_no_clock_of_the_phone(tmp_path: Any) -> None:  # noqa: ANN401  # pytest's Path
    phone = VirtualPhone(tmp_path / "phone.json", http=Line(told(changed=True)), clock=lambda: 5.0)

    phone.wait_calls.ask(ADDRESS, cursor=None)

    assert phone.now() == 5
