"""Rule by rule: what the door refuses, and that it opens when all are kept."""

import hashlib
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm

from backend.algorithms import KeyAlgorithm, SignatureScheme
from backend.errors import DoorRefused
from backend.protocol.approval import approval_hash
from backend.protocol.ask import HashName
from backend.protocol.encoding import Octets, b64u, unb64u
from backend.protocol.receipt import verify_receipt
from backend.protocol.tree import Documents, Item, item_text, leaf_hash, tree_root
from backend.sam.cells import RemoveDevice
from backend.sam.releases import Release
from tests.world.clock import SettableClock
from tests.world.paired_cell import CA, POLICY, SHOP, PairedCell, make_cell, ready_cell
from tests.world.paper_phone import PaperPhone, read
from tests.world.sam import ORIGIN, SamWorld, open_sam_world, software_hsm

ONE, TWO, THREE = (hashlib.sha256(bytes([number])).digest() for number in (1, 2, 3))


def evidence(cell: PairedCell, *hashes: bytes) -> Release:
    """An approved transaction's evidence."""
    return cell.release_of(cell.open_signing(*(hashes or (ONE,))))


def change(release: Release, **members: object) -> Release:
    """The same evidence with other members."""
    return msgspec.structs.replace(release, **members)


def refused(world: SamWorld, release: Release, *, rule: int) -> str:
    """The reason for which the door refuses, by that rule."""
    with pytest.raises(DoorRefused) as caught:
        world.sam.release(release)
    assert caught.value.rule == rule
    return caught.value.reason


# --- it opens -------------------------------------------------------------------


def test_an_approved_hash_is_signed_by_the_certified_key(world: SamWorld, cell: PairedCell) -> None:
    released = world.sam.release(evidence(cell, ONE))
    key = x509.load_der_x509_certificate(cell.certificate).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(released.signatures[0], ONE, ec.ECDSA(Prehashed(SHA256())))


@pytest.mark.parametrize(
    ("hash_alg", "hash_kind"), [("SHA-256", SHA256()), ("SHA-384", SHA384()), ("SHA-512", SHA512())]
)
@pytest.mark.parametrize("scheme", [SignatureScheme.RSA_PKCS1, SignatureScheme.RSA_PSS])
def test_an_rsa_cell_signs_every_hash_by_both_schemes(
    rsa_cell: PairedCell, hash_alg: HashName, hash_kind: HashAlgorithm, scheme: SignatureScheme
) -> None:
    digest = hashlib.new(hash_alg.replace("-", ""), b"document").digest()
    release = rsa_cell.release_of(rsa_cell.open_signing(digest, hash_alg=hash_alg))
    (signature,) = rsa_cell.world.sam.release(change(release, scheme=scheme)).signatures
    key = x509.load_der_x509_certificate(rsa_cell.certificate).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    pad = (
        padding.PKCS1v15()
        if scheme is SignatureScheme.RSA_PKCS1
        else padding.PSS(padding.MGF1(hash_kind), hash_kind.digest_size)
    )
    key.verify(signature, digest, pad, Prehashed(hash_kind))


@pytest.fixture(scope="module")
def rsa_cell(tmp_path_factory: pytest.TempPathFactory) -> PairedCell:
    folder = tmp_path_factory.mktemp("rsa") / "vault"
    world = open_sam_world(software_hsm(folder), SettableClock())
    return ready_cell(world, algorithm=KeyAlgorithm.RSA_2048)


def test_signatures_come_in_the_order_requested(world: SamWorld, cell: PairedCell) -> None:
    release = change(evidence(cell, ONE, TWO, THREE), requested=(2, 0))
    signatures = world.sam.release(release).signatures
    key = x509.load_der_x509_certificate(cell.certificate).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    for signature, digest in zip(signatures, (THREE, ONE), strict=True):
        key.verify(signature, digest, ec.ECDSA(Prehashed(SHA256())))


