"""From an enrol ask to an enrolment (sections 2, 5 and 6), without network and disk.

Order: the ask is verified under the key beside it, the lock is opened with the ask's cell, KS is
compared with the lock's second half (or QR 2's, for an existing cell), the list must be empty; only
then are keys made and the passkey asked.
"""

import os
from collections.abc import Mapping

import msgspec

from backend.virtual_phone.answers import (
    PhoneKind,
    Sealed,
    enrolment,
    enrolment_challenge,
    seal_secret,
)
from backend.virtual_phone.asks import CheckedAsk, SignedAsk, check_documents, read_ask, trust
from backend.virtual_phone.authenticator import create, get
from backend.virtual_phone.calls import PairingAnswer
from backend.virtual_phone.encoding import SECRET_LENGTH, b64u, secret_text
from backend.virtual_phone.errors import CannotAnswer, MessageRefused
from backend.virtual_phone.invitation import Envelope
from backend.virtual_phone.jose import new_key
from backend.virtual_phone.keystore import Enrolment, Keys, Recovery
from backend.virtual_phone.locks import (
    make_recovery_lock,
    open_envelope,
    open_recovery_lock,
    prf_salt,
)
from backend.virtual_phone.phone_keys import OpenKeys, approval_key, keep, keep_wrapped, request_key
from backend.virtual_phone.phone_keys import unlock as unlock_key


class OpenedPairing(msgspec.Struct, frozen=True, kw_only=True):
    """A checked enrol ask and the secret of its cell."""

    checked: CheckedAsk
    cell_secret: bytes | None
    """``None`` where the password is to bring it, later and elsewhere."""


class Enrolling(msgspec.Struct, frozen=True, kw_only=True):
    """An enrolment and the keys that it names."""

    keys: Keys
    enrolment: Enrolment


def open_pairing(
    answer: PairingAnswer, *, envelope: Envelope, recovery_code: bytes | None, now: int
) -> OpenedPairing:
    """Check what came for the pairing, and open the lock.

    Raises:
        MessageRefused: the ask or a lock is not what it must be.
        CannotAnswer: the ask is too old, or the way to the cell's secret is not there.
    """
    if answer.ask is None or answer.ks is None:
        raise MessageRefused(f"the pairing is {answer.state} and has no ask")
    signed = read_ask(answer.ask, ks=answer.ks)
    if signed.ask.kind != "enrol" or signed.ask.key_thumbprints is not None:
        raise MessageRefused("this is not the ask of a pairing by envelope")
    secret, pin = _secret_and_pin(
        answer, signed=signed, envelope=envelope, recovery_code=recovery_code
    )
    trusted = trust(signed, pin=pin, pinned=None, keys=answer.keys)
    checked = check_documents(trusted, ())
    if now > signed.ask.use_by:
        raise CannotAnswer("this pairing took too long; start it again")
    return OpenedPairing(checked=checked, cell_secret=secret)


def enrol_virtual(opened: OpenedPairing, keys: OpenKeys) -> Enrolling:
    """Enrolment of a virtual phone."""
    sealed = _sealed(opened, keys)
    return _enrolling(
        opened, open_keys=keys, keys=keep(keys), kind="virtual", sealed=sealed, webauthn=None
    )


def enrol_browser(opened: OpenedPairing, keys: OpenKeys, *, app: str, kind: PhoneKind) -> Enrolling:
    """Enrolment of a browser at the address ``app``: registration and assertion over one challenge.

    Raises:
        CannotAnswer: a browser makes no passkey for that address.
    """
    sealed = _sealed(opened, keys)
    challenge = enrolment_challenge(
        tx_hash=opened.checked.tx_hash,
        keys=keys.public(),
        epk=None if sealed is None else sealed.epk,
    )
    passkey, registration = create(app=app, challenge=challenge)
    cell = opened.checked.cell
    assertion, output = get(passkey, challenge=challenge, salt=prf_salt(cell))
    webauthn = {
        "registration": msgspec.to_builtins(registration),
        "assertion": msgspec.to_builtins(assertion),
    }
    kept = keep_wrapped(keys, passkey=passkey, prf_output=output, cell=cell)
    return _enrolling(
        opened, open_keys=keys, keys=kept, kind=kind, sealed=sealed, webauthn=webauthn
    )


def reopened(keys: Keys, *, cell: bytes) -> OpenKeys:
    """The keys of an earlier enrolment, for a new ask of the same pairing."""
    challenge = os.urandom(32)  # Nobody gets this assertion; it only opens the unlock key.
    return OpenKeys(
        approval=approval_key(keys),
        request=request_key(keys),
        unlock=unlock_key(keys, cell=cell, challenge=challenge).key,
    )


def _secret_and_pin(
    answer: PairingAnswer, *, signed: SignedAsk, envelope: Envelope, recovery_code: bytes | None
) -> tuple[bytes | None, bytes]:
    if envelope.ks_thumbprint is None:
        if answer.envelope_lock is None:
            raise MessageRefused("the pairing has no envelope lock; scan QR 2, do not type it")
        return open_envelope(answer.envelope_lock, secret=envelope.secret, cell=signed.cell)
    if recovery_code is None:
        if not answer.password_recovery:
            raise CannotAnswer("this cell opens by its recovery code alone")
        return None, envelope.ks_thumbprint
    if answer.recovery_lock is None:
        raise CannotAnswer("no recovery code was kept for this cell")
    secret = open_recovery_lock(answer.recovery_lock, code=recovery_code, cell=signed.cell)
    return secret, envelope.ks_thumbprint


def _sealed(opened: OpenedPairing, keys: OpenKeys) -> Sealed | None:
    if opened.cell_secret is None:
        return None
    checked = opened.checked
    return seal_secret(
        opened.cell_secret,
        sam=checked.ask.sam,
        ephemeral=new_key(),
        approval_key=keys.public().approval.thumbprint(),
        tx_hash=checked.tx_hash,
    )


def _enrolling(
    opened: OpenedPairing,
    *,
    open_keys: OpenKeys,
    keys: Keys,
    kind: PhoneKind,
    sealed: Sealed | None,
    webauthn: Mapping[str, object] | None,
) -> Enrolling:
    checked = opened.checked
    message = enrolment(
        key=open_keys.approval,
        tx_hash=checked.tx_hash,
        keys=open_keys.public(),
        kind=kind,
        sealed=sealed,
        webauthn=webauthn,
    )
    return Enrolling(
        keys=keys,
        enrolment=Enrolment(
            tx_hash=b64u(checked.tx_hash),
            enrolment=message,
            sealed=None if sealed is None else sealed.compact,
            recovery=_recovery(opened),
        ),
    )


def _recovery(opened: OpenedPairing) -> Recovery | None:
    """A recovery code of this phone's own; without CS it can be made only when it is paired."""
    if opened.cell_secret is None:
        return None
    code = os.urandom(SECRET_LENGTH)
    lock = make_recovery_lock(opened.cell_secret, code=code, cell=opened.checked.cell)
    return Recovery(code=secret_text(code), lock=lock)
