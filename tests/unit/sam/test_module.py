"""Cells, passwords, certificates, hours: the SAM's other calls."""

import copy
import hashlib
import pickle
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from backend.algorithms import KeyAlgorithm
from backend.errors import (
    DoorRefused,
    EnrolmentRefused,
    HsmNotReady,
    RecordRefused,
    RequestRefused,
    TooManyTries,
    WrongPassword,
)
from backend.protocol.encoding import Octets, b64u, sha256
from backend.protocol.locks import Purpose, password_label, unlock_raw
from backend.protocol.password_proof import verify_password_proof
from backend.protocol.record import Method, verify_record
from backend.protocol.tree import Documents, Item, item_text, tree_root
from backend.sam import tries
from backend.sam.approvals import VerifiedApproval, verify_approval
from backend.sam.cells import ChangePassword, CheckPassword, MakeCell, PasswordLock, RemoveDevice
from backend.sam.certificates import Authority
from backend.sam.hours import hour_of, private_scalar
from backend.sam.service_keys import IssueCertificate
from backend.sam.tries import Tries
from tests.world.clock import SettableClock
from tests.world.paired_cell import (
    CA,
    PASSWORD_HASH,
    POLICY,
    PairedCell,
    make_cell,
    ready_cell,
    subject_name,
)
from tests.world.paper_phone import read
from tests.world.sam import CA_NAME, SamWorld, open_sam_world

OTHER_PASSWORD = bytes(32)
ONE = hashlib.sha256(b"1").digest()


# --- cells ------------------------------------------------------------------------


def test_two_cells_share_no_secret_and_no_key(world: SamWorld) -> None:
    """R-023, R-117: opening one cell gives nothing for another."""
    one, two = make_cell(world), make_cell(world)
    assert one.secret != two.secret
    assert one.made.spki != two.made.spki
    assert one.made.envelope.pairing != two.made.envelope.pairing


def test_a_cell_without_number_and_password_has_neither(world: SamWorld) -> None:
    made = world.sam.make_cell(
        MakeCell(
            signer=make_cell(world).signer,
            subject=sha256(subject_name()),
            algorithm=KeyAlgorithm.P256,
            policy=POLICY,
            number=None,
            password_hash=None,
        )
    )
    assert made.password is None
    assert verify_record(made.record, expected_ks=world.public_keys.ks).sms is None


def test_removing_a_phone_makes_the_next_epoch_which_names_the_one_before(
    world: SamWorld, cell: PairedCell
) -> None:
    removed = world.sam.remove_device(RemoveDevice(record=cell.record, kid=cell.phone.kid))
    record = verify_record(removed.record, expected_ks=world.public_keys.ks)
    assert record.devices == ()
    assert record.epoch == removed.epoch == 4
    assert record.prev == sha256(cell.record.encode())


# --- passwords --------------------------------------------------------------------


def password_check(cell: PairedCell, password_hash: bytes, ask: str | None = None) -> CheckPassword:
    assert cell.made.password is not None
    return CheckPassword(
        signer=cell.signer,
        password_hash=password_hash,
        verifier=cell.made.password.verifier,
        ask=ask,
    )


def test_a_right_password_is_right_and_a_wrong_one_is_wrong(
    world: SamWorld, cell: PairedCell
) -> None:
    assert world.sam.check_password(password_check(cell, PASSWORD_HASH)).proof is None
    with pytest.raises(WrongPassword):
        world.sam.check_password(password_check(cell, OTHER_PASSWORD))


def test_guesses_are_counted_in_the_sams_memory_whoever_rewrites_the_database(
    world: SamWorld, cell: PairedCell, clock: SettableClock
) -> None:
    """T-15: the window ends by itself, so the owner is not locked out for good (T-21)."""
    for _ in range(20):
        with pytest.raises(WrongPassword):
            world.sam.check_password(password_check(cell, OTHER_PASSWORD))
    with pytest.raises(TooManyTries) as caught:
        world.sam.check_password(password_check(cell, PASSWORD_HASH))
    assert caught.value.retry_after_seconds == 900
    clock.advance(seconds=900)
    world.sam.check_password(password_check(cell, PASSWORD_HASH))


def test_no_proof_for_an_ask_that_is_not_ours(world: SamWorld, cell: PairedCell) -> None:
    with pytest.raises(EnrolmentRefused) as caught:
        world.sam.check_password(password_check(cell, PASSWORD_HASH, ask="e30.e30.e30"))
    assert caught.value.rule == 1


def test_a_password_proof_is_for_one_ask_and_ends_with_it(
    world: SamWorld, cell: PairedCell
) -> None:
    opened = cell.open_enrolment()
    ask = read(opened.ask, world.public_keys.ks)
    proof = verify_password_proof(cell.password_proof(opened.ask), expected_ks=world.public_keys.ks)
    assert (proof.signer, proof.tx_hash) == (cell.signer, ask.tx_hash)
    assert proof.exp == ask.ask.use_by