def test_a_receipt_names_what_was_signed_and_counts_in_its_boot(
    world: SamWorld, cell: PairedCell
) -> None:
    release = evidence(cell, ONE, TWO)
    first = world.sam.release(change(release, requested=(1,))).receipt
    second = world.sam.release(change(release, requested=(0,))).receipt
    one, two = (verify_receipt(each, expected_ka=world.public_keys.ka) for each in (first, second))
    assert [(bytes(each.item), bytes(each.hash)) for each in one.signed] == [
        (leaf_hash(release.items[1]), TWO)
    ]
    assert (one.number, two.number, two.boot) == (2, 3, one.boot)  # 1 was the first approval's
    assert one.tx_hash == read(release.ask, world.public_keys.ks).tx_hash
    assert one.approval == approval_hash(release.approval)
    assert one.iat == int(world.clock().timestamp())


def test_a_passkey_phone_opens_its_cell(world: SamWorld) -> None:
    cell = ready_cell(world, app=ORIGIN)
    assert world.sam.release(evidence(cell)).signatures


# --- (1) the ask ----------------------------------------------------------------


def test_rule_1_refuses_at_use_by_by_the_sams_own_clock(
    world: SamWorld, cell: PairedCell, clock: SettableClock
) -> None:
    release = evidence(cell)
    clock.advance(seconds=599)
    world.sam.release(release)
    clock.advance(seconds=1)
    assert refused(world, release, rule=1) == "it is after use_by"


def test_rule_1_refuses_an_ask_of_another_service(
    world: SamWorld, cell: PairedCell, other_world: SamWorld
) -> None:
    foreign = ready_cell(other_world)
    refused(world, change(evidence(cell), ask=foreign.open_signing(ONE).ask), rule=1)


@pytest.fixture
def other_world(tmp_path_factory: pytest.TempPathFactory, clock: SettableClock) -> SamWorld:
    return open_sam_world(software_hsm(tmp_path_factory.mktemp("other") / "vault"), clock)


def test_rule_1_refuses_an_ask_to_enrol(world: SamWorld, cell: PairedCell) -> None:
    opened = cell.open_enrolment()
    reason = refused(world, change(evidence(cell), ask=opened.ask), rule=1)
    assert "enrol" in reason


# --- (2) the record -------------------------------------------------------------


def test_rule_2_refuses_another_cells_record(world: SamWorld, cell: PairedCell) -> None:
    other = ready_cell(world)
    refused(world, change(evidence(cell), record=other.record), rule=2)


def test_rule_2_refuses_a_record_below_the_asks_epoch(world: SamWorld, cell: PairedCell) -> None:
    """The older one is confirmed too, and knows the phone: only its epoch is against it."""
    older = cell.record
    following = world.sam.remove_device(RemoveDevice(record=older, kid=bytes(32)))
    cell.record = following.record
    release = change(evidence(cell), record=older)
    assert "older" in refused(world, release, rule=2)


def test_rule_2_refuses_a_record_of_another_service(
    world: SamWorld, cell: PairedCell, other_world: SamWorld
) -> None:
    refused(world, change(evidence(cell), record=ready_cell(other_world).record), rule=2)


def test_rule_2_refuses_to_sign_before_the_certificate(world: SamWorld, cell: PairedCell) -> None:
    """An ask to sign is never made for an unconfirmed cell; with KS in hand somebody could."""
    ask = world.sam._voice.verified_ask(
        cell.open_signing(ONE).ask
    ).claims  # KS in an attacker's hand
    unconfirmed = make_cell(world)
    unconfirmed.pair()
    forged = world.sam._voice.ask(  # KS in an attacker's hand
        msgspec.structs.replace(ask, cell=unconfirmed.made.cell, epoch=1)
    )
    release = change(evidence(cell), ask=forged, record=unconfirmed.record)
    assert "certificate" in refused(world, release, rule=2)


# --- (3) the phone --------------------------------------------------------------


def test_rule_3_refuses_a_phone_that_is_not_of_the_record(
    world: SamWorld, cell: PairedCell
) -> None:
    opened = cell.open_signing(ONE)
    stranger = PaperPhone()
    approval, sealed = stranger.approve(read(opened.ask, world.public_keys.ks), cell.secret)
    refused(world, change(cell.release_of(opened), approval=approval, sealed=sealed), rule=3)


