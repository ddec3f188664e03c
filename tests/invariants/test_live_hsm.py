"""Invariant 2: the whole database and a live HSM session, but no phone: no signature.

The attacker holds a raw PKCS#11 session with the user's PIN on the very token: KS signs for them,
KP computes for them, KE of this hour too. The honest limits of invariant 2 have their tests here as
well, and show that they are limits.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import msgspec
import pkcs11
import pytest
from pkcs11 import KeyType, Mechanism, ObjectClass

from backend.errors import CellkeyError, DoorRefused
from backend.protocol.ask import AskClaims, sign_ask
from backend.protocol.encoding import Octets32, sha256
from backend.protocol.jose import PublicJwk
from backend.protocol.record import (
    CellRecord,
    RecordDevice,
    record_hash,
    sign_record,
    verify_record,
)
from backend.protocol.sealed import open_sealed
from backend.sam.hours import TransactionKeys, hour_of, private_scalar
from backend.sam.locks import PasswordSeals, open_outer
from backend.sam.releases import Release
from backend.sam.service_keys import IssueCertificate
from tests.world.clock import SettableClock
from tests.world.paired_cell import (
    BY_CODE,
    CA,
    PASSWORD_HASH,
    PairedCell,
    make_cell,
    ready_cell,
    screen_of,
)
from tests.world.paper_phone import PaperPhone, read
from tests.world.sam import SamWorld, open_sam_world
from tests.world.softhsm import Token, softhsm

EVIL = hashlib.sha256(b"evil").digest()
ONE = hashlib.sha256(b"one").digest()


@dataclass(kw_only=True)
class Intruder:
    """A live session of the HSM's user, and the whole database."""

    session: pkcs11.Session
    ks: PublicJwk

    def by_ks(self, message: bytes) -> bytes:
        """Sign with KS, as JOSE wants it."""
        key = self._key("ks", ObjectClass.PRIVATE_KEY)
        return bytes(key.sign(hashlib.sha256(message).digest(), mechanism=Mechanism.ECDSA))

    def by_kp(self, message: bytes) -> bytes:
        """HMAC under KP."""
        return bytes(
            self._key("kp", ObjectClass.SECRET_KEY).sign(message, mechanism=Mechanism.SHA256_HMAC)
        )

    def _key(self, label: str, kind: ObjectClass) -> Any:  # noqa: ANN401  # python-pkcs11's
        return next(
            each
            for each in self.session.get_objects({pkcs11.Attribute.CLASS: kind})
            if each[pkcs11.Attribute.LABEL].lower() == label
        )

    def forged_record(self, record: str, **changes: object) -> str:
        """The next epoch of a record, as KS would sign it."""
        current = verify_record(record, expected_ks=self.ks)
        following = msgspec.structs.replace(
            current, epoch=current.epoch + 1, prev=record_hash(record), **changes
        )
        return sign_record(following, key=self.ks, sign=self.by_ks)

    def forged_ask(self, claims: AskClaims, **changes: object) -> str:
        """An ask as KS would sign it."""
        return sign_ask(msgspec.structs.replace(claims, **changes), key=self.ks, sign=self.by_ks)


@pytest.fixture(scope="module")
def token() -> Token:
    return softhsm().new_token()


@pytest.fixture
def world(token: Token, clock: SettableClock) -> SamWorld:
    return open_sam_world(token.hsm(), clock)


@pytest.fixture
def cell(world: SamWorld) -> PairedCell:
    return ready_cell(world)


@pytest.fixture
def intruder(token: Token, world: SamWorld) -> Iterator[Intruder]:
    with token.attacker() as session:
        yield Intruder(session=session, ks=world.public_keys.ks)


def as_device(phone: PaperPhone, like: RecordDevice) -> RecordDevice:
    """A stranger's phone, dressed as a device of a record."""
    return msgspec.structs.replace(
        like,
        kid=Octets32(phone.kid),
        approval=PublicJwk.of(phone.keys.approval.public_key()),
        request=PublicJwk.of(phone.keys.request.public_key()),
        unlock=PublicJwk.of(phone.keys.unlock.public_key()),
        kind="virtual",
        uv="self_asserted",
        webauthn=None,
    )


def refused(world: SamWorld, release: Release) -> DoorRefused:
    with pytest.raises(DoorRefused) as caught:
        world.sam.release(release)
    return caught.value


def evidence(cell: PairedCell, *hashes: bytes) -> Release:
    return cell.release_of(cell.open_signing(*(hashes or (ONE,))))


def change(release: Release, **members: object) -> Release:
    return msgspec.structs.replace(release, **members)


