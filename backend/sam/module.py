"""The signature activation module itself: every call of the four capabilities, in one object.

It has no database and trusts none: all it needs comes with the call and is checked here. Its state
is the HSM, and in memory the counts of wrong attempts and of receipts in this boot.
"""

from collections.abc import Callable
from typing import final
from uuid import uuid4

from cryptography.hazmat.primitives.serialization import Encoding

from backend.errors import RecordRefused, RequestRefused
from backend.hsm.authority_key import AuthorityKey
from backend.hsm.protocol import Hsm
from backend.protocol.encoding import sha256
from backend.protocol.enrolment import twelve_characters
from backend.protocol.jose import PublicJwk
from backend.protocol.sms import Sms, seal_sms
from backend.sam.amending import (
    Amend,
    Amended,
    MadeSeed,
    MakeSeed,
    OpenAmendment,
    OpenedAmendment,
    Tighten,
)
from backend.sam.amendments import PolicyAmendments
from backend.sam.asks import Asks
from backend.sam.cells import (
    AddSecurityKey,
    ChangedPassword,
    ChangePassword,
    CheckPassword,
    Enrol,
    Enrolled,
    MadeCell,
    MakeCell,
    NextRecord,
    PasswordChecked,
    PasswordSeal,
    PasswordVerifier,
    RemoveDevice,
    RemoveSecurityKey,
    ResetPassword,
    SealedSms,
    SendPairingCode,
    SetPassword,
)
from backend.sam.certificates import Authority
from backend.sam.code_approvals import CodeApprovals
from backend.sam.codes import PairingCodes, SmsCodes
from backend.sam.door import Door
from backend.sam.enrolments import Enrolments
from backend.sam.hotp import HotpSeeds
from backend.sam.hours import TransactionKeys
from backend.sam.known_passwords import KnownPasswords
from backend.sam.locks import PasswordSeals
from backend.sam.new_cells import NewCells
from backend.sam.new_passwords import NewPasswords
from backend.sam.receipts import Receipts
from backend.sam.records import ServiceVoice
from backend.sam.releases import Release, Released
from backend.sam.security_keys import SecurityKeys
from backend.sam.service_keys import IssueCertificate, IssuedCertificate, SamHealth
from backend.sam.sms_texts import SmsTexts
from backend.sam.totp import TotpSeeds
from backend.sam.transactions import (
    ApproveByCode,
    ApprovedByCode,
    CodeSms,
    OpenedTransaction,
    OpenTransaction,
    RenderSms,
)
from backend.sam.tries import PASSWORD_TRIES, Tries
from backend.summary.render import sms_pairing_code