def a_computer(world: SamWorld) -> PairedCell:
    """A cell whose one phone is a computer's browser; its policy allows that."""
    caps = msgspec.structs.replace(POLICY.caps, kinds=("desktop",))
    cell = make_cell(world, policy=msgspec.structs.replace(POLICY, caps=caps))
    cell.phone.browser = "desktop"
    cell.pair(app=ORIGIN)
    cell.certify()
    return cell


def test_a_computer_approves_where_the_policy_allows_it(world: SamWorld) -> None:
    assert world.sam.release(evidence(a_computer(world))).signatures


def test_rule_3_refuses_a_computer_where_the_policy_does(world: SamWorld) -> None:
    """Whenever it was paired: the policy of the record that is shown counts."""
    cell = a_computer(world)
    release = evidence(cell)
    stricter = world.sam._voice.record(  # KS in our own hand: no call tightens a policy yet
        msgspec.structs.replace(world.sam._voice.verified_record(cell.record), policy=POLICY)
    )
    assert "kind desktop" in refused(world, change(release, record=stricter), rule=3)


def test_a_computer_that_is_a_phone_by_a_changed_record_is_refused(world: SamWorld) -> None:
    cell = a_computer(world)
    head, claims, signature = cell.record.split(".")
    flipped = b64u(unb64u(claims).replace(b'"kind":"desktop"', b'"kind":"pwa"'))
    assert flipped != claims
    release = change(evidence(cell), record=f"{head}.{flipped}.{signature}")
    refused(world, release, rule=2)


def test_rule_3_refuses_a_removed_phone(world: SamWorld, cell: PairedCell) -> None:
    release = evidence(cell)
    removed = world.sam.remove_device(RemoveDevice(record=cell.record, kid=cell.phone.kid))
    refused(world, change(release, record=removed.record), rule=3)


def test_rule_3_refuses_a_signature_by_another_key_under_the_phones_name(
    world: SamWorld, cell: PairedCell
) -> None:
    release = evidence(cell)
    head, payload, signature = release.approval.split(".")
    changed = signature[:-4] + ("AAAA" if signature[-4:] != "AAAA" else "BBBA")
    refused(world, change(release, approval=f"{head}.{payload}.{changed}"), rule=3)


def test_rule_3_refuses_a_refusal_in_the_place_of_an_approval(
    world: SamWorld, cell: PairedCell
) -> None:
    opened = cell.open_signing(ONE)
    refusal = cell.phone.refuse(read(opened.ask, world.public_keys.ks))
    refused(world, change(cell.release_of(opened), approval=refusal), rule=3)


# --- (4) this ask, and the user -------------------------------------------------


def test_rule_4_refuses_an_approval_of_another_ask(world: SamWorld, cell: PairedCell) -> None:
    """Evidence replayed on another ask."""
    replayed = evidence(cell, ONE)
    opened = cell.open_signing(ONE)
    refused(world, change(replayed, ask=opened.ask, items=opened.items), rule=4)


def test_rule_4_refuses_a_passkey_phone_without_its_assertion(world: SamWorld) -> None:
    cell = ready_cell(world, app=ORIGIN)
    opened = cell.open_signing(ONE)
    cell.phone.passkey = None
    reason = refused(world, cell.release_of(opened), rule=4)
    assert "assertion" in reason


def test_rule_4_refuses_another_passkeys_assertion(world: SamWorld) -> None:
    cell, other = ready_cell(world, app=ORIGIN), ready_cell(world, app=ORIGIN)
    opened = cell.open_signing(ONE)
    cell.phone.passkey = other.phone.passkey
    refused(world, cell.release_of(opened), rule=4)


def test_rule_4_refuses_a_number_that_was_not_asked(world: SamWorld, cell: PairedCell) -> None:
    opened = cell.open_signing(ONE)
    ask = read(opened.ask, world.public_keys.ks)
    approval, sealed = cell.phone.approve(ask, cell.secret, number="42")
    refused(world, change(cell.release_of(opened), approval=approval, sealed=sealed), rule=4)


# --- (5) the items --------------------------------------------------------------


def test_rule_5_refuses_an_item_that_was_not_approved(world: SamWorld, cell: PairedCell) -> None:
    refused(world, change(evidence(cell, ONE, TWO), requested=(2,)), rule=5)


