"""Believing a new phone: the rules of ``enrol`` (docs/phone-protocol.md, 7).

1. the ask is ours, of kind ``enrol``, and the SAM's clock is before ``use_by``;
2. the record is ours, of the ask's cell and not below the ask's epoch; for a further phone it is of
   that very epoch, so that an old approval brings nothing back that was removed since;
3. ``typ``, algorithm and signature by ``keys.approval``; three different valid keys; kind allowed;
4. it names this ask, and has the keys of its ``key_thumbprints``, if any;
5. a browser (``pwa``, ``desktop``) brings a passkey, registration and assertion over the enrolment
   challenge, with user verification; another phone's word is ``self_asserted``;
6. it is confirmed: a further phone, whose keys the ask names, by the approval of a phone of the
   record, and by nothing else; any other as the policy demands, all of it: pairing code, operator's
   12 characters; and the password was right for this ask;
7. the cell's secret comes sealed for this ask, by the enrolment or by that approval; or by the
   password lock, which opens only beside the pairing code, whatever the policy demands;
8. the secret opens this cell. Then the record's next epoch and the phone's lock.
"""

import hmac
from typing import Final, final

from backend.errors import (
    CellUnopened,
    EnrolmentRefused,
    HourKeyMissing,
    KindRefused,
    MalformedMessage,
    RecordRefused,
)
from backend.protocol.ask import VerifiedAsk
from backend.protocol.enrolment import (
    EnrolmentClaims,
    check_enrols_for,
    enrolment_hash,
    read_enrolment,
    twelve_characters,
    verify_passkey,
)
from backend.protocol.jose import PublicJwk
from backend.protocol.locks import lock_to_device, pin
from backend.protocol.record import CellRecord, Confirmation, Passkey, RecordDevice
from backend.protocol.sealed import check_sealed, open_sealed
from backend.sam.cells import Enrol, Enrolled
from backend.sam.codes import PairingCodes
from backend.sam.consents import unsealed, verify_consent
from backend.sam.hours import TransactionKeys
from backend.sam.locks import PasswordSeals, open_outer
from backend.sam.records import ServiceVoice
from backend.sam.tries import PASSWORD_WINDOW_SECONDS, Tries

MOST_DEVICES: Final = 10


