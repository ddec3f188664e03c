"""A phone that another one adds (section 8.5).

1. It makes its keys and shows their thumbprints. Nothing else of it counts.
2. The ask must name these keys. Its enrolment brings no secret, and nothing of the ask is shown:
   KS is not known yet.
3. Its lock gives CS. The pin beside it is made with CS over the thumbprint of KS and this phone's
   name: only who has CS can vouch for a KS. Then, and only then, the phone is paired.
"""

import hmac
import os
from collections.abc import Callable
from typing import Literal

import msgspec

from backend.virtual_phone.answers import BROWSERS, PhoneKind, enrolment, enrolment_challenge
from backend.virtual_phone.asks import SignedAsk, read_ask
from backend.virtual_phone.authenticator import create, get
from backend.virtual_phone.calls import FurtherAnswer, PhoneCalls
from backend.virtual_phone.encoding import b64u, raw_uuid, unb64u
from backend.virtual_phone.enrolling import reopened
from backend.virtual_phone.errors import MessageRefused, NotPaired
from backend.virtual_phone.invitation import Addresses, further_phone, thumbprints
from backend.virtual_phone.jose import jwk_of, key_from
from backend.virtual_phone.keystore import (
    Device,
    Further,
    FurtherEnrolment,
    Keys,
    Keystore,
    State,
)
from backend.virtual_phone.locks import open_device_lock, pin, prf_salt
from backend.virtual_phone.phone_keys import (
    OpenKeys,
    approval_key,
    keep,
    keep_wrapped,
    new_keys,
    request_key,
    unlock,
)
from backend.virtual_phone.transport import Caller

Seen = Literal["unknown", "waiting", "confirmed", "over"]

PAUSE_SECONDS = 2.0
ROUNDS = 450
"""As many looks as fit into the life of the ask, 15 minutes."""


def begin(keystore: Keystore, *, addresses: Addresses, kind: PhoneKind) -> str:
    """Make the keys, or take those made before; the text of the QR code to be shown.

    Raises:
        NotPaired: the state file already holds a paired phone.
    """
    state = keystore.change(lambda old: _begun(old, addresses=addresses, kind=kind))
    further = _further(state)
    return further_phone(_opened(further).public())


def look(keystore: Keystore, caller: Caller) -> Seen:
    """Go on as far as it goes now.

    ``unknown``: no paired phone has read the QR code. ``over``: it was refused, or took too long;
    the same code may be shown again.

    Raises:
        NotPaired: no QR code was made.
        MessageRefused: the ask or the lock is not what it must be.
        ServerRefused: the enrolment is refused.
    """
    state = keystore.load()
    if state.device is not None:
        return "confirmed"
    further = _further(state)
    calls = PhoneCalls(caller, mobile_api=further.mobile_api, request_key=request_key(further.keys))
    answer = calls.further()
    if answer is None:
        return "unknown"
    signed = checked_ask(answer, keys=further.keys)
    if answer.state == "confirmed":
        device = paired(answer, signed=signed, further=further)
        keystore.change(lambda old: State(kind=old.kind, device=device))
        return "confirmed"
    if answer.state == "over":
        return "over"
    made = further.enrolment
    if made is None or made.tx_hash != b64u(signed.tx_hash):
        further = _enrolled(further, signed=signed, kind=state.kind)
        keystore.change(lambda old: msgspec.structs.replace(old, further=further))
    calls.enrol_further(_enrolment(further).enrolment)
    return "waiting"


def wait(
    keystore: Keystore, caller: Caller, *, sleep: Callable[[float], None], rounds: int = ROUNDS
) -> bool:
    """Look until this phone is paired; whether it is, after so many rounds."""
    for left in reversed(range(rounds)):
        if look(keystore, caller) == "confirmed":
            return True
        if left:
            sleep(PAUSE_SECONDS)
    return False


