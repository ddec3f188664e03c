"""A cell with a phone, made step by step by the SAM's own calls."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import msgspec
from cryptography import x509
from cryptography.x509.oid import NameOID

from backend.algorithms import REQUEST_SCHEMES, KeyAlgorithm, SignatureScheme
from backend.protocol.ask import AskingParty, HashName, KeyThumbprints
from backend.protocol.encoding import Octets32, b64u, sha256
from backend.protocol.enrolment import twelve_characters
from backend.protocol.record import Caps, Policy
from backend.protocol.sms import open_sms
from backend.sam.cells import (
    CheckPassword,
    Enrol,
    MadeCell,
    MakeCell,
    OperatorWord,
    PasswordKey,
    SendPairingCode,
    SetPassword,
)
from backend.sam.releases import Release
from backend.sam.service_keys import IssueCertificate, IssuedCertificate
from backend.sam.transactions import OpenedTransaction, OpenTransaction, RequestedItem
from tests.world.paper_phone import PaperPhone, read, secret_in_envelope
from tests.world.sam import CA_NAME, SamWorld

NAME = "Анна Петровна Иванова"
NUMBER = "+79161234567"
PASSWORD_HASH = bytes(range(32))
CA = AskingParty(id="ca", name=CA_NAME)
SHOP = AskingParty(id="shop", name="Shop")
POLICY = Policy(
    methods=("app",),
    caps=Caps(multisign=10, kinds=("pwa", "native", "virtual"), confirm=("operator",)),
)
BY_CODE = msgspec.structs.replace(
    POLICY, caps=msgspec.structs.replace(POLICY.caps, confirm=("sms",))
)
"""Where a code by SMS confirms a phone (mark ``sms``)."""


def subject_name() -> bytes:
    """The signer's registered name, DER."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)]).public_bytes()