def change_request(
    cell: PairedCell, lock: PasswordLock, old: bytes = PASSWORD_HASH
) -> ChangePassword:
    assert cell.made.password is not None
    return ChangePassword(
        signer=cell.signer,
        old_password_hash=old,
        new_password_hash=OTHER_PASSWORD,
        verifier=cell.made.password.verifier,
        locks=(lock,),
    )


def own_lock(cell: PairedCell) -> PasswordLock:
    assert cell.made.password is not None
    return PasswordLock(record=cell.record, lock=cell.made.password.lock)


def test_a_changed_password_keeps_the_cell(world: SamWorld, cell: PairedCell) -> None:
    """R-015: the new lock holds the same secret; the old password opens it no more."""
    changed = world.sam.change_password(change_request(cell, own_lock(cell)))
    record = verify_record(cell.record, expected_ks=world.public_keys.ks)
    seals = world.sam._passwords  # looks where nothing else can
    assert seals.open(changed.locks[0], record=record, password_hash=OTHER_PASSWORD) == cell.secret
    again = msgspec.structs.replace(
        change_request(cell, PasswordLock(record=cell.record, lock=changed.locks[0]))
    )
    with pytest.raises(RequestRefused, match="does not open"):
        world.sam.change_password(again)


@pytest.mark.parametrize(
    ("methods", "purpose"), [(("app",), "recover"), (("app", "password+sms"), "sign")]
)
def test_a_password_lock_states_what_the_policy_lets_a_password_do(
    world: SamWorld, methods: tuple[Method, ...], purpose: Purpose
) -> None:
    """A lock that is meant for recovery does not open where one to sign is wanted."""
    policy = msgspec.structs.replace(POLICY, methods=methods)
    cell = make_cell(world, policy=policy)
    assert cell.made.password is not None
    key = world.sam._passwords._key(cell.made.cell, PASSWORD_HASH)  # looks where nothing else can
    label = password_label(cell.made.cell, cell.signer, purpose)
    assert unlock_raw(cell.made.password.lock, key=key, label=label) == cell.secret


def test_a_change_with_a_wrong_password_changes_nothing(world: SamWorld, cell: PairedCell) -> None:
    with pytest.raises(WrongPassword):
        world.sam.change_password(change_request(cell, own_lock(cell), old=OTHER_PASSWORD))


def test_another_signers_lock_is_not_sealed_again(world: SamWorld, cell: PairedCell) -> None:
    with pytest.raises(RecordRefused, match="another signer"):
        world.sam.change_password(change_request(cell, own_lock(ready_cell(world))))


# --- certificates -----------------------------------------------------------------


def approved_request(world: SamWorld) -> tuple[PairedCell, IssueCertificate]:
    cell = make_cell(world)
    cell.pair()
    opened = cell.open_certificate_request()
    release = cell.release_of(opened, rp=CA)
    return cell, IssueCertificate(
        record=cell.record,
        ask=opened.ask,
        items=opened.items,
        approval=release.approval,
        signature=world.sam.release(release).signatures[0],
    )


def test_the_certificate_carries_the_registered_name_and_the_cells_key(world: SamWorld) -> None:
    cell, request = approved_request(world)
    issued = world.sam.certificate(request)
    certificate = x509.load_der_x509_certificate(issued.certificate)
    certificate.verify_directly_issued_by(x509.load_der_x509_certificate(world.root))
    assert certificate.subject.public_bytes() == subject_name()
    record = verify_record(issued.record, expected_ks=world.public_keys.ks)
    assert record.confirmed
    assert record.certificate == sha256(issued.certificate)
    assert issued.not_after == int(certificate.not_valid_after_utc.timestamp())
    assert cell.made.spki in issued.certificate


def test_the_certificate_says_that_its_key_signs_and_nothing_else(world: SamWorld) -> None:
    """RFC 5280, 4.2; the key certifies nobody, encrypts nothing, agrees on nothing."""
    _, request = approved_request(world)
    issued = x509.load_der_x509_certificate(world.sam.certificate(request).certificate)
    root = x509.load_der_x509_certificate(world.root)
    extensions = issued.extensions
    constraints = extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca) == (True, False)
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    allowed = {
        name
        for name in (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
        )
        if getattr(usage.value, name)
    }
    assert usage.critical
    assert allowed == {"digital_signature", "content_commitment"}
    own = extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    assert not own.critical
    assert own.value == x509.SubjectKeyIdentifier.from_public_key(issued.public_key())
    issuer = extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    assert not issuer.critical
    assert issuer.value == x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key())  # type: ignore[arg-type]  # a P-256 key
    asked = read(request.ask, world.public_keys.ks).ask.iat
    assert issued.not_valid_before_utc == datetime.fromtimestamp(asked, UTC)
    assert issued.not_valid_after_utc - issued.not_valid_before_utc == timedelta(days=456)
    assert issued.signature_algorithm_oid == x509.SignatureAlgorithmOID.ECDSA_WITH_SHA256


