"""Steps 6 to 8 of `cellkey demo`, as far as they happen at the phone.

The demo holds the phone as its person does: it types what stands in the envelope and in the SMS,
reads what the phone shows, and approves. It is the software phone of ``backend/virtual_phone``, of
the kind that has a passkey with PRF, and reaches the service over HTTP alone.
"""

import re
from pathlib import Path
from secrets import token_urlsafe
from typing import Final, final

import msgspec

from backend.cli.demo_installation import PushPlace, Stage, push_authority
from backend.cli.demo_processes import Process, StepFailed
from backend.cli.demo_telling import Teller, ToldHttp
from backend.devices.envelope import Envelope as PrintedEnvelope
from backend.virtual_phone.invitation import read_addresses, read_envelope
from backend.virtual_phone.keystore import Subscription
from backend.virtual_phone.pairing import Applicant
from backend.virtual_phone.phone import VirtualPhone
from backend.virtual_phone.push import Delivered, PushService, decrypt
from backend.virtual_phone.screen import transaction_screen
from backend.virtual_phone.transactions import Shown
from backend.virtual_phone.transport import Caller, Clock, RequestsHttp

SMS: Final = re.compile(r"^\+-- SMS to (\S+) .*\n((?:\| .*\n)+)\+--$", re.MULTILINE)
CODE: Final = re.compile(r"\b[0-9]{8}\b")
WAIT_SECONDS: Final = 3
LOOKS: Final = 20


@final
class Sms(msgspec.Struct, frozen=True, kw_only=True):
    """A text message that the worker's console gateway wrote."""

    number: str
    text: str


@final
class SleepingPhone(msgspec.Struct, frozen=True, kw_only=True):
    """A phone that nothing but a push message wakes."""

    phone: VirtualPhone
    service: PushService
    subscription: Subscription

    def wait(self, asking: Process) -> Delivered:
        """Wait for a push message, as long as somebody asks.

        Raises:
            StepFailed: who asked has ended, or is still not heard of.
        """
        found: list[Delivered] = []

        def has_come() -> bool:
            delivered = self.service.next(self.subscription, wait_seconds=WAIT_SECONDS)
            found.extend([delivered] if delivered else [])
            return bool(found)

        asking.wait_until(has_come)
        return found[0]


def phone_file(stage: Stage) -> Path:
    """The file that is the phone."""
    return stage.folder / "phone.json"


def pair(stage: Stage, envelope: PrintedEnvelope, serve: Process) -> VirtualPhone:
    """Step 6: from the envelope to a paired phone."""
    tell, words = stage.tell, stage.tell.words
    tell.step(words.steps.pairing)
    phone = VirtualPhone(phone_file(stage), http=ToldHttp(RequestsHttp(), tell))
    with tell.working(words.proving):
        twelve = phone.pair_start(_applicant(envelope), kind="pwa").twelve
    tell.line(words.password_changed)
    tell.screen(words.screens.phone, [tell.say(words.screens.twelve, twelve=twelve)])
    phone.send_code()
    serve.wait_until(lambda: read_sms(serve.log) is not None)
    sms = read_sms(serve.log)
    code = sms and CODE.search(sms.text)
    if sms is None or code is None:
        raise StepFailed("the SMS has no code of eight digits", log=serve.log)
    tell.screen(words.screens.sms, [sms.text], number=sms.number)
    tell.line(words.code_came, log=serve.log.name)
    if twelve.replace("-", " ") not in sms.text:
        raise StepFailed(f"the SMS does not name this phone, {twelve}", log=serve.log)
    tell.succeed(words.same_characters)
    with tell.working(words.confirming, code=code[0]):
        confirmed = phone.pair_confirm(code[0])
        recovery = phone.recovery_code() if confirmed else None
    if recovery is None:
        raise StepFailed("the phone is not paired", log=serve.log)
    kept = tell.say(words.screens.recovery, code=recovery)
    tell.screen(words.screens.phone, [tell.say(words.screens.paired)], [kept])
    return phone


def approve_first(stage: Stage, phone: VirtualPhone, serve: Process) -> None:
    """Step 7: the certificate request."""
    tell, words = stage.tell, stage.tell.words
    tell.step(words.steps.first_approval)
    tell.line(words.asked_first)
    show_and_approve(tell, phone, _first(phone, serve))
    tell.line(words.passkey)


def fall_asleep(stage: Stage, phone: VirtualPhone, push: PushPlace) -> SleepingPhone:
    """Step 8, before anybody asks: subscribe."""
    tell = stage.tell
    http = ToldHttp(RequestsHttp(certificates=push_authority(stage)), tell)
    service = PushService(Caller(http, clock=Clock()), url=push.base)
    with tell.working(tell.words.subscribed):
        subscription = phone.subscribe(service)
    return SleepingPhone(phone=phone, service=service, subscription=subscription)


def wake_and_approve(stage: Stage, sleeping: SleepingPhone, delivered: Delivered) -> str:
    """Step 8: the push message wakes the phone, which shows and approves; the transaction's id."""
    tell, words = stage.tell, stage.tell.words
    tell.line(words.blocked)
    content = delivered.content
    tell.line(words.encrypted, count=str(len(content)), bytes=content[-16:].hex(" "))
    told = decrypt(sleeping.subscription, content).notification
    sleeping.service.acknowledge(sleeping.subscription, delivered)
    tell.screen(words.screens.notification, [told.title, told.body])
    tell.line(words.decrypted)
    show_and_approve(tell, sleeping.phone, sleeping.phone.show(told.data.id))
    return told.data.id


def show_and_approve(tell: Teller, phone: VirtualPhone, shown: Shown) -> None:
    """Print what the phone shows, then approve it."""
    tell.framed(tell.words.screens.phone, transaction_screen(shown))
    phone.approve(shown)
    tell.succeed(tell.words.approved)


def read_sms(log: Path) -> Sms | None:
    """Read the first message that the console gateway wrote into the service's log."""
    found = SMS.search(log.read_text("utf-8"))
    if found is None:
        return None
    lines = [line.removeprefix("| ") for line in found[2].splitlines()]
    return Sms(number=found[1], text=" ".join(lines))


def _applicant(envelope: PrintedEnvelope) -> Applicant:
    return Applicant(
        addresses=read_addresses(envelope.qr1),
        envelope=read_envelope(envelope.qr2),
        login=envelope.login,
        password=envelope.first_password,
        new_password=token_urlsafe(16),
    )


def _first(phone: VirtualPhone, serve: Process) -> Shown:
    """Wait for the clerk's request.

    Raises:
        StepFailed: none came.
    """
    pending = phone.pending()
    for _look in range(LOOKS):
        if pending.transactions:
            return phone.show(pending.transactions[0].id)
        pending = phone.pending(version=pending.version, wait_seconds=WAIT_SECONDS)
    raise StepFailed("the authority did not ask for the first approval", log=serve.log)
