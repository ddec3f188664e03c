"""The dialogue of pairing (section 8.2), each step of which may be lost and repeated.

The enrolment is stored before it is sent, and the same bytes answer the same ask. A new ask of the
same envelope gets a new enrolment of the same keys. The phone counts as paired once the service
says ``confirmed``; the recovery code is told when its lock has arrived, and only then.
"""

from collections.abc import Callable
from uuid import UUID

import msgspec

from backend.virtual_phone.answers import BROWSERS, PhoneKind, twelve_characters
from backend.virtual_phone.calls import Confirmation, PairingAnswer, PairingCalls, PhoneCalls
from backend.virtual_phone.encoding import b64u, in_groups, raw_uuid
from backend.virtual_phone.enrolling import (
    Enrolling,
    OpenedPairing,
    enrol_browser,
    enrol_virtual,
    open_pairing,
    reopened,
)
from backend.virtual_phone.errors import CannotAnswer, MessageRefused, NotPaired, ServerRefused
from backend.virtual_phone.invitation import Addresses, Envelope
from backend.virtual_phone.keystore import Device, Keystore, Pairing, Recovery, State
from backend.virtual_phone.locks import pairing_id
from backend.virtual_phone.phone_keys import new_keys, request_key
from backend.virtual_phone.transport import Caller

Sleep = Callable[[float], None]

OPERATOR_PAUSE_SECONDS = 2.0
RECOVERY_GROUP = 5