@pytest.fixture
def machine_in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


def test_a_certificate_begins_with_its_ask_whatever_the_machines_zone(
    world: SamWorld, machine_in_tokyo: None
) -> None:
    _, request = approved_request(world)
    issued = x509.load_der_x509_certificate(world.sam.certificate(request).certificate)
    asked = read(request.ask, world.public_keys.ks).ask.iat
    assert issued.not_valid_before_utc.timestamp() == asked


def test_the_same_request_gives_the_same_serial_again(world: SamWorld) -> None:
    """A crash between issuing and storing leaves no second serial in the world."""
    _, request = approved_request(world)
    serials = {
        x509.load_der_x509_certificate(world.sam.certificate(request).certificate).serial_number
        for _ in range(2)
    }
    tx_hash = read(request.ask, world.public_keys.ks).tx_hash
    digest = hashlib.sha256(b"cell-serial-v1\0" + tx_hash).digest()
    assert serials == {int.from_bytes(digest[:19]) | 1}


def test_an_rsa_cell_gets_its_certificate(world: SamWorld) -> None:
    cell = ready_cell(world, algorithm=KeyAlgorithm.RSA_3072)
    key = x509.load_der_x509_certificate(cell.certificate).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == 3072


def test_no_certificate_without_the_cells_signature(world: SamWorld) -> None:
    _, request = approved_request(world)
    with pytest.raises(DoorRefused) as caught:
        world.sam.certificate(msgspec.structs.replace(request, signature=b"0"))
    assert caught.value.rule == 7


def test_no_certificate_without_an_approval(world: SamWorld) -> None:
    """A certificate request without approval."""
    cell, request = approved_request(world)
    refusal = cell.phone.refuse(read(request.ask, world.public_keys.ks))
    for nothing in ("", refusal):
        with pytest.raises(DoorRefused) as caught:
            world.sam.certificate(msgspec.structs.replace(request, approval=nothing))
        assert caught.value.rule == 3


def test_no_certificate_for_another_cells_record(world: SamWorld) -> None:
    """The cell swapped before the certificate."""
    _, request = approved_request(world)
    other, _ = approved_request(world)
    with pytest.raises(DoorRefused) as caught:
        world.sam.certificate(msgspec.structs.replace(request, record=other.record))
    assert caught.value.rule == 2


def test_no_certificate_for_an_ask_to_sign(world: SamWorld, cell: PairedCell) -> None:
    _, request = approved_request(world)
    ask = cell.open_signing(ONE)
    with pytest.raises(DoorRefused) as caught:
        world.sam.certificate(
            msgspec.structs.replace(request, ask=ask.ask, items=ask.items, record=cell.record)
        )
    assert caught.value.rule == 1


def test_a_root_of_another_key_is_refused_at_the_start(world: SamWorld, cell: PairedCell) -> None:
    with pytest.raises(HsmNotReady, match="cellkey hsm init"):
        Authority(key=world.sam._authority._key, root=cell.certificate)  # the HSM's key


def test_an_rsa_root_is_refused_at_the_start(world: SamWorld) -> None:
    cell = ready_cell(world, algorithm=KeyAlgorithm.RSA_2048)
    with pytest.raises(HsmNotReady, match="cellkey hsm init"):
        Authority(key=world.sam._authority._key, root=cell.certificate)  # the HSM's key


def test_no_certificate_for_an_item_that_is_not_the_cells_request(world: SamWorld) -> None:
    """Even with KS in hand: a list that the signer approved under a forged ask."""
    cell, request = approved_request(world)
    voice = world.sam._voice  # KS in an attacker's hand
    claims = voice.verified_ask(request.ask).claims
    item = item_text(Item(label="PKCS #10", type="csr", hash=Octets(ONE)))
    documents = Documents(root=tree_root((item,)), count=1)
    forged = voice.ask(msgspec.structs.replace(claims, documents=documents))
    approval, _ = cell.phone.approve(read(forged, world.public_keys.ks), cell.secret)
    with pytest.raises(DoorRefused) as caught:
        world.sam.certificate(
            msgspec.structs.replace(request, ask=forged, items=(item,), approval=approval)
        )
    assert caught.value.rule == 5


