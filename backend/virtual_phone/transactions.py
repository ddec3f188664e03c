"""A paired phone and its transactions (section 6): check, show, answer.

A transaction is shown only as a :class:`Shown`, which :func:`checked_transaction` makes after all
checks. An approval is stored before it is sent; sending again repeats those bytes.
"""

import re
from uuid import uuid4

import msgspec

from backend.virtual_phone.answers import (
    Decision,
    approval,
    approval_challenge,
    refusal,
    seal_secret,
)
from backend.virtual_phone.asks import CheckedAsk, check_documents, read_ask, trust
from backend.virtual_phone.calls import PhoneCalls, TransactionAnswer
from backend.virtual_phone.encoding import b64u, raw_uuid, unb64u
from backend.virtual_phone.errors import CannotAnswer, MessageRefused
from backend.virtual_phone.invitation import read_further_phone
from backend.virtual_phone.jose import jwk_of, new_key
from backend.virtual_phone.keystore import Approval, Device, Keystore, State
from backend.virtual_phone.locks import open_device_lock
from backend.virtual_phone.phone_keys import approval_key, request_key, unlock


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A checked transaction, fit to be shown and answered."""

    id: str
    state: str
    checked: CheckedAsk
    lock: str | None
    """This phone's device lock."""


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """What the signer adds to "yes"."""

    number: str | None = None
    """The number on the other screen, where the ask wants it."""
    further_phone: str | None = None
    """QR code on the screen of the phone to be added, for an ``enrol``."""
    security_key: str | None = None
    """Id of the security key that answers in the passkey's place."""


def fetch(keystore: Keystore, calls: PhoneCalls, *, device: Device, transaction: str) -> Shown:
    """Fetch a transaction and check everything about it.

    Raises:
        MessageRefused: it is not the service's, not this cell's, or not what it says.
        ServerRefused: there is none of that id for this phone.
    """
    raw_uuid(transaction)
    shown = checked_transaction(calls.transaction(transaction), device=device, expected=transaction)
    if shown.checked.ks != device.ks:
        keystore.change(lambda state: _with_pin(state, shown.checked))
    return shown


def checked_transaction(answer: TransactionAnswer, *, device: Device, expected: str) -> Shown:
    """The checks of section 6, in its order.

    Raises:
        MessageRefused: one of them failed.
    """
    signed = read_ask(answer.ask, ks=answer.ks)
    trusted = trust(signed, pin=device.ks.thumbprint(), pinned=device.ks, keys=answer.keys)
    if signed.ask.jti != expected or signed.ask.cell != device.cell:
        raise MessageRefused("this is another transaction, or one of another cell")
    checked = check_documents(trusted, answer.list)
    return Shown(id=expected, state=answer.state, checked=checked, lock=answer.lock)


def make_approval(shown: Shown, *, device: Device, consent: Consent, now: int) -> Approval:
    """Approve: the ephemeral key first, then the passkey, then the lock, then the signature.

    Raises:
        CannotAnswer: too late, or the signer has not given what the ask wants.
        MessageRefused: the device lock is not this phone's.
    """
    checked = shown.checked
    _refuse_late(checked.ask.exp, now=now)
    _consented(checked, consent)
    if shown.lock is None:
        raise CannotAnswer(f"the transaction is {shown.state} and has no lock for this phone")
    key = approval_key(device.keys)
    kid = jwk_of(key).thumbprint()
    ephemeral = new_key()
    challenge = approval_challenge(tx_hash=checked.tx_hash, epk=jwk_of(ephemeral).thumbprint())
    unlocked = unlock(
        device.keys, cell=checked.cell, challenge=challenge, security_key=consent.security_key
    )
    sealed = seal_secret(
        open_device_lock(shown.lock, cell=checked.cell, kid=kid, unlock=unlocked.key),
        sam=checked.ask.sam,
        ephemeral=ephemeral,
        approval_key=kid,
        tx_hash=checked.tx_hash,
    )
    message = approval(
        key=key,
        tx=shown.id,
        tx_hash=checked.tx_hash,
        sealed=sealed,
        number=consent.number,
        webauthn=None if unlocked.assertion is None else msgspec.to_builtins(unlocked.assertion),
        now=now,
        jti=uuid4(),
    )
    return Approval(
        tx_hash=b64u(checked.tx_hash), approval=message, sealed=sealed.compact, exp=checked.ask.exp
    )


def send_approval(
    keystore: Keystore, calls: PhoneCalls, *, shown: Shown, approval: Approval, now: int
) -> str:
    """Store an approval, then send it; the state it led to.

    Raises:
        CannotAnswer: its time is over.
        ServerRefused: it was refused, or something else came first.
    """
    _refuse_late(approval.exp, now=now)
    keystore.change(lambda state: _with_approval(state, approval, now=now))
    return calls.approve(shown.id, approval=approval.approval, sealed=approval.sealed)


def stored_approval(state: State, shown: Shown) -> Approval | None:
    """The approval that was made for this very ask before, if any."""
    tx_hash = b64u(shown.checked.tx_hash)
    return next((made for made in state.approvals if made.tx_hash == tx_hash), None)


def make_refusal(shown: Shown, *, device: Device, decision: Decision, now: int) -> str:
    """Refuse; needs neither passkey nor lock, and no time limit holds."""
    return refusal(
        key=request_key(device.keys),
        tx=shown.id,
        tx_hash=shown.checked.tx_hash,
        decision=decision,
        now=now,
        jti=uuid4(),
    )


def _consented(checked: CheckedAsk, consent: Consent) -> None:
    number = consent.number
    if checked.ask.number_asked:
        if number is None or not re.fullmatch("[0-9]{2}", number):
            raise CannotAnswer("the ask wants the two-digit number of the other screen")
    elif number is not None:
        raise CannotAnswer("the ask wants no number")
    if checked.ask.kind == "enrol":
        _compared_with_screen(checked, consent.further_phone)


def _compared_with_screen(checked: CheckedAsk, further_phone: str | None) -> None:
    """A key that came only from the service is never sealed to (section 5)."""
    if further_phone is None:
        raise CannotAnswer("a further phone is added only with the QR code on its screen")
    named = checked.ask.key_thumbprints
    if named is None:
        raise CannotAnswer("an ask without the keys of the further phone is not approved")
    expected = tuple(unb64u(part) for part in (named.approval, named.request, named.unlock))
    if read_further_phone(further_phone) != expected:
        raise CannotAnswer("the ask is for another phone than the one whose QR code this is")


def _refuse_late(exp: int, *, now: int) -> None:
    if now > exp:
        raise CannotAnswer("the time to approve is over")


def _with_pin(state: State, checked: CheckedAsk) -> State:
    if state.device is None:
        return state
    device = msgspec.structs.replace(state.device, ks=checked.ks)
    return msgspec.structs.replace(state, device=device)


def _with_approval(state: State, approval: Approval, *, now: int) -> State:
    others = tuple(
        made for made in state.approvals if made.exp >= now and made.tx_hash != approval.tx_hash
    )
    return msgspec.structs.replace(state, approvals=(*others, approval))