@final
class Enrolments:
    """Keeps the eight rules."""

    def __init__(
        self,
        *,
        voice: ServiceVoice,
        keys: TransactionKeys,
        codes: PairingCodes,
        passwords: PasswordSeals,
        password_tries: Tries,
        rp_id: str,
        origin: str,
    ) -> None:
        """Keep what the rules are checked with; ``rp_id`` and ``origin`` are the app's."""
        self._voice = voice
        self._keys = keys
        self._codes = codes
        self._passwords = passwords
        self._password_tries = password_tries
        self._rp_id = rp_id
        self._origin = origin

    def enrol(self, unverified: Enrol, *, now: int) -> Enrolled:
        """Believe a phone; the errors are those of ``Cells.enrol``."""
        # (1) to (5)
        ask, record = self.asked(unverified.ask, unverified.record, now=now)
        claims, passkey = self.presented(unverified.enrolment, ask=ask, record=record)

        # (6) to (8), by the way that ask and enrolment tell.
        if ask.claims.key_thumbprints is not None:
            secret, confirmed_by = self._by_other_phone(unverified, claims, ask, record)
        elif claims.sealed is not None:
            secret = self._unsealed(unverified.sealed, claims, ask)
            _check_opens(unverified.blob, secret, record)
            # Last, so that a message that is broken anyway costs no try.
            demanded = record.policy.caps.confirm
            confirmed_by = self._confirmed(unverified, demanded, ask=ask, record=record, now=now)
        else:
            secret, confirmed_by = self._by_password(unverified, ask, record, now=now)

        device = _device(claims, passkey, enrolment=unverified.enrolment, confirmed_by=confirmed_by)
        following, next_record = self._voice.next_record(
            unverified.record, devices=(*record.devices, device)
        )
        return Enrolled(
            record=following,
            epoch=next_record.epoch,
            kid=bytes(device.kid),
            request_kid=bytes(device.request.thumbprint()),
            kind=device.kind,
            device_lock=lock_to_device(
                secret, unlock=device.unlock, cell=record.cell, kid=device.kid
            ),
            pin=pin(secret, ks=self._voice.ks, cell=record.cell, kid=device.kid),
        )

    def asked(
        self, unverified_ask: str, unverified_record: str, *, now: int
    ) -> tuple[VerifiedAsk, CellRecord]:
        """Rules 1 and 2."""
        # (1) The ask is ours and still runs.
        try:
            ask = self._voice.verified_ask(unverified_ask)
        except MalformedMessage as error:
            raise EnrolmentRefused(1, str(error)) from error
        if ask.claims.kind != "enrol":
            raise EnrolmentRefused(1, f"an ask of kind {ask.claims.kind} enrols no phone")
        if now >= ask.claims.use_by:
            raise EnrolmentRefused(1, "it is after use_by")

        # (2) The record is ours, of this cell, not older than the ask.
        try:
            record = self._voice.verified_record(unverified_record)
        except RecordRefused as error:
            raise EnrolmentRefused(2, str(error)) from error
        if record.cell != ask.claims.cell or record.epoch < ask.claims.epoch:
            raise EnrolmentRefused(2, "the record of another cell, or older than the ask")
        if ask.claims.key_thumbprints is not None and record.epoch != ask.claims.epoch:
            raise EnrolmentRefused(
                2, "the record has changed since the further phone was asked for"
            )
        if len(record.devices) >= MOST_DEVICES:
            raise EnrolmentRefused(2, f"a cell has at most {MOST_DEVICES} phones")
        return ask, record

    def presented(
        self, unverified_enrolment: str, *, ask: VerifiedAsk, record: CellRecord
    ) -> tuple[EnrolmentClaims, Passkey | None]:
        """Rules 3 to 5."""
        # (3) The phone holds the approval key that it names; keys are three; its kind is allowed.
        try:
            claims = read_enrolment(unverified_enrolment)
            record.policy.check_kind(claims.kind)
        except (MalformedMessage, KindRefused) as error:
            raise EnrolmentRefused(3, str(error)) from error
        keys = claims.keys
        if not _keys_of(record).isdisjoint({keys.approval, keys.request, keys.unlock}):
            raise EnrolmentRefused(3, "this phone, or one of its keys, is paired already")

        # (4) It is for this ask.
        try:
            check_enrols_for(claims, ask)
        except MalformedMessage as error:
            raise EnrolmentRefused(4, str(error)) from error

        # (5) A browser's passkey.
        try:
            passkey = verify_passkey(claims, rp_id=self._rp_id, origin=self._origin)
        except MalformedMessage as error:
            raise EnrolmentRefused(5, str(error)) from error
        return claims, passkey

    def _by_other_phone(
        self, unverified: Enrol, claims: EnrolmentClaims, ask: VerifiedAsk, record: CellRecord
    ) -> tuple[bytes, tuple[Confirmation, ...]]:
        """Rules 6 to 8 for a further phone."""
        # (6) A phone of the record approved these keys.
        if unverified.approval is None:
            raise EnrolmentRefused(6, "no phone of the cell approved this one")
        try:
            consent = verify_consent(unverified.approval, ask=ask, record=record)
        except MalformedMessage as error:
            raise EnrolmentRefused(6, str(error)) from error

        # (7) It brings the secret. (8) That opens this cell.
        if claims.sealed is not None:
            raise EnrolmentRefused(7, "a further phone brings no secret of its own")
        try:
            secret = unsealed(
                consent, unverified_sealed=unverified.sealed, blob=unverified.blob, keys=self._keys
            )
        except MalformedMessage as error:
            raise EnrolmentRefused(7, str(error)) from error
        except CellUnopened as error:
            raise EnrolmentRefused(8, str(error)) from error
        return secret, ("device",)

    def _by_password(
        self, unverified: Enrol, ask: VerifiedAsk, record: CellRecord, *, now: int
    ) -> tuple[bytes, tuple[Confirmation, ...]]:
        """Rules 6 to 8 where the password lock brings the secret."""
        password = unverified.password
        if password is None:
            raise EnrolmentRefused(7, "the enrolment brings no secret")

        # (6) As the policy demands, and by the pairing code in any case. Before the lock is tried.
        others = tuple(one for one in record.policy.caps.confirm if one != "sms")
        demanded: tuple[Confirmation, ...] = ("sms", *others)
        confirmed_by = self._confirmed(unverified, demanded, ask=ask, record=record, now=now)

        # (7) The password opens its lock; a guess is counted before it is tried.
        until = now + PASSWORD_WINDOW_SECONDS
        self._password_tries.count(record.signer, until=until, now=now)
        try:
            secret = self._passwords.open(
                password.lock, record=record, password_hash=password.password_hash
            )
        except MalformedMessage as error:
            raise EnrolmentRefused(7, "the password does not open its lock") from error
        self._password_tries.forget(record.signer)

        # (8) The secret opens this cell.
        _check_opens(unverified.blob, secret, record)
        return secret, confirmed_by

    def _confirmed(
        self,
        unverified: Enrol,
        demanded: tuple[Confirmation, ...],
        *,
        ask: VerifiedAsk,
        record: CellRecord,
        now: int,
    ) -> tuple[Confirmation, ...]:
        """Rule 6 for a phone that comes with an envelope."""
        self._check_password_proof(unverified.password_proof, ask=ask, record=record, now=now)
        for one in demanded:
            if one == "sms" and unverified.code is not None and record.sms is not None:
                self._codes.check(unverified.code, enrolment=unverified.enrolment, ask=ask, now=now)
            elif one == "operator" and unverified.operator is not None:
                _check_twelve(unverified.operator.twelve, unverified.enrolment)
            else:
                raise EnrolmentRefused(6, f"not confirmed by {one}")
        return demanded

    def _check_password_proof(
        self, unverified_proof: str | None, *, ask: VerifiedAsk, record: CellRecord, now: int
    ) -> None:
        if unverified_proof is None:
            raise EnrolmentRefused(6, "no proof of the password")
        try:
            proof = self._voice.verified_password_proof(unverified_proof)
        except MalformedMessage as error:
            raise EnrolmentRefused(6, str(error)) from error
        if proof.signer != record.signer or proof.tx_hash != ask.tx_hash or now >= proof.exp:
            raise EnrolmentRefused(6, "the password was proved for something else, or too long ago")

    def _unsealed(
        self, unverified_sealed: str | None, claims: EnrolmentClaims, ask: VerifiedAsk
    ) -> bytes:
        """Rule 7, where the phone brings the secret itself."""
        if unverified_sealed is None or claims.sealed is None or claims.epk is None:
            raise EnrolmentRefused(7, "the seal of the enrolment is missing")
        try:
            check_sealed(
                unverified_sealed,
                expected_hash=claims.sealed,
                expected_epk=claims.epk,
                expected_sender=claims.keys.approval.thumbprint(),
                expected_tx_hash=ask.tx_hash,
            )
            key = self._keys.existing(use_by=ask.claims.use_by, jti=ask.claims.jti)
            return open_sealed(unverified_sealed, key)
        except (MalformedMessage, HourKeyMissing) as error:
            raise EnrolmentRefused(7, str(error)) from error


