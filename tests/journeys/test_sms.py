"""A pairing code by a gateway, and its report, through the whole service."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest
from sqlalchemy import select

from backend.delivery.dispatch import Channels
from backend.delivery.gateways import make_gateway
from backend.delivery.sms_reports import SmsState, sms_progress
from backend.delivery.web_push import vapid_identity
from backend.delivery.worker import Worker
from backend.delivery.worker_keys import read_sms_key, read_vapid_key
from backend.devices.envelope import Envelope
from backend.model.tables import OutboxMessage
from backend.settings import SmsGatewayKind
from tests.world.service import NUMBER, Service
from tests.world.sms_http_peer import SECRET, HttpPeer, running_http_peer

pytestmark = pytest.mark.sms


def worker_of(service: Service, peer: HttpPeer, folder: Path) -> Worker:
    """A worker whose texts leave by that gateway."""
    (folder / "secret").write_text(SECRET)
    settings = msgspec.structs.replace(
        service.settings,
        sms_gateway=SmsGatewayKind.JSON,
        sms_url=peer.json_url,
        sms_secret_file=folder / "secret",
        sms_sender="Cellkey",
    )
    key = read_sms_key(settings)
    channels = Channels(
        allowed_hosts=(),
        identity=vapid_identity(read_vapid_key(settings), subject=settings.vapid_subject),
        app_url=settings.app_url,
        sms_key=key,
        sms_gateway=make_gateway(
            settings,
            service.sessions,
            private_key=key,
            clock=service.clock,
            console=None,  # type: ignore[arg-type]  # none is made
        ),
    )
    return Worker(sessions=service.sessions, channels=channels, jobs=(), clock=service.clock)


def test_a_phone_is_paired_by_a_code_that_a_gateway_carries_and_reports(
    service: Service, envelope: Envelope, tmp_path: Path
) -> None:
    phone = service.phone()
    progress = phone.pair_start(service.applicant(envelope))
    phone.send_code()
    with running_http_peer(service.clock) as peer:
        worker_of(service, peer, tmp_path).run_once()
    assert peer.wrong == []
    (body,) = peer.bodies
    assert body["to"] == NUMBER
    assert progress.twelve.replace("-", " ") in body["text"]

    with service.sessions() as session:
        asked = session.scalars(
            select(OutboxMessage.transaction_id).where(OutboxMessage.channel == "sms")
        ).one()
        told = sms_progress(session, asked)
        assert told is not None
        assert told.state is SmsState.SENT
    reported = service.app.test_client().post(
        urlsplit(body["report_url"]).path, json={"state": "delivered"}
    )
    assert (reported.status_code, reported.data) == (204, b"")
    with service.sessions() as session:
        told = sms_progress(session, asked)
        assert told is not None
        assert told.state is SmsState.DELIVERED

    (code,) = re.findall(r"\b[0-9]{8}\b", body["text"])
    assert phone.pair_confirm(code)