def test_no_certificate_for_a_name_that_is_not_der(world: SamWorld) -> None:
    """Two readers of it could see two names: its parts stand in the wrong order (X.690, 11.6)."""
    swapped = bytes.fromhex("30193117300b06035504030c04416e6e61300806035504040c0141")
    cell = make_cell(world, subject=swapped)
    cell.pair()
    opened = cell.open(
        "certificate_request",
        fields={
            "type": "certificate_request",
            "subject": b64u(swapped),
            "name": "Anna, A",
            "ca": CA_NAME,
            "algorithm": "P-256",
        },
        hash_alg="SHA-256",
    )
    release = cell.release_of(opened, rp=CA)
    request = IssueCertificate(
        record=cell.record,
        ask=opened.ask,
        items=opened.items,
        approval=release.approval,
        signature=world.sam.release(release).signatures[0],
    )
    with pytest.raises(DoorRefused, match="not DER") as caught:
        world.sam.certificate(request)
    assert caught.value.rule == 5


# --- hours ------------------------------------------------------------------------


def test_an_hours_key_is_destroyed_when_the_hour_is_over(
    world: SamWorld, cell: PairedCell, clock: SettableClock
) -> None:
    """Invariant 2: a year of evidence and the HSM open no cell."""
    cell.open_signing(ONE)
    hour = hour_of(int(clock().timestamp()))
    assert world.sam.health().hours == (hour,)
    clock.advance(hours=1)
    world.sam.destroy_finished_hours()
    assert world.sam.health().hours == ()


def test_a_sam_that_starts_destroys_what_ended_while_it_was_away(
    world: SamWorld, cell: PairedCell, clock: SettableClock
) -> None:
    cell.open_signing(ONE)
    clock.advance(hours=2)
    assert open_sam_world(world.hsm, clock).sam.health().hours == ()


def test_a_restarted_sam_still_opens_what_was_asked_before(
    world: SamWorld, cell: PairedCell, clock: SettableClock
) -> None:
    release = cell.release_of(cell.open_signing(ONE))
    assert open_sam_world(world.hsm, clock).sam.release(release).signatures


def test_every_mac_gives_a_valid_private_key() -> None:
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    for mac in (
        bytes(64),
        b"\xff" * 64,
        (order - 1).to_bytes(64, "big"),
        order.to_bytes(64, "big"),
    ):
        assert 1 <= private_scalar(mac) < order


# --- the proof --------------------------------------------------------------------


def proof(world: SamWorld, cell: PairedCell) -> VerifiedApproval:
    opened = cell.open_signing(ONE)
    release = cell.release_of(opened)
    voice = world.sam._voice  # the door's own way
    return verify_approval(
        release.approval,
        release.items,
        ask=voice.verified_ask(release.ask),
        record=voice.verified_record(release.record),
        ks=voice.ks,
    )


def test_a_proof_is_redeemed_once(world: SamWorld, cell: PairedCell) -> None:
    approval = proof(world, cell)
    approval.redeem((0,), messages=None)
    with pytest.raises(DoorRefused, match="before") as caught:
        approval.redeem((0,), messages=None)
    assert caught.value.rule == 5


def test_a_proof_is_not_copied_pickled_or_made_by_hand(world: SamWorld, cell: PairedCell) -> None:
    approval = proof(world, cell)
    for duplicate in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            duplicate(approval)
    with pytest.raises(TypeError, match="verify_approval"):
        VerifiedApproval(
            object(),
            ask=approval.ask,
            record=approval.record,
            sender=approval.sender,
            claims=approval.claims,
            listed=approval._listed,
        )


def test_an_ask_without_documents_proves_nothing(world: SamWorld, cell: PairedCell) -> None:
    opened = cell.open_enrolment()
    ask = read(opened.ask, world.public_keys.ks)
    approval, _ = cell.phone.approve(ask, cell.secret)
    voice = world.sam._voice  # the door's own way
    with pytest.raises(DoorRefused, match="without documents") as caught:
        verify_approval(
            approval,
            (),
            ask=voice.verified_ask(opened.ask),
            record=voice.verified_record(cell.record),
            ks=voice.ks,
        )
    assert caught.value.rule == 5


# --- counts -----------------------------------------------------------------------


def test_a_full_memory_of_counts_tries_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tries, "MOST_KEYS", 2)
    counts = Tries(allowed=3)
    counts.count("a", until=10, now=0)
    counts.count("b", until=20, now=0)
    with pytest.raises(TooManyTries, match="everywhere"):
        counts.count("c", until=20, now=0)
    assert counts.count("c", until=20, now=10) == 2


def test_when_its_time_is_over_a_count_begins_anew() -> None:
    counts = Tries(allowed=2)
    assert [counts.count("a", until=10, now=0) for _ in range(2)] == [1, 0]
    assert [counts.count("a", until=20, now=10) for _ in range(2)] == [1, 0]


def test_two_right_answers_at_once_are_both_right() -> None:
    counts = Tries(allowed=2)
    counts.count("a", until=10, now=0)
    counts.forget("a")
    counts.forget("a")
    assert counts.count("a", until=10, now=0) == 1