def _keys_of(record: CellRecord) -> set[PublicJwk]:
    """Every key of every phone of the record."""
    return {
        key for device in record.devices for key in (device.approval, device.request, device.unlock)
    }


def _check_opens(blob: bytes, secret: bytes, record: CellRecord) -> None:
    """Rule 8."""
    try:
        open_outer(blob, secret=secret, record=record)
    except CellUnopened as error:
        raise EnrolmentRefused(8, str(error)) from error


def _check_twelve(unverified_twelve: str, enrolment: str) -> None:
    """Compare the characters that an operator entered with this enrolment's."""
    given = unverified_twelve.replace("-", "").replace(" ", "").upper().encode("utf-8")
    wanted = twelve_characters(enrolment).replace("-", "").encode("ascii")
    if not hmac.compare_digest(given, wanted):
        raise EnrolmentRefused(6, "the 12 characters are another phone's")


def _device(
    claims: EnrolmentClaims,
    passkey: Passkey | None,
    *,
    enrolment: str,
    confirmed_by: tuple[Confirmation, ...],
) -> RecordDevice:
    return RecordDevice(
        kid=claims.keys.approval.thumbprint(),
        approval=claims.keys.approval,
        request=claims.keys.request,
        unlock=claims.keys.unlock,
        kind=claims.kind,
        uv="webauthn" if passkey else "self_asserted",
        webauthn=passkey,
        enrolment=enrolment_hash(enrolment),
        confirmed_by=confirmed_by,
    )
