"""`cellkey phone further | add | recovery-code | pair`: the three ways to the key, by command."""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from click.testing import CliRunner

from backend.cli.main import main
from backend.devices.replacement import ReplacementOrder, print_replacement
from backend.virtual_phone import further
from backend.virtual_phone.invitation import Addresses
from backend.virtual_phone.phone import VirtualPhone
from backend.virtual_phone.transactions import Consent
from backend.wiring import utc_now
from tests.world.service import NEW_PASSWORD, PRINTER, SMS_ON, Service
from tests.world.serving import serving
from tests.world.worker import eventually

pytestmark = pytest.mark.sms


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """On the loopback, by the computer's clock, with a clerk; the signer's is ``phone.json``."""
    stop = Event()
    with serving(tmp_path_factory.mktemp("commands"), clock=utc_now, **SMS_ON) as opened:
        opened.signing_phone(opened.register())

        def work() -> None:
            while not stop.wait(0.05):
                opened.clerk.run_once()

        clerk = Thread(target=work)
        clerk.start()
        yield opened
        stop.set()
        clerk.join()


@pytest.fixture(autouse=True)
def _looking_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(further, "PAUSE_SECONDS", 0.05)


def addresses(service: Service) -> Addresses:
    return Addresses(
        authorization_server=service.settings.authorization_server_url,
        mobile_api=service.settings.mobile_api_url,
        app=service.settings.app_url,
    )


def where(service: Service) -> list[str]:
    """The options that say where the servers are."""
    there = addresses(service)
    return ["--as", there.authorization_server, "--api", there.mobile_api, "--app", there.app]


def phone(state: Path, *arguments: str, typed: str = "") -> list[dict[str, Any]]:
    """Run `cellkey phone … --json`; its lines."""
    command = ["phone", arguments[0], "--state", str(state), *arguments[1:], "--json"]
    result = CliRunner().invoke(main, command, input=typed)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("kind", ["virtual", "pwa"])
def test_a_phone_shows_its_code_until_another_one_adds_it(
    service: Service, tmp_path: Path, kind: str
) -> None:
    state, old = tmp_path / "new.json", service.phone()
    new = VirtualPhone(state, http=service.http)
    with ThreadPoolExecutor(1) as pool:
        shown = pool.submit(phone, state, "further", "--kind", kind, *where(service))
        while new.keystore.load().further is None:
            Event().wait(0.01)
        text = new.show_code(addresses(service))
        old.approve(old.ask_to_add(text), consent=Consent(further_phone=text))
        first, last = shown.result()

    assert (first["event"], first["code"]) == ("code", text)
    assert (last["event"], last["kid"]) == ("paired", new.kid())


def test_a_paired_phone_adds_the_one_whose_code_it_reads(service: Service) -> None:
    new = service.phone("added")
    code = new.show_code(addresses(service))
    state = service.folder / "phone.json"

    shown, answered = phone(state, "add", "--code", code, typed="y\n")

    assert "новый телефон" in shown["text"]["lines"][0]
    assert answered["state"] == "approved"
    eventually(lambda: new.wait_to_be_added(rounds=1))


def test_a_browsers_phone_has_security_keys_added_used_and_removed(service: Service) -> None:
    new = service.phone("browser")
    code = new.show_code(addresses(service), kind="desktop")
    old = service.phone()
    old.approve(old.ask_to_add(code), consent=Consent(further_phone=code))
    eventually(lambda: new.wait_to_be_added(rounds=1))
    state = ["--state", str(service.folder / "browser.json"), "--json"]

    def key(*arguments: str) -> dict[str, Any]:
        result = CliRunner().invoke(main, ["phone", "security-key", *arguments, *state])
        assert result.exit_code == 0, result.output
        told: dict[str, Any] = json.loads(result.stdout)
        return told

    made = key("add")["id"]
    assert key("list")["security_keys"] == [made]
    asked = service.ask(bytes(32), party=service.add_relying_party("shop of keys"))
    by_key = ("--yes", "--security-key", made)
    *_, answered = phone(service.folder / "browser.json", "approve", str(asked.id), *by_key)
    assert answered["state"] == "approved"
    assert key("remove", made)["id"] == made
    assert key("list")["security_keys"] == []


def test_who_does_not_say_yes_adds_nothing(service: Service) -> None:
    code = service.phone("not added").show_code(addresses(service))
    state = str(service.folder / "phone.json")
    command = ["phone", "add", "--state", state, "--code", code]
    result = CliRunner().invoke(main, command, input="n\n")
    assert result.exit_code == 1
    assert "Новый телефон" in result.stdout


def test_a_code_that_nobody_reads_ends_in_words(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VirtualPhone, "wait_to_be_added", lambda _: False)
    command = ["phone", "further", "--state", str(tmp_path / "new.json"), *where(service)]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 1
    assert "no paired phone added this one" in result.stderr


@pytest.mark.parametrize("lost", [False, True])
def test_a_lost_phone_is_replaced_by_recovery_code_or_password(
    service: Service, tmp_path: Path, *, lost: bool
) -> None:
    (made,) = phone(service.folder / "phone.json", "recovery-code")
    order = ReplacementOrder(
        login="a.ivanova", operator=PRINTER, remove_phones=False, reset_password=False
    )
    with service.sessions() as session:
        printed = print_replacement(
            session,
            service.sam,
            order,
            settings=service.settings,
            public_keys=service.public_keys,
            now=service.clock(),
        )
    files = {"password": NEW_PASSWORD, "recovery-code": "" if lost else made["recovery_code"]}
    options = []
    for name, content in files.items():
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        options += [f"--{name}-file", str(path)]
    sms = tmp_path / "sms"
    os.mkfifo(sms)
    stop = Event()
    before = len(service.work())
    with ThreadPoolExecutor(1) as pool:
        typing = pool.submit(type_next_code, service, sms, stop, before=before)
        events = phone(
            tmp_path / "new.json",
            *("pair", "--qr1", printed.qr1, "--qr2", printed.qr2, "--login", printed.login),
            *(*options, "--code-file", str(sms)),
        )
        stop.set()
        typing.result()

    assert [event["event"] for event in events] == ["enrolled", "paired"]
    assert len(events[-1]["recovery_code"].replace("-", "")) == 26


def type_next_code(service: Service, pipe: Path, stop: Event, *, before: int) -> None:
    """Write the code into a named pipe once the worker has sent more than before."""
    while len(service.work()) == before:
        if stop.wait(0.02):
            return
    pipe.write_text(service.inbox.arrived[-1].code, encoding="utf-8")
