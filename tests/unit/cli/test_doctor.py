"""backend/cli/doctor.py"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socketserver import BaseRequestHandler, TCPServer
from threading import Thread
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import insert, select, text

from backend.algorithms import KeyAlgorithm
from backend.cli.doctor import examine
from backend.cli.main import main
from backend.hsm.software import SoftwareHsm
from backend.model.tables import OutboxMessage, Transaction, Webhook
from backend.settings import Settings, SmsGatewayKind
from tests.world.service import Service, hashes, open_service
from tests.world.serving import serving

# The command opens the same software cells as the service of the test.
pytestmark = pytest.mark.filterwarnings("ignore::backend.hsm.software.SoftwareCellsWarning")

SILENT: dict[str, Any] = {
    "authorization_server_url": "http://127.0.0.1:9",
    "mobile_api_url": "http://127.0.0.1:7",
}
"""Nothing listens there."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Service:
    """A service, closed."""
    service = open_service(tmp_path_factory.mktemp("doctor"), clock=_now, **SILENT)
    service.close()
    return service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    opened = open_service(tmp_path / "service", clock=_now, **SILENT)
    yield opened
    opened.close()


def _now() -> datetime:
    return datetime.now(UTC)


def failures(settings: Settings) -> dict[str, str]:
    return {one.check: one.text for one in examine(settings) if not one.ok}


def run(settings: Settings, *options: str) -> Result:
    environment = {
        "CELLKEY_DATA_DIR": str(settings.data_dir),
        "CELLKEY_CA_NAME": settings.ca_name,
        "CELLKEY_AUTHORIZATION_SERVER_URL": settings.authorization_server_url,
        "CELLKEY_MOBILE_API_URL": settings.mobile_api_url,
    }
    return CliRunner().invoke(main, ["doctor", *options], env=environment)


def test_a_service_that_is_well_is_found_well(service: Service) -> None:
    assert not failures(service.settings)
    assert run(service.settings).exit_code == 0


def test_an_empty_folder_is_told_each_command_that_is_missing(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "nothing", **SILENT)

    said = " ".join(failures(settings).values())

    for command in ("cellkey hsm init", "cellkey worker keys", "cellkey db upgrade"):
        assert command in said


def test_programs_read_the_findings_as_json(tmp_path: Path) -> None:
    result = run(Settings(data_dir=tmp_path, **SILENT), "--json")

    findings = json.loads(result.stdout)["findings"]
    assert result.exit_code == 1
    assert {finding["ok"] for finding in findings} == {True, False}
    assert all(finding["text"] for finding in findings)


def _let_others_read(service: Service) -> None:
    service.settings.worker_key_path.chmod(0o644)


def _open_the_vault(service: Service) -> None:
    service.settings.software_vault_path.chmod(0o755)


def _another_hsm(service: Service) -> None:
    other = open_service(service.folder / "other", **SILENT)
    other.close()
    service.settings.public_keys_path.write_bytes(other.settings.public_keys_path.read_bytes())


def _another_sms_key(service: Service) -> None:
    service.settings.worker_key_path.write_bytes(service.settings.vapid_key_path.read_bytes())


def _another_vapid_key(service: Service) -> None:
    service.settings.vapid_key_path.write_bytes(service.settings.worker_key_path.read_bytes())


def _an_index_is_gone(service: Service) -> None:
    with service.engine.begin() as connection:
        connection.execute(text("DROP INDEX ix_request_proofs_expires_at"))


def _an_older_version(service: Service) -> None:
    with service.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))


def _a_late_message(service: Service) -> None:
    phone = service.signing_phone(service.register())
    asked = service.ask(*hashes(1), party=service.add_relying_party())
    assert phone.kid()
    due = _now() - timedelta(minutes=3)
    with service.engine.begin() as connection:
        connection.execute(
            insert(OutboxMessage).values(
                id=uuid4(),
                transaction_id=asked.id,
                channel="push",
                attempts=0,
                due_at=due,
                expires_at=due + timedelta(minutes=5),
            )
        )