@final
class Sam:
    """The SAM in this process; :mod:`backend.sam.client` speaks to one in another."""

    def __init__(
        self,
        *,
        hsm: Hsm,
        root: bytes,
        issuer: str,
        rp_id: str,
        origin: str,
        worker_key: PublicJwk,
        domain: str,
        clock: Callable[[], int],
    ) -> None:
        """Open for business, and destroy the keys of hours that are over.

        Args:
            hsm: where keys live.
            root: the authority's certificate, DER.
            issuer: the authority's name.
            rp_id: the app's domain, for passkeys.
            origin: the app's origin, for passkeys.
            worker_key: to whom SMS texts are sealed.
            domain: host of the page on which codes are typed; the last line of an SMS names it.
            clock: the SAM's own clock, Unix seconds.
        """
        self._hsm = hsm
        self._issuer = issuer
        self._worker_key = worker_key
        self._clock = clock
        self._voice = ServiceVoice(hsm)
        self._keys = TransactionKeys(hsm)
        self._codes = PairingCodes(hsm)
        self._passwords = PasswordSeals(hsm)
        self._new_cells = NewCells(hsm=hsm, voice=self._voice, passwords=self._passwords)
        self._password_tries = Tries(allowed=PASSWORD_TRIES)
        self._authority = Authority(key=AuthorityKey(hsm), root=root)
        sms_codes = SmsCodes(hsm)
        self._sms = SmsTexts(
            codes=sms_codes, numbers=self._passwords, worker_key=worker_key, domain=domain
        )
        self._asks = Asks(
            voice=self._voice, keys=self._keys, sms=self._sms, issuer=issuer, new_id=uuid4
        )
        totp, hotp = TotpSeeds(hsm), HotpSeeds(hsm)
        self._amendments = self._open_amendments(totp, hotp)
        self._code_approvals = CodeApprovals(
            voice=self._voice,
            keys=self._keys,
            passwords=self._passwords,
            sms_codes=sms_codes,
            totp=totp,
            hotp=hotp,
            new_id=uuid4,
        )
        self._door = Door(hsm=hsm, voice=self._voice, keys=self._keys)
        self._enrolments = Enrolments(
            voice=self._voice,
            keys=self._keys,
            codes=self._codes,
            passwords=self._passwords,
            password_tries=self._password_tries,
            rp_id=rp_id,
            origin=origin,
        )
        self._security_keys = SecurityKeys(voice=self._voice, rp_id=rp_id, origin=origin)
        self._known_passwords = KnownPasswords(
            voice=self._voice, passwords=self._passwords, tries=self._password_tries
        )
        self._new_passwords = NewPasswords(
            voice=self._voice, keys=self._keys, passwords=self._passwords
        )
        self._receipts = Receipts(self._voice)
        self.destroy_finished_hours()

    def _open_amendments(self, totp: TotpSeeds, hotp: HotpSeeds) -> PolicyAmendments:
        return PolicyAmendments(
            voice=self._voice,
            keys=self._keys,
            asks=self._asks,
            passwords=self._passwords,
            password_tries=self._password_tries,
            totp=totp,
            hotp=hotp,
        )

    # --- transactions and releases --------------------------------------------

    def open_transaction(self, request: OpenTransaction) -> OpenedTransaction:
        """See ``Transactions``."""
        if request.kind == "amend":
            raise RequestRefused("amend is not offered here: it is asked with the password")
        return self._asks.open(request, now=self._clock())

    def render_sms(self, request: RenderSms) -> CodeSms:
        """See ``Transactions``."""
        return self._code_approvals.render_sms(request, texts=self._sms, now=self._clock())

    def approve_by_code(self, request: ApproveByCode) -> ApprovedByCode:
        """See ``Transactions``."""
        return self._code_approvals.approve(request, now=self._clock())

    def release(self, request: Release) -> Released:
        """See ``Releases``."""
        approval, signatures = self._door.release(request, now=self._clock())
        receipt = self._receipts.write(request, approval, now=self._clock())
        return Released(signatures=signatures, receipt=receipt)

    # --- amendments -----------------------------------------------------------

    def make_seed(self, request: MakeSeed) -> MadeSeed:
        """See ``Amendments``."""
        return self._amendments.make_seed(request)

    def open_amendment(self, request: OpenAmendment) -> OpenedAmendment:
        """See ``Amendments``."""
        return self._amendments.open(request, now=self._clock())

    def amend(self, request: Amend) -> Amended:
        """See ``Amendments``."""
        return self._amendments.amend(request, now=self._clock())

    def tighten(self, request: Tighten) -> Amended:
        """See ``Amendments``."""
        return self._amendments.tighten(request)

    # --- cells ----------------------------------------------------------------

    def make_cell(self, request: MakeCell) -> MadeCell:
        """See ``Cells``."""
        return self._new_cells.make(request)

    def pairing_code(self, request: SendPairingCode) -> SealedSms:
        """See ``Cells``."""
        ask, record = self._enrolments.asked(request.ask, request.record, now=self._clock())
        self._enrolments.presented(request.enrolment, ask=ask, record=record)
        if (
            record.sms is None
            or self._passwords.number_mac(record.cell, request.number) != record.sms
        ):
            raise RecordRefused("the number is not the one that was verified")
        text = sms_pairing_code(
            lang=request.lang,
            ca_name=self._issuer,
            twelve=twelve_characters(request.enrolment).replace("-", ""),
            code=self._codes.code(request.enrolment),
        )
        return SealedSms(sms=seal_sms(Sms(number=request.number, text=text), self._worker_key))

    def enrol(self, request: Enrol) -> Enrolled:
        """See ``Cells``."""
        return self._enrolments.enrol(request, now=self._clock())

    def remove_device(self, request: RemoveDevice) -> NextRecord:
        """See ``Cells``."""
        record = self._voice.verified_record(request.record)
        staying = tuple(device for device in record.devices if device.kid != request.kid)
        text, following = self._voice.next_record(request.record, devices=staying)
        return NextRecord(record=text, epoch=following.epoch)

    def add_security_key(self, request: AddSecurityKey) -> NextRecord:
        """See ``Cells``."""
        return self._security_keys.add(request)

    def remove_security_key(self, request: RemoveSecurityKey) -> NextRecord:
        """See ``Cells``."""
        return self._security_keys.remove(request)

    # --- passwords ------------------------------------------------------------

    def check_password(self, request: CheckPassword) -> PasswordChecked:
        """See ``Cells``."""
        return self._known_passwords.check(request, now=self._clock())

    def change_password(self, request: ChangePassword) -> ChangedPassword:
        """See ``Cells``."""
        return self._known_passwords.change(request, now=self._clock())

    def set_password(self, request: SetPassword) -> PasswordSeal:
        """See ``Cells``."""
        return self._new_passwords.set(request, now=self._clock())

    def reset_password(self, request: ResetPassword) -> PasswordVerifier:
        """See ``Cells``."""
        verifier = self._passwords.verifier(request.signer, request.password_hash)
        return PasswordVerifier(verifier=verifier)

    # --- service keys ---------------------------------------------------------

    def certificate(self, request: IssueCertificate) -> IssuedCertificate:
        """See ``ServiceKeys``."""
        approval = self._door.approved_request(
            unverified_record=request.record,
            ask=request.ask,
            items=request.items,
            approval=request.approval,
        )
        certificate = self._authority.issue(approval, request.signature)
        encoded = certificate.public_bytes(Encoding.DER)
        record, following = self._voice.next_record(
            request.record, certificate=sha256(encoded), confirmed=True
        )
        return IssuedCertificate(
            certificate=encoded,
            not_after=int(certificate.not_valid_after_utc.timestamp()),
            record=record,
            epoch=following.epoch,
        )

    def health(self) -> SamHealth:
        """See ``ServiceKeys``."""
        return SamHealth(
            hsm=dict(self._hsm.health()),
            ks=self._voice.ks,
            ka=self._voice.ka,
            root=self._authority.root,
            hours=self._keys.hours(),
            algorithms=self._new_cells.algorithms,
        )

    def destroy_finished_hours(self) -> None:
        """Destroy the keys of hours that are over; called at the start and every minute."""
        self._keys.destroy_finished(self._clock())
