"""A further passkey, on a token of its own, for the same unlock key (section 8.6).

The token is made and asked, then the passkey that the phone was paired with agrees. What opens the
unlock key is stored before the service is told; what the service does not list does not count.
"""

import msgspec

from backend.virtual_phone.answers import consent_challenge, security_key, security_key_challenge
from backend.virtual_phone.authenticator import create, get
from backend.virtual_phone.calls import PhoneCalls
from backend.virtual_phone.encoding import raw_uuid, unb64u
from backend.virtual_phone.errors import CannotAnswer, NotPaired
from backend.virtual_phone.jose import jwk_of
from backend.virtual_phone.keystore import Device, Keystore, SecurityKey, State
from backend.virtual_phone.locks import BY_KEY, security_key_salt, wrap_unlock
from backend.virtual_phone.phone_keys import approval_key, unlock


def add(keystore: Keystore, calls: PhoneCalls, *, device: Device) -> str:
    """Add a security key; its id.

    Raises:
        CannotAnswer: the phone has no passkey beside which another could stand.
        ServerRefused: it was refused.
    """
    first = device.keys.passkey
    if first is None:
        raise CannotAnswer("only a browser has security keys")
    cell, key = raw_uuid(device.cell), approval_key(device.keys)
    kid = jwk_of(key).thumbprint()
    record = unb64u(calls.security_keys().record)
    challenge = security_key_challenge(record=record, kid=kid)
    passkey, registration = create(app=first.origin, challenge=challenge)
    assertion, output = get(passkey, challenge=challenge, salt=security_key_salt(cell))
    agreed = consent_challenge(
        record=record, kid=kid, attestation_object=unb64u(registration.attestation_object)
    )
    unlocked = unlock(device.keys, cell=cell, challenge=agreed)
    wrapped = wrap_unlock(unlocked.key, prf_output=output, cell=cell, info=BY_KEY)
    made = SecurityKey(passkey=passkey, wrapped=wrapped)
    keystore.change(lambda state: _with(state, (*_keys(state), made)))
    message = security_key(
        key=key,
        record=record,
        webauthn={
            "registration": msgspec.to_builtins(registration),
            "assertion": msgspec.to_builtins(assertion),
        },
        consent=msgspec.to_builtins(unlocked.assertion),
    )
    calls.add_security_key(message, authorization_server=device.authorization_server)
    return passkey.id


def remove(keystore: Keystore, calls: PhoneCalls, credential: str, *, device: Device) -> None:
    """Remove a security key: from this phone first, then from the record.

    Raises:
        ServerRefused: the service does not know it.
    """
    keystore.change(
        lambda state: _with(
            state, tuple(held for held in _keys(state) if held.passkey.id != credential)
        )
    )
    calls.remove_security_key(credential, authorization_server=device.authorization_server)


def _keys(state: State) -> tuple[SecurityKey, ...]:
    if state.device is None:
        raise NotPaired("this phone is not paired")
    return state.device.keys.security_keys


def _with(state: State, held: tuple[SecurityKey, ...]) -> State:
    if state.device is None:
        raise NotPaired("this phone is not paired")
    keys = msgspec.structs.replace(state.device.keys, security_keys=held)
    return msgspec.structs.replace(state, device=msgspec.structs.replace(state.device, keys=keys))
