"""The demo's words and messages: both languages say the same, and no secret is told."""

from collections.abc import Iterator

import msgspec
import pytest

from backend.cli.demo_telling import Teller, ToldHttp, address, body
from backend.cli.demo_words import demo_words
from backend.summary.words import Words, placeholders
from backend.virtual_phone.transport import Request, Response


def every_word(part: msgspec.Struct) -> Iterator[Words]:
    for name in part.__struct_fields__:
        member = getattr(part, name)
        yield from [member] if isinstance(member, Words) else every_word(member)


@pytest.fixture
def teller() -> Teller:
    return Teller(demo_words(), "ru", verbose=True)


def test_both_languages_are_filled_in_alike() -> None:
    words = list(every_word(demo_words()))
    assert len(words) > 50
    for each in words:
        assert placeholders(each.ru) == placeholders(each.en)


def test_a_message_is_told_without_its_secrets_and_long_strings() -> None:
    told = body(b'{"login": "ann", "password": "hidden", "keys": {"auth": "hidden"}, "auth": {}}')
    hidden = '"\u2022\u2022\u2022"'
    assert (
        told
        == f'{{"login": "ann", "password": {hidden}, "keys": {{"auth": {hidden}}}, "auth": {{}}}}'
    )
    assert body(b'["' + b"x" * 100 + b'"]') == f'["{"x" * 16}\u2026"]'


def test_what_is_no_json_is_told_by_its_length() -> None:
    assert body(b"client_secret=hidden") == "(20 bytes)"
    assert body(b"") == body(None) == ""


def test_a_long_message_is_cut() -> None:
    assert len(body(b"[" + b"1, " * 1000 + b"1]")) == 401


def test_an_address_is_told_without_long_secrets() -> None:
    secret = "s" * 43
    assert secret not in address(f"https://127.0.0.1:1/inbox/{secret}?wait=3")
    whole = "http://127.0.0.1:1/transactions/4fa1bd78-f8b1-4c89-8225-c019c1b2f6d7?wait=25"
    assert address(whole) == whole


class Echo:
    def send(self, request: Request, *, timeout_seconds: float) -> Response:
        return Response(status=200, headers={}, body=b'{"said": "\\u202ex"}')


def test_messages_are_told_in_order_and_move_no_cursor(
    teller: Teller, capsys: pytest.CaptureFixture[str]
) -> None:
    request = Request(method="PUT", url="http://h/p", headers={"Authorization": "x"}, body=b"{}")
    with teller.working(teller.words.starting):
        ToldHttp(Echo(), teller).send(request, timeout_seconds=1)
    said = capsys.readouterr().out.splitlines()
    assert [line.strip() for line in said[1:3]] == [
        "\u2192 PUT http://h/p {}",
        '\u2190 200 {"said": "\ufffdx"}',
    ]
    assert "Authorization" not in "".join(said)


def test_nothing_of_the_wire_is_told_unasked(capsys: pytest.CaptureFixture[str]) -> None:
    Teller(demo_words(), "en", verbose=False).wire("\u2192 GET", b"{}")
    assert capsys.readouterr().out == ""


def test_an_error_in_long_work_begins_a_line_of_its_own(
    teller: Teller, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match="no"), teller.working(teller.words.starting):
        raise ValueError("no")
    assert capsys.readouterr().out.endswith("\n")
