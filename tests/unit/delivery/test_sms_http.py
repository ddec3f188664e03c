"""backend/delivery/sms_http.py: Kannel's form and ours, at strict peers."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.delivery.gateways import make_gateway
from backend.delivery.sms import SmsGateway
from backend.delivery.sms_keys import hash_of_token
from backend.delivery.sms_reports import SmsState
from backend.settings import Settings, SmsGatewayKind
from tests.world.clock import SettableClock
from tests.world.sms_http_peer import PASSWORD, SECRET, USER, HttpPeer, running_http_peer
from tests.world.texts import LIFE, NUMBER, RUSSIAN, Texts
from tests.world.worker import KEY

REPORTS = "https://sign.example.org/sms/reports/"
UNAVAILABLE = "503 Service Unavailable"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def peer(clock: SettableClock) -> Iterator[HttpPeer]:
    with running_http_peer(clock) as peer:
        yield peer
    assert peer.wrong == []


@pytest.fixture
def texts(session_factory: sessionmaker[Session], clock: SettableClock) -> Texts:
    return Texts(session_factory, clock)


class Gateways:
    """Made by the settings, as the worker does."""

    def __init__(self, texts: Texts, peer: HttpPeer, folder: Path) -> None:
        self._texts, self._peer, self._folder = texts, peer, folder

    def kannel(self, *, password: str = PASSWORD) -> SmsGateway:
        return self._make(SmsGatewayKind.KANNEL, self._peer.kannel_url, password)

    def json(self, *, secret: str = SECRET) -> SmsGateway:
        return self._make(SmsGatewayKind.JSON, self._peer.json_url, secret)

    def _make(self, kind: SmsGatewayKind, url: str, secret: str) -> SmsGateway:
        path = self._folder / "secret"
        path.write_text(secret + "\n")
        settings = Settings(
            authorization_server_url="https://sign.example.org/",
            sms_gateway=kind,
            sms_url=url,
            sms_user=USER,
            sms_secret_file=path,
            sms_sender="Cellkey",
        )
        made = make_gateway(
            settings,
            self._texts.sessions,
            private_key=KEY,
            clock=self._texts.clock,
            console=None,  # type: ignore[arg-type]  # none is made
        )
        assert made is not None
        return made


@pytest.fixture
def gateways(texts: Texts, peer: HttpPeer, tmp_path: Path) -> Gateways:
    return Gateways(texts, peer, tmp_path)


def test_kannel_gets_each_part_by_itself_to_the_letter(
    texts: Texts, peer: HttpPeer, gateways: Gateways
) -> None:
    texts.add()
    texts.send(gateways.kannel())
    assert "".join(part["text"] for part in peer.parts) == RUSSIAN
    assert [part["header"][-4:] for part in peer.parts] == ["0301", "0302", "0303"]
    assert {part["coding"] for part in peer.parts} == {"2"}
    assert {(part["to"], part["from"]) for part in peer.parts} == {(NUMBER, "Cellkey")}
    assert {part["validity"] for part in peer.parts} == {"5"}
    assert {part["dlr-mask"] for part in peer.parts} == {"19"}
    tokens = [
        part["dlr-url"].removeprefix(REPORTS).removesuffix("?status=%d") for part in peer.parts
    ]
    assert [part.token_hash for part in texts.parts()] == [hash_of_token(one) for one in tokens]
    assert texts.row().sent_at == texts.clock()


def test_a_short_text_in_the_gsm_alphabet_is_one_part_without_a_header(
    texts: Texts, peer: HttpPeer, gateways: Gateways
) -> None:
    texts.add("Code {1234} & 5 € + 5%")
    texts.send(gateways.kannel())
    (part,) = peer.parts
    assert (part["text"], part["coding"], part["header"]) == ("Code {1234} & 5 € + 5%", "0", "")


def test_a_part_that_is_refused_after_one_was_taken_leaves_nobody_sure(
    texts: Texts, peer: HttpPeer, gateways: Gateways
) -> None:
    peer.answers = [("200 OK", {}), (UNAVAILABLE, {"Retry-After": "7"})]
    texts.add()
    texts.send(gateways.kannel())
    assert not texts.row().is_counted
    texts.clock.advance(seconds=9)
    texts.send(gateways.kannel())
    assert texts.row().sent_at == texts.clock()
    assert "".join(part["text"] for part in peer.parts[1:]) == RUSSIAN


def test_json_is_signed_and_has_the_whole_text(
    texts: Texts, peer: HttpPeer, gateways: Gateways
) -> None:
    texts.add()
    texts.send(gateways.json())
    (body,) = peer.bodies
    message = texts.row().id
    (part,) = texts.parts()
    assert hash_of_token(body.pop("report_url").removeprefix(REPORTS)) == part.token_hash
    assert body == {
        "id": str(message),
        "webhook-id": f"msg_{message.hex}",
        "to": NUMBER,
        "from": "Cellkey",
        "text": RUSSIAN,
        "expires_at": msgspec.json.decode(msgspec.json.encode(texts.clock() + LIFE)),
    }


def test_what_was_not_taken_is_sent_again_as_the_same_text(
    texts: Texts, peer: HttpPeer, gateways: Gateways
) -> None:
    peer.answers = [(UNAVAILABLE, {"Retry-After": "30"})]
    texts.add()
    texts.send(gateways.json())
    row = texts.row()
    assert (row.last_error, row.is_counted) == ("the SMS gateway answered 503", True)
    assert row.due_at > texts.clock()
    texts.clock.advance(seconds=29)
    texts.send(gateways.json())
    assert peer.bodies == []
    texts.clock.advance(seconds=2)
    texts.send(gateways.json())
    assert [body["id"] for body in peer.bodies] == [str(row.id)]
    assert texts.progress().state is SmsState.SENT


@pytest.mark.parametrize(
    ("status", "reason", "is_dead", "keeps_place"),
    [
        ("400 Bad Request", "the SMS gateway refused the text: 400", True, True),
        ("422 Unprocessable Entity", "the SMS gateway refused the text: 422", True, True),
        ("404 Not Found", "the SMS gateway answered 404", False, True),
        ("429 Too Many Requests", "the SMS gateway answered 429", False, True),
        ("302 Found", "the SMS gateway answered 302", False, True),
        ("500 Internal Server Error", "the SMS gateway answered 500", False, False),
        ("504 Gateway Timeout", "the SMS gateway answered 504", False, False),
    ],
)
def test_an_answer_says_whether_it_was_taken_whether_never_or_that_nobody_knows(
    texts: Texts,
    peer: HttpPeer,
    gateways: Gateways,
    status: str,
    reason: str,
    is_dead: bool,  # noqa: FBT001  # parameters of a table
    keeps_place: bool,  # noqa: FBT001  # as above
) -> None:
    peer.answers = [(status, {"Location": peer.json_url})]
    texts.add()
    texts.send(gateways.json())
    row = texts.row()
    assert (row.last_error, row.dead_at is not None, row.is_counted) == (
        reason,
        is_dead,
        keeps_place,
    )
    assert peer.bodies == []


def test_a_gateway_that_does_not_know_us_is_said_to_the_administrator(
    texts: Texts, gateways: Gateways, caplog: pytest.LogCaptureFixture
) -> None:
    texts.add()
    texts.send(gateways.kannel(password="another"))
    assert "the SMS gateway does not know us: no text leaves" in caplog.text
    assert texts.row().dead_at is None


def test_a_gateway_that_is_not_there_costs_no_place_in_a_budget(
    texts: Texts, peer: HttpPeer, gateways: Gateways
) -> None:
    """Nothing was handed over: an outage uses no budget up."""
    peer.base = "http://127.0.0.1:9"  # discard; nobody listens
    texts.add()
    texts.send(gateways.json())
    assert texts.row().is_counted
    assert texts.row().last_error == "127.0.0.1 did not answer in time and form"


def test_neither_text_nor_number_nor_secret_is_in_the_log(
    texts: Texts, peer: HttpPeer, gateways: Gateways, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    peer.answers = [("500 Internal Server Error", {})]
    texts.add()
    texts.send(gateways.kannel())
    texts.clock.advance(seconds=2)
    texts.send(gateways.kannel())
    assert len(peer.parts) == 3
    for secret in ("9001234567", "1234", "word"):
        assert secret not in caplog.text