# --- what is refused although KS and KP work for the attacker ---------------------


def test_a_device_key_planted_in_a_forged_record_opens_nothing(
    world: SamWorld, cell: PairedCell, intruder: Intruder
) -> None:
    """KS makes any record; the cell's secret is still not in the attacker's hand (rule 7)."""
    record = verify_record(cell.record, expected_ks=intruder.ks)
    stranger = PaperPhone()
    forged = intruder.forged_record(cell.record, devices=(as_device(stranger, record.devices[0]),))
    opened = cell.open_signing(EVIL)
    approval, sealed = stranger.approve(read(opened.ask, intruder.ks), b"x" * 32)
    release = change(cell.release_of(opened), record=forged, approval=approval, sealed=sealed)
    assert refused(world, release).rule == 7


def test_a_forged_ask_without_the_phone_opens_nothing(
    world: SamWorld, cell: PairedCell, intruder: Intruder
) -> None:
    """An ask that KS signed for the attacker's list, with the phone's approval of another one."""
    approved, evil = evidence(cell, ONE), cell.open_signing(EVIL)
    claims = world.sam._voice.verified_ask(evil.ask).claims  # its claims only
    forged = intruder.forged_ask(claims, jti=uuid4())
    assert refused(world, change(approved, ask=forged, items=evil.items)).rule == 4


def test_the_asks_lists_root_replaced_under_ks_is_another_ask(
    world: SamWorld, cell: PairedCell, intruder: Intruder
) -> None:
    """The same ``jti``, the same key, other documents: the approval names the ask's hash."""
    approved, evil = cell.open_signing(ONE), cell.open_signing(EVIL)
    release = cell.release_of(approved)
    voice = world.sam._voice  # claims only
    claims, other = voice.verified_ask(approved.ask).claims, voice.verified_ask(evil.ask).claims
    forged = intruder.forged_ask(claims, documents=other.documents)
    assert refused(world, change(release, ask=forged, items=evil.items)).rule == 4


def test_a_record_replaced_by_another_cells_signs_nothing(
    world: SamWorld, cell: PairedCell
) -> None:
    other = ready_cell(world)
    assert refused(world, change(evidence(cell), record=other.record)).rule == 2


def test_an_older_epochs_record_that_lacks_the_phone_signs_nothing(
    world: SamWorld, cell: PairedCell, intruder: Intruder
) -> None:
    """Below the ask's epoch by itself; and lifted above it by KS, it still lacks the phone."""
    release = evidence(cell)
    assert refused(world, change(release, record=cell.made.record)).rule == 2
    claims = verify_record(cell.made.record, expected_ks=intruder.ks)
    lifted = sign_record(
        msgspec.structs.replace(
            claims,
            epoch=99,
            prev=sha256(b"whatever"),
            confirmed=True,
            certificate=sha256(cell.certificate),
        ),
        key=intruder.ks,
        sign=intruder.by_ks,
    )
    assert refused(world, change(release, record=lifted)).rule == 3


def test_a_flipped_kind_of_device_signs_nothing(world: SamWorld, intruder: Intruder) -> None:
    """A PWA made ``native`` in a forged record loses its passkey, and gains no secret."""
    cell = ready_cell(world, app="http://localhost:8602")
    record = verify_record(cell.record, expected_ks=intruder.ks)
    native = msgspec.structs.replace(
        record.devices[0], kind="native", uv="self_asserted", webauthn=None
    )
    forged = intruder.forged_record(cell.record, devices=(native,))
    opened = cell.open_signing(EVIL)
    stranger = PaperPhone()
    approval, sealed = stranger.approve(read(opened.ask, intruder.ks), b"x" * 32)
    release = change(cell.release_of(opened), record=forged, approval=approval, sealed=sealed)
    assert refused(world, release).rule == 3
    # The phone's own approval, under the flipped record: the assertion does not belong there.
    assert refused(world, change(evidence(cell), record=forged)).rule == 4


def test_every_message_in_the_place_of_every_other_signs_nothing(
    world: SamWorld, cell: PairedCell
) -> None:
    """T-34: each ``typ`` where another is expected."""
    opened = cell.open_signing(ONE)
    ask = read(opened.ask, world.public_keys.ks)
    good = cell.release_of(opened)
    enrolment, other_seal = PaperPhone().enrol(ask, cell.secret)
    messages = {
        "ask": opened.ask,
        "record": cell.record,
        "approval": good.approval,
        "refusal": cell.phone.refuse(ask),
        "enrolment": enrolment,
        "receipt": world.sam.release(good).receipt,
        "proof": cell.password_proof(cell.open_enrolment().ask),
        "sealed": good.sealed,
        "other seal": other_seal,
        "device lock": cell.device_lock,
        "envelope lock": cell.made.envelope.lock,
    }
    for place in ("ask", "record", "approval", "sealed"):
        for name, message in messages.items():
            if name != place:
                refused(world, change(good, **{place: message}))


