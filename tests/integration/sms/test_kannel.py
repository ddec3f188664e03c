"""Texts by Kannel to an SMS centre, both not ours, and reports all the way back."""

from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from cheroot.wsgi import Server
from flask import Flask

from backend import sms_reports
from backend.access.doorman import Doorman
from backend.access.problems import answer_with_problems
from backend.delivery.gateways import make_gateway
from backend.delivery.sms import SmsGateway
from backend.delivery.sms_reports import SmsState
from backend.settings import Settings, SmsGatewayKind
from tests.world.kannel import PASSWORD, USER, running_kannel
from tests.world.sms_centre import Centre, together
from tests.world.texts import RUSSIAN, Texts
from tests.world.worker import KEY, eventually


@pytest.fixture
def reports_at(texts: Texts) -> Iterator[str]:
    """Our address for reports, served."""
    app = Flask(__name__)
    answer_with_problems(app, challenges={"/": "Bearer"})
    uses = sms_reports.ReportUses(
        session=texts.sessions, clock=texts.clock, doorman=Doorman(failures_per_minute=60)
    )
    app.register_blueprint(sms_reports.create_blueprint(uses))
    server = Server(("127.0.0.1", 0), app, numthreads=2)
    server.prepare()
    thread = Thread(target=server.serve)
    thread.start()
    yield f"http://127.0.0.1:{server.bind_addr[1]}"
    server.stop()
    thread.join()


@pytest.fixture
def kannel(centre: Centre, texts: Texts, reports_at: str, tmp_path: Path) -> Iterator[SmsGateway]:
    secret = tmp_path / "secret"
    secret.write_text(PASSWORD)
    with running_kannel(tmp_path, centre) as kannel:
        gateway = make_gateway(
            Settings(
                authorization_server_url=reports_at,
                sms_gateway=SmsGatewayKind.KANNEL,
                sms_url=kannel.url,
                sms_user=USER,
                sms_secret_file=secret,
                sms_sender="Cellkey",
            ),
            texts.sessions,
            private_key=KEY,
            clock=texts.clock,
            console=None,  # type: ignore[arg-type]  # none is made
        )
        assert gateway is not None
        yield gateway


def test_a_russian_text_arrives_by_kannel_to_the_letter_and_is_reported_delivered(
    texts: Texts, centre: Centre, kannel: SmsGateway
) -> None:
    texts.add()
    texts.send(kannel)
    parts = centre.wait_for_texts(3)
    assert together(parts) == RUSSIAN
    assert {part["coding"] for part in parts} == {8}
    assert texts.progress().state is SmsState.SENT
    for part in parts[:2]:
        centre.report(part["id"], "DELIVRD", message_state=2)
        assert centre.wait_for("delivered")["status"] == 0
    eventually(lambda: [part.state for part in texts.parts()].count("delivered") == 2)
    assert texts.progress().state is SmsState.SENT
    centre.report(parts[2]["id"], "DELIVRD", message_state=2)
    eventually(lambda: texts.progress().state is SmsState.DELIVERED)


def test_a_text_in_the_gsm_alphabet_keeps_its_extended_characters_and_fails_with_a_reason(
    texts: Texts, centre: Centre, kannel: SmsGateway
) -> None:
    text = "Code {1234} [5678], 10 €, ~ \\ | ^ § ü " + "x" * 140
    texts.add(text)
    texts.send(kannel)
    parts = centre.wait_for_texts(2)
    assert together(parts) == text
    assert {part["coding"] for part in parts} == {0}
    centre.report(parts[1]["id"], "UNDELIV", message_state=5)
    eventually(lambda: texts.progress().state is SmsState.FAILED)
    assert texts.progress().reason == "not delivered"
