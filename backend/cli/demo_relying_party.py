"""Steps 8 and 9 of `cellkey demo`, as far as they happen at the relying party.

The relying party is pyHanko in a process of its own. It lives among the tests, because it is not
ours to ship; it tells what it does in lines of JSON, which are read from its log.
"""

import json
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, final

import msgspec

from backend.cli.demo_installation import Client, Stage, shown
from backend.cli.demo_phone import SleepingPhone
from backend.cli.demo_processes import Process, StepFailed
from backend.cli.demo_telling import Teller, address
from backend.virtual_phone.push import Delivered

SECRET_NAME: Final = "RELYING_PARTY_SECRET"  # noqa: S105  # the name of the variable
DOCUMENT: Final = "payment-order-128.pdf"
REDEEMED: Final = "redeemed"


@final
class Asking:
    """A relying party that has asked, and waits."""

    def __init__(self, process: Process, tell: Teller, delivered: Delivered) -> None:
        """Read what it tells; ``delivered`` is what came of its asking."""
        self.process = process
        self.delivered = delivered
        self._tell = tell
        self._told = 0

    def tell_messages(self) -> None:
        """Tell of the messages that were not told of yet."""
        events = list(self._events())
        for event in events[self._told :]:
            if event["event"] == "sent":
                line = f"→ {event['method']} {address(event['url'])}"
            elif event["event"] == "received":
                line = f"← {event['status']}"
            else:
                continue
            self._tell.wire(line, event["body"].encode())
        self._told = len(events)

    def signed_file(self) -> Path:
        """Wait until it has written the signed PDF.

        Raises:
            StepFailed: it has not.
        """
        self.process.answer()
        return Path(self._fact("signed", "file"))

    def credential(self) -> str:
        """Name the credential that it used."""
        return self._fact("credential", "id")

    def _fact(self, event: str, name: str) -> str:
        """Find what it told at an event.

        Raises:
            StepFailed: it did not tell.
        """
        for told in self._events():
            if told["event"] == event:
                return str(told[name])
        raise StepFailed(f"the relying party did not tell of {event!r}", log=self.process.log)

    def _events(self) -> Iterator[dict[str, Any]]:
        """Read its lines; what it complains of is no JSON."""
        for line in self.process.log.read_text("utf-8").splitlines():
            if line.startswith("{"):
                yield json.loads(line)


def ask(stage: Stage, sleeping: SleepingPhone, client: Client, *, login: str) -> Asking:
    """Step 8: ask for a signature, until the push service has a message for the phone."""
    tell, words = stage.tell, stage.tell.words
    with tell.working(words.asking):
        process = _start(stage, client, login=login)
        delivered = sleeping.wait(process)
    asking = Asking(process, tell, delivered)
    asking.tell_messages()
    return asking


def collect(stage: Stage, sleeping: SleepingPhone, asking: Asking, transaction: str) -> Path:
    """Step 9: the signature is released; the PDF."""
    tell, words = stage.tell, stage.tell.words
    tell.step(words.steps.release)
    with tell.working(words.releasing):
        pdf = asking.signed_file()
    asking.tell_messages()
    tell.succeed(words.released)
    tell.fact(words.labels.pdf, shown(pdf))
    tell.fact(words.labels.sha256, sha256(pdf.read_bytes()).hexdigest())
    state = sleeping.phone.show(transaction).state
    if state != REDEEMED:
        raise StepFailed(f"the transaction is {state}, not {REDEEMED}")
    tell.line(words.redeemed)
    return pdf


def _start(stage: Stage, client: Client, *, login: str) -> Process:
    command: list[str | Path] = [sys.executable, "-m", "tests.world.relying_party", DOCUMENT]
    command += ["--service", stage.authorization_server, "--client-id", client.client_id]
    command += ["--signer", login, "--folder", stage.folder]
    command += ["--transaction", msgspec.json.encode(payment(stage.tell)).decode()]
    command += ["--messages"] if stage.tell.verbose else []
    secret = {SECRET_NAME: client.client_secret}
    return stage.processes.start("relying party", command, settings=secret)


def payment(tell: Teller) -> dict[str, object]:
    """Give the typed transaction: what the SAM makes the signer's text of."""
    cast = tell.words.cast
    return {
        "type": "payment",
        "amount": {"value": "1250000.00", "currency": "RUB"},
        "payee": {"name": tell.say(cast.payee), "account": "40702810900000000017"},
        "purpose": tell.say(cast.purpose),
        "document": {"number": "128", "date": "2025-11-21"},
    }
