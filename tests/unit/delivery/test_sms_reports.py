"""Reports (backend/delivery/sms_reports.py) and where they come in (backend/sms_reports.py)."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend import sms_reports
from backend.access.doorman import Doorman
from backend.access.json_body import limit_bodies
from backend.access.problems import answer_with_problems
from backend.delivery.sms import OutgoingSms, Reports, SilentGateway
from backend.delivery.sms_keys import SmsKeys
from backend.delivery.sms_reports import (
    PartState,
    Report,
    SmsState,
    forget_parts,
    sms_progress,
    take_report_by_reference,
    take_report_of_part,
)
from backend.model.tables import SmsPart, Transaction, changes
from tests.world.clock import SettableClock
from tests.world.texts import Texts
from tests.world.worker import KEY

DELIVERED = Report(state=PartState.DELIVERED)
FAILED = Report(state=PartState.FAILED, unverified_reason="no such phone")
KANNEL_DELIVERED, KANNEL_QUEUED, KANNEL_FAILED, KANNEL_REFUSED = "1", "4", "2", "16"


class Naming(SilentGateway):
    """Takes all and calls the parts by numbers of its own."""

    reports = Reports.PARTS

    async def send(self, sms: OutgoingSms) -> tuple[str, ...]:
        return tuple(f"name-{number}" for number in range(len(sms.parts)))


@pytest.fixture
def texts(session_factory: sessionmaker[Session], clock: SettableClock) -> Texts:
    texts = Texts(session_factory, clock)
    texts.add()
    texts.send(Naming())
    return texts


@pytest.fixture
def client(texts: Texts) -> Iterator[FlaskClient]:
    app = Flask(__name__)
    limit_bodies(app)
    answer_with_problems(app, challenges={"/": "Bearer"})
    with texts.sessions() as session:
        uses = sms_reports.ReportUses(
            session=lambda: session, clock=texts.clock, doorman=Doorman(failures_per_minute=5)
        )
        app.register_blueprint(sms_reports.create_blueprint(uses))
        yield app.test_client()


def path(texts: Texts, part: int) -> str:
    return "/sms/reports/" + SmsKeys(KEY).report_token(texts.row().id, part)


def say(texts: Texts, part: int, report: Report) -> None:
    with texts.sessions() as session:
        assert take_report_of_part(session, texts.row().id, part, report, now=texts.clock())


def test_parts_are_written_down_before_a_report_can_come(texts: Texts) -> None:
    assert [(part.part, part.reference, part.state) for part in texts.parts()] == [
        (1, "name-0", None),
        (2, "name-1", None),
        (3, "name-2", None),
    ]
    assert texts.progress().state is SmsState.SENT
    assert texts.progress().sent_at == texts.clock()


def test_a_text_is_delivered_when_all_its_parts_are_in_any_order(texts: Texts) -> None:
    say(texts, 3, DELIVERED)
    say(texts, 1, DELIVERED)
    say(texts, 1, DELIVERED)
    assert texts.progress().state is SmsState.SENT
    texts.clock.advance(seconds=3)
    say(texts, 2, DELIVERED)
    progress = texts.progress()
    assert (progress.state, progress.delivered_at) == (SmsState.DELIVERED, texts.clock())


def test_one_part_that_fails_fails_the_text_until_it_is_delivered_all_the_same(
    texts: Texts,
) -> None:
    say(texts, 2, FAILED)
    assert (texts.progress().state, texts.progress().reason) == (SmsState.FAILED, "no such phone")
    for part in (1, 2, 3):
        say(texts, part, DELIVERED)
    say(texts, 2, FAILED)
    assert texts.progress().state is SmsState.DELIVERED
    assert texts.progress().reason is None


def test_the_newest_text_of_a_transaction_is_the_one_that_is_told(texts: Texts) -> None:
    say(texts, 1, FAILED)
    texts.clock.advance(seconds=30)
    texts.add("Code")
    assert texts.progress().state is SmsState.WAITING
    with texts.sessions() as session:
        assert sms_progress(session, uuid4()) is None


def test_a_reference_finds_its_part_and_an_unknown_one_finds_none(texts: Texts) -> None:
    with texts.sessions() as session:
        assert take_report_by_reference(session, "name-1", FAILED, now=texts.clock())
        assert not take_report_by_reference(session, "name-9", FAILED, now=texts.clock())
    assert [part.state for part in texts.parts()] == [None, "failed", None]


def test_who_waits_for_the_transaction_is_told_to_look(texts: Texts) -> None:
    say(texts, 1, DELIVERED)
    with texts.sessions() as session:
        told = set(session.scalars(select(changes.c.wait_id)))
        waited = session.get_one(Transaction, texts.transaction).wait_id
        is_postgresql = session.get_bind().dialect.name == "postgresql"
    assert (waited in told) == is_postgresql


def test_what_nobody_waits_for_any_more_is_forgotten(texts: Texts) -> None:
    with texts.sessions() as session:
        forget_parts(session, texts.clock.advance(days=2))
        assert len(texts.parts()) == 3
        forget_parts(session, texts.clock.advance(days=1))
        assert session.scalars(select(SmsPart)).all() == []
        assert not take_report_by_reference(session, "name-1", DELIVERED, now=texts.clock())
    assert texts.progress().state is SmsState.SENT


# --- addresses --------------------------------------------------------------------


def test_kannel_reports_by_a_number(texts: Texts, client: FlaskClient) -> None:
    for part in (1, 2, 3):
        assert client.get(f"{path(texts, part)}?status={KANNEL_QUEUED}").status_code == 204
    assert texts.progress().state is SmsState.SENT
    for part in (1, 2, 3):
        assert client.get(f"{path(texts, part)}?status={KANNEL_DELIVERED}").status_code == 204
    assert texts.progress().state is SmsState.DELIVERED


@pytest.mark.parametrize(
    ("status", "reason"),
    [(KANNEL_FAILED, "not delivered"), (KANNEL_REFUSED, "refused by the SMS centre")],
)
def test_kannel_says_that_it_failed(
    texts: Texts, client: FlaskClient, status: str, reason: str
) -> None:
    client.get(f"{path(texts, 2)}?status={status}")
    assert (texts.progress().state, texts.progress().reason) == (SmsState.FAILED, reason)


def test_everybody_else_reports_in_json(texts: Texts, client: FlaskClient) -> None:
    failed = {"state": "failed", "reason": "no such\0 phone"}
    assert client.post(path(texts, 1), json=failed).status_code == 204
    assert texts.progress().reason == "no such phone"
    for part in (1, 2, 3):
        assert client.post(path(texts, part), json={"state": "delivered"}).status_code == 204
    assert texts.progress().state is SmsState.DELIVERED


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"state": "lost"},
        {"state": "delivered", "more": 1},
        {"state": "failed", "reason": "x" * 201},
        {"state": "failed", "reason": 5},
        [],
    ],
)
def test_a_report_of_another_form_changes_nothing(
    texts: Texts, client: FlaskClient, body: object
) -> None:
    assert client.post(path(texts, 1), json=body).status_code == 422
    assert [part.state for part in texts.parts()] == [None, None, None]


def test_a_report_address_is_of_one_part_and_says_nothing(
    texts: Texts, client: FlaskClient
) -> None:
    answer = client.post(path(texts, 2), json={"state": "delivered"})
    assert (answer.status_code, answer.data) == (204, b"")
    assert [part.state for part in texts.parts()] == [None, "delivered", None]
    stranger = "/sms/reports/" + "A" * 43
    assert client.post(stranger, json={"state": "delivered"}).status_code == 401
    assert client.get(f"{stranger}?status=1").status_code == 401
    assert client.get("/sms/reports/short?status=1").status_code == 404


def test_who_tries_tokens_is_looked_at_less_and_less_often(
    texts: Texts, client: FlaskClient
) -> None:
    tries = [client.get("/sms/reports/" + "A" * 43 + "?status=1").status_code for _ in range(9)]
    assert tries == [401] * 5 + [429] * 4