def test_rule_5_refuses_a_negative_position(world: SamWorld, cell: PairedCell) -> None:
    refused(world, change(evidence(cell, ONE, TWO), requested=(-1,)), rule=5)


def test_rule_5_refuses_an_item_requested_twice(world: SamWorld, cell: PairedCell) -> None:
    refused(world, change(evidence(cell, ONE, TWO), requested=(0, 0)), rule=5)


def test_rule_5_refuses_a_smuggled_document(world: SamWorld, cell: PairedCell) -> None:
    """T-33: a 31st document inside 30."""
    release = evidence(cell, ONE, TWO)
    smuggled = cell.open_signing(THREE).items
    refused(world, change(release, items=(*release.items, *smuggled)), rule=5)
    refused(world, change(release, items=(release.items[0], *smuggled)), rule=5)


def test_rule_5_refuses_a_reordered_list(world: SamWorld, cell: PairedCell) -> None:
    release = evidence(cell, ONE, TWO)
    refused(world, change(release, items=release.items[::-1]), rule=5)


def test_rule_5_refuses_another_relying_party(world: SamWorld, cell: PairedCell) -> None:
    refused(world, change(evidence(cell), rp="somebody-else"), rule=5)


def test_rule_5_refuses_a_scheme_that_is_not_the_keys(world: SamWorld, cell: PairedCell) -> None:
    refused(world, change(evidence(cell), scheme=SignatureScheme.RSA_PSS), rule=5)


def test_rule_5_refuses_a_hash_of_another_length_than_its_algorithm(
    world: SamWorld, cell: PairedCell
) -> None:
    """Such an ask is never made; with KS in hand somebody could."""
    voice = world.sam._voice  # KS in an attacker's hand
    opened = cell.open_signing(ONE)
    text = item_text(Item(label="long", type="dtbsr", hash=Octets(ONE + ONE)))
    documents = Documents(root=tree_root((text,)), count=1)
    claims = msgspec.structs.replace(voice.verified_ask(opened.ask).claims, documents=documents)
    forged = msgspec.structs.replace(opened, ask=voice.ask(claims), items=(text,))
    assert "length" in refused(world, cell.release_of(forged), rule=5)


def test_rule_5_refuses_a_hash_algorithm_that_is_not_the_keys(
    world: SamWorld, cell: PairedCell
) -> None:
    """Such an ask is never made; with KS in hand somebody could."""
    voice = world.sam._voice  # KS in an attacker's hand
    opened = cell.open_signing(ONE)
    text = item_text(Item(label="long", type="dtbsr", hash=Octets(bytes(48))))
    documents = Documents(root=tree_root((text,)), count=1)
    claims = msgspec.structs.replace(
        voice.verified_ask(opened.ask).claims, documents=documents, hash_alg="SHA-384"
    )
    forged = msgspec.structs.replace(opened, ask=voice.ask(claims), items=(text,))
    assert "SHA-384" in refused(world, cell.release_of(forged), rule=5)


# --- (6) the secret -------------------------------------------------------------


def test_rule_6_refuses_the_seal_of_another_approval(world: SamWorld, cell: PairedCell) -> None:
    """``sealed`` moved to another approval."""
    first, second = evidence(cell, ONE), evidence(cell, ONE)
    refused(world, change(first, sealed=second.sealed), rule=6)


def test_rule_6_refuses_a_seal_of_another_sender(world: SamWorld, cell: PairedCell) -> None:
    opened = cell.open_signing(ONE)
    ask = read(opened.ask, world.public_keys.ks)
    foreign = cell.phone.seal(cell.secret, ask, approval_key=bytes(32))
    approval, sealed = cell.phone.approve(ask, cell.secret, sealed=foreign)
    refused(world, change(cell.release_of(opened), approval=approval, sealed=sealed), rule=6)


def test_rule_6_refuses_a_seal_with_another_ephemeral_key_than_signed(
    world: SamWorld, cell: PairedCell
) -> None:
    opened = cell.open_signing(ONE)
    ask = read(opened.ask, world.public_keys.ks)
    sealed = cell.phone.seal(cell.secret, ask)
    lie = msgspec.structs.replace(sealed, epk=bytes(32))
    approval, compact = cell.phone.approve(ask, cell.secret, sealed=lie)
    refused(world, change(cell.release_of(opened), approval=approval, sealed=compact), rule=6)