class Applicant(msgspec.Struct, frozen=True, kw_only=True):
    """What the signer brings: the envelope, the login, both passwords."""

    addresses: Addresses
    envelope: Envelope
    login: str
    password: str
    new_password: str | None = None
    recovery_code: bytes | None = None
    """Only for an existing cell; without it the password is to bring CS."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """Where a pairing stands."""

    confirmed: bool
    twelve: str
    """What names this phone to the operator, and in the SMS."""
    confirmation: tuple[Confirmation, ...]
    """What is still needed; all of them."""


def begin(keystore: Keystore, caller: Caller, *, applicant: Applicant, kind: PhoneKind) -> Progress:
    """Steps 1 and 2: password, ask, enrolment.

    Raises:
        NotPaired: the state file already holds a paired phone.
        PhoneError: a step failed; the same call may be repeated.
    """
    state = keystore.load()
    if state.device is not None:
        raise NotPaired("this state file already holds a paired phone; use another one")
    pairing = str(UUID(bytes=pairing_id(applicant.envelope.secret)))
    earlier = state.pairing if state.pairing and state.pairing.pairing == pairing else None
    calls = PairingCalls(
        caller,
        authorization_server=applicant.addresses.authorization_server,
        mobile_api=applicant.addresses.mobile_api,
    )
    try:
        ticket = calls.ticket(
            login=applicant.login,
            password=applicant.password,
            new_password=applicant.new_password,
            pairing=pairing,
        )
    except ServerRefused as refusal:
        return _already_confirmed(keystore, caller, earlier=earlier, refusal=refusal)
    answer = calls.pairing(ticket)
    opened = open_pairing(
        answer,
        envelope=applicant.envelope,
        recovery_code=applicant.recovery_code,
        now=caller.clock.now(),
    )
    enrolling = _enrolling(opened, earlier=earlier, kind=kind, app=applicant.addresses.app)
    current = Pairing(
        pairing=pairing,
        cell=opened.checked.ask.cell,
        ks=opened.checked.ks,
        authorization_server=applicant.addresses.authorization_server,
        mobile_api=applicant.addresses.mobile_api,
        ticket=ticket,
        keys=enrolling.keys,
        enrolment=enrolling.enrolment,
    )
    keystore.change(lambda old: msgspec.structs.replace(_unpaired(old), kind=kind, pairing=current))
    return _hand_in(calls, current, answer)


def send_code(keystore: Keystore, caller: Caller) -> int:
    """Step 3: have the code sent to the signer's number.

    Raises:
        NotPaired: no pairing has begun.
        ServerRefused: it was sent too often, or the pairing is over.
    """
    pairing = _begun(keystore.load())
    return _calls(caller, pairing).send_code(pairing.ticket)


def confirm(
    keystore: Keystore,
    caller: Caller,
    *,
    code: str | None,
    password: str | None = None,
    sleep: Sleep,
    rounds: int,
) -> bool:
    """Step 3: hand in the code, or ask again until an operator has confirmed; whether it is done.

    Where both are needed, the code is handed in again until the operator has confirmed. The
    password goes along only where it is to bring CS.

    Raises:
        NotPaired: no pairing has begun.
        CannotAnswer: the pairing is frozen.
        ServerRefused: ``wrong-code`` with ``tries_left``, ``not-confirmed`` to the last, or
            another refusal.
    """
    pairing = _begun(keystore.load())
    calls = _calls(caller, pairing)
    for left in reversed(range(rounds)):
        try:
            state = _state(calls, pairing, code=code, password=password)
        except ServerRefused as error:
            if error.name != "not-confirmed" or not left:
                raise
            state = "enrolled"
        if _take_over(keystore, state):
            return True
        if left:
            sleep(OPERATOR_PAUSE_SECONDS)
    return False


def upload_recovery_lock(keystore: Keystore, caller: Caller) -> str | None:
    """Hand in the recovery lock with the first request proof; then, and only then, the code.

    ``None`` where the code has been told before.
    """
    state = keystore.load()
    if state.device is None or state.recovery is None:
        return None
    _first_call(caller, state.device, state.recovery)
    keystore.change(lambda old: msgspec.structs.replace(old, recovery=None))
    return in_groups(state.recovery.code, size=RECOVERY_GROUP)


def _enrolling(
    opened: OpenedPairing, *, earlier: Pairing | None, kind: PhoneKind, app: str
) -> Enrolling:
    """The stored bytes where they answer this very ask, else new ones."""
    if earlier is None:
        keys = new_keys()
    elif earlier.enrolment.tx_hash == b64u(opened.checked.tx_hash):
        return Enrolling(keys=earlier.keys, enrolment=earlier.enrolment)
    else:
        keys = reopened(earlier.keys, cell=raw_uuid(earlier.cell))
    if kind in BROWSERS:
        return enrol_browser(opened, keys, app=app, kind=kind)
    return enrol_virtual(opened, keys)


def _hand_in(calls: PairingCalls, pairing: Pairing, answer: PairingAnswer) -> Progress:
    sent = pairing.enrolment
    enrolled = calls.enrol(pairing.ticket, enrolment=sent.enrolment, sealed=sent.sealed)
    twelve = twelve_characters(sent.enrolment)
    if _bare(enrolled.twelve) != _bare(twelve):
        raise MessageRefused("the service calls this phone by other characters than its own")
    return Progress(
        confirmed=enrolled.state == "confirmed", twelve=twelve, confirmation=answer.confirmation
    )


def _already_confirmed(
    keystore: Keystore, caller: Caller, *, earlier: Pairing | None, refusal: ServerRefused
) -> Progress:
    """The pairing is over for tickets; it may be over because this phone is confirmed.

    A request proof tells: it counts from the confirmation on, and the first one is the recovery
    lock's, where there is one.
    """
    if earlier is None or refusal.name != "pairing-over":
        raise refusal
    try:
        _first_call(caller, _device(earlier), earlier.enrolment.recovery)
    except ServerRefused as error:
        raise refusal from error
    _take_over(keystore, "confirmed")
    twelve = twelve_characters(earlier.enrolment.enrolment)
    return Progress(confirmed=True, twelve=twelve, confirmation=())


def _state(calls: PairingCalls, pairing: Pairing, *, code: str | None, password: str | None) -> str:
    if code is None:
        return calls.pairing(pairing.ticket).state
    by_password = pairing.enrolment.sealed is None
    return calls.confirm(pairing.ticket, code=code, password=password if by_password else None)


def _take_over(keystore: Keystore, state: str) -> bool:
    """Turn the pairing into a paired phone once it is confirmed; whether it is."""
    if state == "frozen":
        raise CannotAnswer("the pairing is frozen; ask the operator for a new envelope")
    if state != "confirmed":
        return False
    keystore.change(_paired)
    return True


def _paired(state: State) -> State:
    pairing = _begun(state)
    return State(kind=state.kind, device=_device(pairing), recovery=pairing.enrolment.recovery)


def _unpaired(state: State) -> State:
    if state.device is not None:
        raise NotPaired("another process has paired this phone meanwhile")
    return state


def _begun(state: State) -> Pairing:
    if state.pairing is None:
        raise NotPaired("no pairing has begun in this state file")
    return state.pairing


def _device(pairing: Pairing) -> Device:
    return Device(
        cell=pairing.cell,
        ks=pairing.ks,
        authorization_server=pairing.authorization_server,
        mobile_api=pairing.mobile_api,
        keys=pairing.keys,
    )


def _calls(caller: Caller, pairing: Pairing) -> PairingCalls:
    return PairingCalls(
        caller,
        authorization_server=pairing.authorization_server,
        mobile_api=pairing.mobile_api,
    )


def _first_call(caller: Caller, device: Device, recovery: Recovery | None) -> None:
    calls = PhoneCalls(caller, mobile_api=device.mobile_api, request_key=request_key(device.keys))
    if recovery is None:
        calls.lock()
    else:
        calls.keep_recovery_lock(recovery.lock)


def _bare(characters: str) -> str:
    return characters.replace("-", "")