def test_a_cell_swapped_before_its_certificate_gets_none(
    world: SamWorld, intruder: Intruder
) -> None:
    """The attacker's own cell in the signer's row: the request is not of that cell."""
    victim, own = make_cell(world), make_cell(world)
    victim.pair()
    own.pair()
    opened = victim.open_certificate_request()
    approved = victim.release_of(opened, rp=CA)
    with pytest.raises(DoorRefused):
        world.sam.release(change(approved, record=own.record, blob=own.made.blob))
    claims = verify_record(own.record, expected_ks=intruder.ks)
    dressed = sign_record(
        msgspec.structs.replace(claims, cell=victim.made.cell, devices=_devices(victim, intruder)),
        key=intruder.ks,
        sign=intruder.by_ks,
    )
    forged = change(approved, record=dressed, blob=own.made.blob)
    assert refused(world, forged).rule == 5


def _devices(cell: PairedCell, intruder: Intruder) -> tuple[RecordDevice, ...]:
    return verify_record(cell.record, expected_ks=intruder.ks).devices


def test_no_certificate_for_a_key_that_did_not_sign_its_request(
    world: SamWorld, cell: PairedCell
) -> None:
    waiting = make_cell(world)
    waiting.pair()
    opened = waiting.open_certificate_request()
    evidence_of_request = waiting.release_of(opened, rp=CA)
    elsewhere = world.sam.release(evidence(cell)).signatures[0]
    with pytest.raises(DoorRefused) as caught:
        world.sam.certificate(
            IssueCertificate(
                record=waiting.record,
                ask=opened.ask,
                items=opened.items,
                approval=evidence_of_request.approval,
                signature=elsewhere,
            )
        )
    assert caught.value.rule == 7


@pytest.mark.sms
def test_a_pairing_is_not_confirmed_by_another_enrolments_code(
    world: SamWorld, intruder: Intruder
) -> None:
    """With KP the attacker computes any code; without the envelope's secret it opens no cell."""
    cell = make_cell(world, policy=BY_CODE)
    theirs = cell.enrol_request()
    cell.phone = PaperPhone()
    mine = cell.enrol_request()
    with pytest.raises(CellkeyError, match="code"):
        world.sam.enrol(msgspec.structs.replace(mine, code=theirs.code))
    computed = intruder.by_kp(b"cell-pair-sms-v1\0" + sha256(mine.enrolment.encode()))
    assert f"{int.from_bytes(computed, 'big') % 10**8:08}" == mine.code
    stranger = PaperPhone()
    ask = cell.open_enrolment()
    enrolment, sealed = stranger.enrol(read(ask.ask, intruder.ks), b"x" * 32)
    code = intruder.by_kp(b"cell-pair-sms-v1\0" + sha256(enrolment.encode()))
    with pytest.raises(CellkeyError, match="rule 8"):
        world.sam.enrol(
            msgspec.structs.replace(
                mine,
                ask=ask.ask,
                enrolment=enrolment,
                sealed=sealed,
                password_proof=cell.password_proof(ask.ask),
                code=f"{int.from_bytes(code, 'big') % 10**8:08}",
            )
        )


def test_a_phone_planted_in_a_forged_record_lets_no_other_in(
    world: SamWorld, cell: PairedCell, intruder: Intruder
) -> None:
    """It approves what KS asks for the attacker; the cell's secret it does not have (rule 8)."""
    record = verify_record(cell.record, expected_ks=intruder.ks)
    planted, other = PaperPhone(), PaperPhone()
    devices = (*record.devices, as_device(planted, record.devices[0]))
    cell.record = intruder.forged_record(cell.record, devices=devices)
    opened = cell.open_further(other)
    ask = read(opened.ask, intruder.ks)
    approval, sealed = planted.approve(ask, b"x" * 32)
    request = msgspec.structs.replace(
        cell.further_request(other),
        ask=opened.ask,
        enrolment=other.enrol_without_secret(ask),
        approval=approval,
        sealed=sealed,
    )
    with pytest.raises(CellkeyError, match="rule 8"):
        world.sam.enrol(request)


