"""backend/cli/worker.py"""

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import sleep
from uuid import UUID

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from backend.cli.main import main
from backend.delivery.outbox import enqueue_push, enqueue_sms
from backend.delivery.worker_keys import read_vapid_key, read_worker_public_key
from backend.model.tables import OutboxMessage, Transaction, TransactionState
from backend.protocol.sms import Sms, seal_sms
from backend.settings import Settings
from tests.world.push_phone import PushPhone, phones_session
from tests.world.push_service import running_push_service
from tests.world.sms_centre import PASSWORD, USER, running_centre
from tests.world.woken_phones import LIFE, add_cell, add_phone, add_transaction

# What the database is makes no difference here.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def now() -> datetime:
    """The machine's time, as the test begins: the command that is tested asks the machine."""
    return datetime.now(UTC)


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return Settings(data_dir=tmp_path / "data", database_url=database_url)


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    return {
        "CELLKEY_DATA_DIR": str(settings.data_dir),
        "CELLKEY_DATABASE_URL": settings.database_url,
    }


def run(environment: dict[str, str], *arguments: str) -> Result:
    return CliRunner().invoke(main, ["worker", *arguments], env=environment)


def add_text(sessions: sessionmaker[Session], settings: Settings, now: datetime) -> UUID:
    with sessions.begin() as session:
        transaction = add_transaction(session, add_cell(session, now=now), now=now)
        sms = Sms(number="+79001234567", text="Code 1234 5678")
        enqueue_sms(
            session,
            transaction=transaction,
            sealed_sms=seal_sms(sms, read_worker_public_key(settings)),
            now=now,
            expires_at=now + LIFE,
        )
    return transaction


def test_keys_are_made_once(environment: dict[str, str]) -> None:
    made = run(environment, "keys", "--json")
    assert made.exit_code == 0, made.output
    assert Path(json.loads(made.output)["vapid_key"]).exists()
    again = run(environment, "keys")
    assert again.exit_code == 1
    assert "never replaced" in again.output
    assert run(environment, "keys", "--if-missing").exit_code == 0


def test_without_keys_it_says_which_command_makes_them(environment: dict[str, str]) -> None:
    result = run(environment, "--once")
    assert result.exit_code == 1
    assert "cellkey worker keys" in result.output


def test_a_bad_list_of_push_hosts_stops_the_start(environment: dict[str, str]) -> None:
    run(environment, "keys")
    result = run(environment | {"CELLKEY_PUSH_HOSTS": '["127.0.0.1"]'}, "--once")
    assert result.exit_code == 1
    assert "push_hosts" in result.output


def test_once_sends_and_expires_what_is_due(
    environment: dict[str, str],
    settings: Settings,
    session_factory: sessionmaker[Session],
    now: datetime,
) -> None:
    run(environment, "keys")
    add_text(session_factory, settings, now)
    overdue = add_text(session_factory, settings, now)
    with session_factory.begin() as session:
        session.execute(
            update(Transaction)
            .where(Transaction.id == overdue)
            .values(expires_at=now - timedelta(hours=1), use_by=now - timedelta(hours=1))
        )
    result = run(environment, "--once")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("Code 1234 5678") == 1
    assert "1234" not in result.stderr
    with session_factory() as session:
        assert session.get_one(Transaction, overdue).state == TransactionState.EXPIRED


def test_in_production_no_code_is_shown_on_a_console(
    environment: dict[str, str],
    settings: Settings,
    session_factory: sessionmaker[Session],
    tmp_path: Path,
    now: datetime,
) -> None:
    run(environment, "keys")
    add_text(session_factory, settings, now)
    (tmp_path / "pin").write_text("1234")
    production = environment | {
        "CELLKEY_ENVIRONMENT": "production",
        "CELLKEY_HSM": "pkcs11",
        "CELLKEY_PKCS11_MODULE": "/usr/lib/none.so",
        "CELLKEY_PKCS11_PIN_FILE": str(tmp_path / "pin"),
    }
    result = run(production, "--once")
    assert result.exit_code == 0, result.output
    assert "Code 1234 5678" not in result.output
    with session_factory() as session:
        assert session.scalar(select(OutboxMessage.last_error)) == "there is no SMS gateway"


def test_in_production_a_text_leaves_by_the_gateway_of_the_settings(
    environment: dict[str, str],
    session_factory: sessionmaker[Session],
    settings: Settings,
    tmp_path: Path,
    now: datetime,
) -> None:
    run(environment, "keys")
    add_text(session_factory, settings, now)
    (tmp_path / "secret").write_text(PASSWORD)
    with running_centre() as centre:
        production = environment | {
            "CELLKEY_ENVIRONMENT": "production",
            "CELLKEY_HSM": "pkcs11",
            "CELLKEY_PKCS11_MODULE": "/usr/lib/none.so",
            "CELLKEY_PKCS11_PIN_FILE": str(tmp_path / "pin"),
            "CELLKEY_SMS_GATEWAY": "smpp",
            "CELLKEY_SMS_URL": centre.url,
            "CELLKEY_SMS_USER": USER,
            "CELLKEY_SMS_SECRET_FILE": str(tmp_path / "secret"),
            "CELLKEY_SMS_SENDER": "Cellkey",
        }
        result = run(production, "--once")
        assert result.exit_code == 0, result.output
        (part,) = centre.wait_for_texts(1)
    assert part["message"] == "Code 1234 5678"
    assert "1234" not in result.output
    refused = run(production | {"CELLKEY_SMS_SENDER": ""}, "--once")
    assert refused.exit_code == 1
    assert "sms_sender" in refused.output


def test_the_process_wakes_a_phone_and_ends_when_told(
    environment: dict[str, str],
    settings: Settings,
    session_factory: sessionmaker[Session],
    tmp_path: Path,
    now: datetime,
) -> None:
    """The whole way with real parts: outbox, process, TLS, push service, the phone's keys."""
    run(environment, "keys")
    with (
        running_push_service(ca_out=tmp_path / "ca.pem") as service,
        phones_session(service) as http,
    ):
        phone = PushPhone(http, service, vapid=read_vapid_key(settings).public_key())
        with session_factory.begin() as session:
            cell = add_cell(session, now=now)
            add_phone(session, cell, now=now, endpoint=phone.endpoint, keys=phone.keys)
            transaction = add_transaction(session, cell, now=now)
            enqueue_push(
                session, transaction=transaction, cell=cell, now=now, expires_at=now + LIFE
            )
        hosts = {"CELLKEY_PUSH_HOSTS": json.dumps([service.allow_list_entry])}
        with subprocess.Popen(
            [sys.executable, "-c", "from backend.cli.main import main; main()", "worker"],
            env=os.environ | environment | hosts,
            stderr=subprocess.PIPE,
        ) as worker:
            woken = phone.wait()
            assert json.loads(phone.decrypt(woken.content))["notification"]["data"] == {
                "id": str(transaction)
            }
            while not _is_delivered(session_factory, transaction):
                sleep(0.05)
            worker.send_signal(signal.SIGTERM)
            _, log = worker.communicate()
        assert worker.returncode == 0
        assert [json.loads(line)["message"] for line in log.splitlines()] == ["sent"]


def _is_delivered(sessions: sessionmaker[Session], transaction: UUID) -> bool:
    with sessions() as session:
        return session.get_one(Transaction, transaction).delivered_at is not None