def _a_webhook_that_nobody_took(service: Service) -> None:
    party = service.add_relying_party()
    service.signing_phone(service.register())
    asked = service.ask(*hashes(1), party=party)
    asker = select(Transaction.relying_party_id).where(Transaction.id == asked.id)
    with service.engine.begin() as connection:
        webhook = {"relying_party_id": asker.scalar_subquery(), "url": "", "secret": ""}
        connection.execute(insert(Webhook).values(webhook))
        connection.execute(
            insert(OutboxMessage).values(
                id=uuid4(),
                transaction_id=asked.id,
                channel="webhook",
                relying_party_id=asker.scalar_subquery(),
                event="approved",
                happened_at=_now(),
                attempts=12,
                due_at=_now(),
                expires_at=_now() + timedelta(days=1),
                dead_at=_now(),
            )
        )


@pytest.mark.parametrize(
    ("harm", "check"),
    [
        (_let_others_read, "secret files"),
        (_open_the_vault, "secret files"),
        (_another_hsm, "public keys"),
        (_another_sms_key, "worker's keys"),
        (_another_vapid_key, "worker's keys"),
        (_an_index_is_gone, "database"),
        (_an_older_version, "database"),
        (_a_late_message, "outbox"),
        (_a_webhook_that_nobody_took, "webhooks"),
    ],
)
def test_what_is_wrong_is_found_under_its_name(
    service: Service, harm: Callable[[Service], None], check: str
) -> None:
    harm(service)

    assert check in failures(service.settings)


@pytest.mark.parametrize(
    ("changed", "check"),
    [
        ({"push_hosts": ("NOT A HOST",)}, "push hosts"),
        ({"push_hosts": ("push.test=127.0.0.1:1;/no/such/ca.pem",)}, "push hosts"),
        ({"webhook_pins": ("shop.example.org",)}, "webhooks"),
        ({"webhook_pins": ("shop.test=127.0.0.1:1;/no/such/ca.pem",)}, "webhooks"),
        ({"vapid_subject": "nobody"}, "worker's keys"),
        ({"sms_gateway": SmsGatewayKind.SMPP, "sms_url": "smpp://8.8.8.8:2775"}, "SMS gateway"),
        ({"sms_gateway": SmsGatewayKind.JSON, "sms_url": "http://127.0.0.1:9/x"}, "SMS gateway"),
        ({"sam_socket": Path("/no/such/sam.sock")}, "SAM and HSM"),
        ({"database_url": "sqlite:////no/such/folder/x.sqlite3"}, "database"),
    ],
    ids=[
        "push host",
        "push CA",
        "pin",
        "pinned CA",
        "subject",
        "gateway in clear",
        "no gateway",
        "socket",
        "database",
    ],
)
def test_a_wrong_setting_is_found_under_its_name(
    stage: Service, changed: dict[str, object], check: str
) -> None:
    assert check in failures(msgspec.structs.replace(stage.settings, **changed))


def test_what_the_hsm_can_keep_is_told_before_somebody_registers(
    stage: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An HSM without Ed25519, as SoftHSM 2.6.1, is well all the same (decision 0010)."""
    told = {one.check: one.text for one in examine(stage.settings)}["cells"]
    keeps = frozenset(KeyAlgorithm) - {KeyAlgorithm.ED25519}
    monkeypatch.setattr(SoftwareHsm, "offered", lambda _hsm: keeps)
    found = {one.check: (one.ok, one.text) for one in examine(stage.settings)}["cells"]

    rest = "P-256, P-384, RSA-2048, RSA-3072, RSA-4096"
    assert told == f"the HSM keeps keys of {rest}, Ed25519"
    assert found == (True, f"the HSM keeps keys of {rest}; it cannot keep Ed25519")


def test_a_service_that_runs_is_asked_whether_it_is_ready(tmp_path: Path) -> None:
    with serving(tmp_path, clock=_now) as service:
        found = {one.check: one.text for one in examine(service.settings)}

        assert found["authorisation server"].startswith("ready at")
        assert found["mobile API"].startswith("ready at")


def test_somebody_elses_server_at_our_address_is_no_cellkey(stage: Service) -> None:
    with TCPServer(("127.0.0.1", 0), _Hello) as other:
        thread = Thread(target=other.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{other.server_address[1]}"
        found = failures(msgspec.structs.replace(stage.settings, mobile_api_url=address))
        other.shutdown()
        thread.join()

    assert found == {"mobile API": f"what answers at {address} is not Cellkey"}


class _Hello(BaseRequestHandler):
    def handle(self) -> None:
        self.request.sendall(b"220 hello\r\n")