def test_the_phones_yes_to_one_further_phone_lets_no_other_in(
    world: SamWorld, cell: PairedCell, intruder: Intruder
) -> None:
    """The attacker's keys under the ask that the signer approved, and in an ask of KS's beside."""
    mine, theirs = PaperPhone(), PaperPhone()
    good = cell.further_request(mine)
    ask = read(good.ask, intruder.ks)
    with pytest.raises(CellkeyError, match="rule 4"):
        world.sam.enrol(msgspec.structs.replace(good, enrolment=theirs.enrol_without_secret(ask)))
    claims = world.sam._voice.verified_ask(good.ask).claims  # its claims only
    forged = intruder.forged_ask(claims, key_thumbprints=screen_of(theirs))
    enrolment = theirs.enrol_without_secret(read(forged, intruder.ks))
    with pytest.raises(CellkeyError, match="rule 6"):
        world.sam.enrol(msgspec.structs.replace(good, ask=forged, enrolment=enrolment))


def test_the_blob_of_a_cell_at_rest_says_nothing_to_the_token(
    cell: PairedCell, intruder: Intruder
) -> None:
    """The outer layer is not the HSM's: the token unwraps it for nobody."""
    wrapping = next(
        each
        for each in intruder.session.get_objects({pkcs11.Attribute.CLASS: ObjectClass.SECRET_KEY})
        if each[pkcs11.Attribute.LABEL].startswith("kw-")
    )
    with pytest.raises(pkcs11.PKCS11Error):
        wrapping.unwrap_key(  # type: ignore[attr-defined]  # python-pkcs11 knows it by the key's attributes
            ObjectClass.PRIVATE_KEY,
            KeyType.EC,
            cell.made.blob,
            mechanism=Mechanism.AES_KEY_WRAP_PAD,
            store=False,
        )


def test_a_year_of_evidence_and_the_hsm_open_no_cell(
    world: SamWorld, cell: PairedCell, intruder: Intruder, clock: SettableClock
) -> None:
    """Every ``sealed`` was kept. When its hour is over, nobody derives its key any more."""
    kept = [evidence(cell) for _ in range(3)]
    clock.advance(days=365)
    world.sam.destroy_finished_hours()
    labels = [
        each[pkcs11.Attribute.LABEL]
        for each in intruder.session.get_objects({pkcs11.Attribute.CLASS: ObjectClass.SECRET_KEY})
    ]
    assert not [label for label in labels if label.startswith("ke-")]
    for release in kept:
        assert refused(world, release).rule == 1


def test_a_stolen_database_cannot_test_a_password(cell: PairedCell) -> None:
    """Verifier and lock need KP: the right password's hash alone explains neither."""
    password = cell.made.password
    assert password is not None
    guesses = [
        hashlib.sha256(PASSWORD_HASH).digest(),
        PASSWORD_HASH,
        hashlib.sha256(b"cell-verify-v1\0" + cell.signer.bytes + PASSWORD_HASH).digest(),
    ]
    assert password.verifier not in guesses


# --- the honest limits of invariant 2, shown as they are --------------------------


def test_limit_an_approval_within_its_hour_opens_its_cell_to_a_live_session(
    world: SamWorld, cell: PairedCell, intruder: Intruder, clock: SettableClock
) -> None:
    """A cell with an approval whose ``use_by`` hour is not over."""
    release = evidence(cell)
    ask = world.sam._voice.verified_ask(release.ask).claims  # claims only
    hour = hour_of(int(clock().timestamp()))
    key = intruder._key(f"ke-{hour_of(ask.use_by)}", ObjectClass.SECRET_KEY)  # ours
    assert hour <= hour_of(ask.use_by)
    mac = bytes(key.sign(b"cell-tx-v1\0" + ask.jti.bytes, mechanism=Mechanism.SHA512_HMAC))
    derived = TransactionKeys(world.hsm).existing(use_by=ask.use_by, jti=ask.jti)
    assert derived.private_numbers().private_value == private_scalar(mac)
    assert open_sealed(release.sealed, derived) == cell.secret


def test_limit_a_password_lock_is_as_strong_as_its_password_against_a_live_session(
    world: SamWorld, cell: PairedCell
) -> None:
    """Guess by guess, by asking the HSM."""
    record = verify_record(cell.record, expected_ks=world.public_keys.ks)
    assert cell.made.password is not None
    seals = PasswordSeals(world.hsm)
    secret = seals.open(cell.made.password.lock, record=record, password_hash=PASSWORD_HASH)
    assert secret == cell.secret


def test_limit_a_used_envelope_with_an_old_database_opens_its_cell(
    world: SamWorld, cell: PairedCell
) -> None:
    """A cell whose secret somebody kept outside."""
    record: CellRecord = verify_record(cell.record, expected_ks=world.public_keys.ks)
    assert open_outer(cell.made.blob, secret=cell.secret, record=record)