@dataclass(kw_only=True)
class PairedCell:
    """What the database would hold of a cell, and the phone that opens it."""

    world: SamWorld
    made: MadeCell
    signer: UUID
    record: str
    algorithm: KeyAlgorithm
    policy: Policy = POLICY
    phone: PaperPhone = field(default_factory=PaperPhone)
    device_lock: str = ""
    certificate: bytes = b""
    password_hash: bytes = PASSWORD_HASH

    @property
    def scheme(self) -> SignatureScheme:
        """How this cell's key signs by default."""
        return REQUEST_SCHEMES[self.algorithm]

    @property
    def secret(self) -> bytes:
        """The cell's secret, as the envelope gives it."""
        made = self.made
        return secret_in_envelope(made.envelope.secret, made.envelope.lock, made.cell)

    def open(self, kind: str, **members: Any) -> OpenedTransaction:  # noqa: ANN401  # members of OpenTransaction
        """Open a transaction now."""
        now = int(self.world.clock().timestamp())
        given: dict[str, Any] = {
            "record": self.record,
            "kind": kind,
            "rp": CA,
            "lang": "ru",
            "zone": "Europe/Moscow",
            "items": (),
            "hash_alg": None,
            "exp": now + 300,
            "use_by": now + 600,
        }
        return self.world.sam.open_transaction(
            msgspec.convert(given | members, type=OpenTransaction, from_attributes=True)
        )

    def open_enrolment(self) -> OpenedTransaction:
        """Ask to enrol a phone."""
        return self.open("enrol", fields={"type": "enrol", "name": NAME})

    def open_further(self, new: PaperPhone) -> OpenedTransaction:
        """Ask to enrol a further phone, as the paired one read it from the screen."""
        fields = {"type": "enrol", "name": NAME}
        return self.open("enrol", fields=fields, key_thumbprints=screen_of(new))

    def further_request(self, new: PaperPhone, *, app: str | None = None) -> Enrol:
        """Everything for a further phone to be believed: the paired phone approved it."""
        opened = self.open_further(new)
        ask = read(opened.ask, self.world.public_keys.ks)
        approval, sealed = self.phone.approve(ask, self.phone.secret_in_lock(self.device_lock))
        return Enrol(
            record=self.record,
            blob=self.made.blob,
            ask=opened.ask,
            enrolment=new.enrol_without_secret(ask, app=app),
            sealed=sealed,
            approval=approval,
            password_proof=None,
            code=None,
            operator=None,
        )

    def password_request(self, password_hash: bytes = PASSWORD_HASH) -> Enrol:
        """Everything for a phone to be believed by password and pairing code."""
        assert self.made.password is not None
        opened = self.open_enrolment()
        enrolment = self.phone.enrol_without_secret(read(opened.ask, self.world.public_keys.ks))
        return Enrol(
            record=self.record,
            blob=self.made.blob,
            ask=opened.ask,
            enrolment=enrolment,
            sealed=None,
            password=PasswordKey(lock=self.made.password.lock, password_hash=password_hash),
            password_proof=self.password_proof(opened.ask),
            code=self.sms_code(opened.ask, enrolment),
            operator=None,
        )

    def open_new_password(self, session: bytes) -> OpenedTransaction:
        """Ask whether a new password may be set, in the browser that has this secret."""
        fields = {
            "type": "set_password",
            "name": NAME,
            "begun_at": "2026-07-01T12:00:00Z",
            "session": b64u(sha256(session)),
        }
        return self.open("set_password", fields=fields, number_asked=True)

    def new_password_request(self, session: bytes, password_hash: bytes) -> SetPassword:
        """Everything for a new password: the phone approved it."""
        opened = self.open_new_password(session)
        ask = read(opened.ask, self.world.public_keys.ks)
        secret = self.phone.secret_in_lock(self.device_lock)
        approval, sealed = self.phone.approve(ask, secret, number="42")
        return SetPassword(
            record=self.record,
            blob=self.made.blob,
            ask=opened.ask,
            approval=approval,
            sealed=sealed,
            session=session,
            password_hash=password_hash,
        )

    def open_certificate_request(self, **members: Any) -> OpenedTransaction:  # noqa: ANN401  # members of OpenTransaction
        """Ask for the first approval."""
        fields = {
            "type": "certificate_request",
            "subject": b64u(subject_name()),
            "name": NAME,
            "ca": CA_NAME,
            "algorithm": self.algorithm.value,
        }
        return self.open("certificate_request", fields=fields, hash_alg="SHA-256", **members)

    def open_signing(
        self,
        *hashes: bytes,
        hash_alg: HashName = "SHA-256",
        **members: Any,  # noqa: ANN401  # members of OpenTransaction
    ) -> OpenedTransaction:
        """Ask for signatures over hashes."""
        items = tuple(RequestedItem(label="invoice", hash=value) for value in hashes)
        fields = {"type": "generic"}
        given = {"rp": SHOP, "fields": fields, "items": items, "hash_alg": hash_alg}
        return self.open("sign", **(given | members))

    def password_proof(self, ask: str) -> str:
        """The SAM's word that the signer's password was right for this ask."""
        assert self.made.password is not None
        checked = self.world.sam.check_password(
            CheckPassword(
                signer=self.signer,
                password_hash=self.password_hash,
                verifier=self.made.password.verifier,
                ask=ask,
            )
        )
        assert checked.proof is not None
        return checked.proof

    def sms_code(self, ask: str, enrolment: str) -> str:
        """The pairing code, as it arrives on the signer's number."""
        sealed = self.world.sam.pairing_code(
            SendPairingCode(
                record=self.record, ask=ask, enrolment=enrolment, number=NUMBER, lang="ru"
            )
        )
        text = open_sms(sealed.sms, self.world.worker_key).text
        digits = [
            word for word in text.replace(".", " ").split() if len(word) == 8 and word.isdigit()
        ]  # digits of a code
        return digits[0]

    def enrol_request(self, *, app: str | None = None) -> Enrol:
        """Everything for a phone to be believed, confirmed by code or else by an operator."""
        opened = self.open_enrolment()
        ask = read(opened.ask, self.world.public_keys.ks)
        enrolment, sealed = self.phone.enrol(ask, self.secret, app=app)
        by_code = "sms" in self.policy.caps.confirm
        word = OperatorWord(operator="olga", twelve=twelve_characters(enrolment))
        return Enrol(
            record=self.record,
            blob=self.made.blob,
            ask=opened.ask,
            enrolment=enrolment,
            sealed=sealed,
            password_proof=self.password_proof(opened.ask),
            code=self.sms_code(opened.ask, enrolment) if by_code else None,
            operator=None if by_code else word,
        )

    def pair(self, *, app: str | None = None) -> None:
        """Enrol the phone."""
        enrolled = self.world.sam.enrol(self.enrol_request(app=app))
        self.record, self.device_lock = enrolled.record, enrolled.device_lock

    def release_of(self, opened: OpenedTransaction, *, rp: AskingParty = SHOP) -> Release:
        """The evidence of an approved transaction, for the door."""
        ask = read(opened.ask, self.world.public_keys.ks)
        approval, sealed = self.phone.approve(ask, self.phone.secret_in_lock(self.device_lock))
        return Release(
            record=self.record,
            blob=self.made.blob,
            ask=opened.ask,
            items=opened.items,
            approval=approval,
            sealed=sealed,
            requested=tuple(range(len(opened.items))),
            scheme=self.scheme,
            messages=(),
            rp=rp.id,
        )

    def certify(self) -> IssuedCertificate:
        """The first approval, and the certificate."""
        opened = self.open_certificate_request()
        evidence = self.release_of(opened, rp=CA)
        released = self.world.sam.release(evidence)
        issued = self.world.sam.certificate(
            IssueCertificate(
                record=self.record,
                ask=opened.ask,
                items=opened.items,
                approval=evidence.approval,
                signature=released.signatures[0],
            )
        )
        self.record, self.certificate = issued.record, issued.certificate
        return issued


def screen_of(phone: PaperPhone) -> KeyThumbprints:
    """What a new phone shows to the one that lets it in."""
    keys = phone.keys.public()
    return KeyThumbprints(
        approval=Octets32(keys.approval.thumbprint()),
        request=Octets32(keys.request.thumbprint()),
        unlock=Octets32(keys.unlock.thumbprint()),
    )


def make_cell(
    world: SamWorld,
    *,
    algorithm: KeyAlgorithm = KeyAlgorithm.P256,
    policy: Policy = POLICY,
    subject: bytes | None = None,
    password_hash: bytes = PASSWORD_HASH,
) -> PairedCell:
    """A new cell; no phone yet."""
    signer = uuid4()
    made = world.sam.make_cell(
        MakeCell(
            signer=signer,
            subject=sha256(subject or subject_name()),
            algorithm=algorithm,
            policy=policy,
            number=NUMBER,
            password_hash=password_hash,
        )
    )
    return PairedCell(
        world=world,
        made=made,
        signer=signer,
        record=made.record,
        algorithm=algorithm,
        policy=policy,
        password_hash=password_hash,
    )


def ready_cell(
    world: SamWorld,
    *,
    algorithm: KeyAlgorithm = KeyAlgorithm.P256,
    app: str | None = None,
    policy: Policy = POLICY,
) -> PairedCell:
    """A cell with a phone and a certificate."""
    cell = make_cell(world, algorithm=algorithm, policy=policy)
    cell.pair(app=app)
    cell.certify()
    return cell
