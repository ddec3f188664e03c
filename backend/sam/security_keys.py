"""Believing a security key: one more passkey of a phone that has one (docs/decisions/0024).

1. the record is ours;
2. the message is signed by the approval key of a phone of that record, of a kind that it allows,
   and names this very record: so it counts once;
3. a passkey that the record knows of this phone agreed to this new one, with user verification;
4. the new passkey's registration and assertion are over this record and phone, with user
   verification; no phone of the record has it, and there is room. Then the record's next epoch.

Adding loosens, so it takes the signer. It gives nobody the cell's secret: an approval still takes
the phone's approval key and unlock key. Removing needs nobody's consent.
"""

from typing import final

import msgspec

from backend.errors import (
    KindRefused,
    MalformedMessage,
    NotFound,
    RecordRefused,
    SecurityKeyRefused,
)
from backend.protocol.record import MOST_SECURITY_KEYS, CellRecord, Passkey, RecordDevice
from backend.protocol.record import record_hash as hash_of
from backend.protocol.security_key import (
    SecurityKeyClaims,
    check_consent,
    presenting_kid,
    read_security_key,
    verify_new_key,
)
from backend.sam.cells import AddSecurityKey, NextRecord, RemoveSecurityKey
from backend.sam.records import ServiceVoice


@final
class SecurityKeys:
    """Keeps the four rules."""

    def __init__(self, *, voice: ServiceVoice, rp_id: str, origin: str) -> None:
        """Keep what the rules are checked with; ``rp_id`` and ``origin`` are the app's."""
        self._voice = voice
        self._rp_id = rp_id
        self._origin = origin

    def add(self, unverified: AddSecurityKey) -> NextRecord:
        """Believe a security key; the errors are those of ``Cells.add_security_key``."""
        # (1) The record is ours.
        try:
            record = self._voice.verified_record(unverified.record)
        except RecordRefused as error:
            raise SecurityKeyRefused(1, str(error)) from error

        # (2) A phone of that record says so, of that record.
        device, claims = _presented(unverified, record)

        # (3) A passkey of that phone agrees.
        try:
            check_consent(claims, device)
        except MalformedMessage as error:
            raise SecurityKeyRefused(3, str(error)) from error

        # (4) The new passkey is one, and new.
        try:
            passkey = verify_new_key(claims, kid=device.kid, rp_id=self._rp_id, origin=self._origin)
        except MalformedMessage as error:
            raise SecurityKeyRefused(4, str(error)) from error
        if any(known.id == passkey.id or known.key == passkey.key for known in _passkeys(record)):
            raise SecurityKeyRefused(4, "this security key is known already")
        if len(device.security_keys) >= MOST_SECURITY_KEYS:
            raise SecurityKeyRefused(4, f"a phone has at most {MOST_SECURITY_KEYS} security keys")
        return self._with(unverified.record, record, device, (*device.security_keys, passkey))

    def remove(self, unverified: RemoveSecurityKey) -> NextRecord:
        """Believe a security key no more; the errors are those of ``Cells``."""
        record = self._voice.verified_record(unverified.record)
        try:
            device = record.device(unverified.kid)
        except NotFound as error:
            raise RecordRefused(str(error)) from error
        staying = tuple(key for key in device.security_keys if key.id != unverified.id)
        return self._with(unverified.record, record, device, staying)

    def _with(
        self, text: str, record: CellRecord, device: RecordDevice, keys: tuple[Passkey, ...]
    ) -> NextRecord:
        changed = msgspec.structs.replace(device, security_keys=keys)
        devices = tuple(changed if one == device else one for one in record.devices)
        following, next_record = self._voice.next_record(text, devices=devices)
        return NextRecord(record=following, epoch=next_record.epoch)


def _presented(
    unverified: AddSecurityKey, record: CellRecord
) -> tuple[RecordDevice, SecurityKeyClaims]:
    """Rule 2."""
    try:
        device = record.approver(presenting_kid(unverified.message))
        claims = read_security_key(unverified.message, expected_device=device)
    except (MalformedMessage, NotFound, KindRefused) as error:
        raise SecurityKeyRefused(2, str(error)) from error
    if claims.record != hash_of(unverified.record):
        raise SecurityKeyRefused(2, "it was made for another record than the newest")
    return device, claims


def _passkeys(record: CellRecord) -> tuple[Passkey, ...]:
    """Every passkey of every phone."""
    return tuple(passkey for device in record.devices for passkey in device.passkeys)