def test_rule_6_refuses_a_seal_to_another_key(world: SamWorld, cell: PairedCell) -> None:
    opened, other = cell.open_signing(ONE), cell.open_signing(TWO)
    ask = read(opened.ask, world.public_keys.ks)
    wrong = read(other.ask, world.public_keys.ks)
    sealed = cell.phone.seal(cell.secret, msgspec.structs.replace(wrong, tx_hash=ask.tx_hash))
    approval, compact = cell.phone.approve(ask, cell.secret, sealed=sealed)
    refused(world, change(cell.release_of(opened), approval=approval, sealed=compact), rule=6)


def test_rule_6_refuses_a_seal_that_holds_no_secret(world: SamWorld, cell: PairedCell) -> None:
    opened = cell.open_signing(ONE)
    ask = read(opened.ask, world.public_keys.ks)
    approval, sealed = cell.phone.approve(ask, b"short")
    refused(world, change(cell.release_of(opened), approval=approval, sealed=sealed), rule=6)


def test_rule_6_refuses_when_the_hour_key_is_gone(world: SamWorld, cell: PairedCell) -> None:
    release = evidence(cell)
    for hour in world.hsm.hours():
        world.hsm.destroy_hour_key(hour)
    refused(world, release, rule=6)


# --- (7) the cell ---------------------------------------------------------------


def test_rule_7_refuses_another_cells_secret(world: SamWorld, cell: PairedCell) -> None:
    other = ready_cell(world)
    opened = cell.open_signing(ONE)
    ask = read(opened.ask, world.public_keys.ks)
    approval, sealed = cell.phone.approve(ask, other.secret)
    refused(world, change(cell.release_of(opened), approval=approval, sealed=sealed), rule=7)


def test_rule_7_refuses_another_cells_blob(world: SamWorld, cell: PairedCell) -> None:
    other = ready_cell(world)
    refused(world, change(evidence(cell), blob=other.made.blob), rule=7)


@pytest.mark.parametrize("position", [0, 20, -1])
def test_rule_7_refuses_a_blob_with_one_bit_changed(
    world: SamWorld, cell: PairedCell, position: int
) -> None:
    """SRG_KM.1.3."""
    blob = bytearray(cell.made.blob)
    blob[position] ^= 1
    refused(world, change(evidence(cell), blob=bytes(blob)), rule=7)


# --- certificate requests -------------------------------------------------------


def test_a_certificate_request_never_signs_a_contracts_hash(world: SamWorld) -> None:
    """Even with KS in hand: the item is rebuilt at the door."""
    cell = make_cell(world)
    cell.pair()
    opened = cell.open_certificate_request()
    voice = world.sam._voice  # KS in an attacker's hand
    claims = voice.verified_ask(opened.ask).claims
    contract = csr_list(ONE)
    forged = voice.ask(msgspec.structs.replace(claims, documents=contract[1]))
    release = cell.release_of(msgspec.structs.replace(opened, ask=forged, items=contract[0]), rp=CA)
    assert "not the certificate request" in refused(world, release, rule=5)


def csr_list(digest: bytes) -> tuple[tuple[str, ...], Any]:
    """A list with one ``csr`` item of any hash."""
    texts = (item_text(Item(label="PKCS #10", type="csr", hash=Octets(digest))),)
    return texts, Documents(root=tree_root(texts), count=1)


def test_an_ask_to_sign_holds_no_csr_item(world: SamWorld, cell: PairedCell) -> None:
    opened = cell.open_signing(ONE)
    voice = world.sam._voice  # KS in an attacker's hand
    claims = voice.verified_ask(opened.ask).claims
    items, documents = csr_list(ONE)
    forged = voice.ask(msgspec.structs.replace(claims, documents=documents))
    release = cell.release_of(msgspec.structs.replace(opened, ask=forged, items=items), rp=SHOP)
    assert "csr" in refused(world, release, rule=5)