def checked_ask(answer: FurtherAnswer, *, keys: Keys) -> SignedAsk:
    """Check that the ask is for exactly this phone. Which KS signed it is told by the pin, later.

    Raises:
        MessageRefused: it is for something else.
    """
    signed = read_ask(answer.ask, ks=answer.ks)
    named = signed.ask.key_thumbprints
    if signed.ask.kind != "enrol" or named is None:
        raise MessageRefused("this ask does not add a further phone")
    mine = [jwk_of(key).thumbprint() for key in (approval_key(keys), request_key(keys))]
    if [unb64u(named.approval), unb64u(named.request)] != mine:
        raise MessageRefused("the ask is for another phone")
    return signed


def paired(answer: FurtherAnswer, *, signed: SignedAsk, further: Further) -> Device:
    """Open the lock, check what vouches for KS, and be a phone of the cell.

    Raises:
        MessageRefused: the lock is not this phone's, or nobody with CS vouches for KS.
    """
    if answer.lock is None or answer.pin is None:
        raise MessageRefused("a phone that is added gets a lock and a pin")
    kid = jwk_of(approval_key(further.keys)).thumbprint()
    opened = unlock(further.keys, cell=signed.cell, challenge=os.urandom(32))
    secret = open_device_lock(answer.lock, cell=signed.cell, kid=kid, unlock=opened.key)
    expected = pin(secret, ks=answer.ks.thumbprint(), cell=signed.cell, kid=kid)
    if not hmac.compare_digest(unb64u(answer.pin), expected):
        raise MessageRefused("nobody who has the cell's secret vouches for the service's key")
    return Device(
        cell=signed.ask.cell,
        ks=answer.ks,
        authorization_server=further.authorization_server,
        mobile_api=further.mobile_api,
        keys=further.keys,
    )


def _begun(state: State, *, addresses: Addresses, kind: PhoneKind) -> State:
    if state.device is not None:
        raise NotPaired("this state file already holds a paired phone; use another one")
    if state.further is not None:
        return state
    further = Further(
        authorization_server=addresses.authorization_server,
        mobile_api=addresses.mobile_api,
        app=addresses.app,
        keys=keep(new_keys()),
    )
    return msgspec.structs.replace(state, kind=kind, further=further)


def _further(state: State) -> Further:
    if state.further is None:
        raise NotPaired("this phone has shown no QR code; begin with: cellkey phone further")
    return state.further


def _enrolment(further: Further) -> FurtherEnrolment:
    if further.enrolment is None:
        raise NotPaired("this phone has made no enrolment")
    return further.enrolment


def _opened(further: Further) -> OpenKeys:
    """The keys at hand; after an enrolment a browser asks its passkey for the third."""
    if further.enrolment is not None:
        return reopened(further.keys, cell=raw_uuid(further.enrolment.cell))
    return OpenKeys(
        approval=approval_key(further.keys),
        request=request_key(further.keys),
        unlock=key_from(unb64u(further.keys.unlock)),
    )


def _enrolled(further: Further, *, signed: SignedAsk, kind: PhoneKind) -> Further:
    keys = _opened(further)
    named = signed.ask.key_thumbprints
    if named is None or unb64u(named.unlock) != thumbprints(keys.public())[2]:
        raise MessageRefused("the ask is for another phone")
    kept, webauthn = keep(keys), None
    if kind in BROWSERS:
        challenge = enrolment_challenge(tx_hash=signed.tx_hash, keys=keys.public(), epk=None)
        passkey, registration = create(app=further.app, challenge=challenge)
        assertion, output = get(passkey, challenge=challenge, salt=prf_salt(signed.cell))
        webauthn = {
            "registration": msgspec.to_builtins(registration),
            "assertion": msgspec.to_builtins(assertion),
        }
        kept = keep_wrapped(keys, passkey=passkey, prf_output=output, cell=signed.cell)
    message = enrolment(
        key=keys.approval,
        tx_hash=signed.tx_hash,
        keys=keys.public(),
        kind=kind,
        sealed=None,
        webauthn=webauthn,
    )
    made = FurtherEnrolment(tx_hash=b64u(signed.tx_hash), cell=signed.ask.cell, enrolment=message)
    return msgspec.structs.replace(further, keys=kept, enrolment=made)
