"""What may be asked, and what the ask then says."""

import hashlib

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from backend.errors import (
    MalformedMessage,
    RecordRefused,
    RequestRefused,
    SummaryRefused,
    TooManySignatures,
)
from backend.protocol.ask import AskingParty, verify_ask
from backend.protocol.encoding import b64u
from backend.protocol.record import verify_record
from backend.protocol.tree import tree_root
from backend.sam.certificate_request import registered_subject
from backend.sam.transactions import RequestedItem
from tests.world.clock import SettableClock
from tests.world.paired_cell import CA, NAME, PairedCell, make_cell
from tests.world.sam import CA_NAME, SamWorld

ONE, TWO = (hashlib.sha256(bytes([number])).digest() for number in (1, 2))
PAYMENT = {
    "type": "payment",
    "amount": {"value": "1250.00", "currency": "RUB"},
    "payee": {"name": "Завод Ромашка", "account": "40702810900000012345"},
    "purpose": "Оплата по счёту 17",
}


def test_the_ask_carries_text_root_and_count(world: SamWorld, cell: PairedCell) -> None:
    opened = cell.open_signing(ONE, TWO, fields=PAYMENT)
    ask = verify_ask(opened.ask, expected_ks=world.public_keys.ks)
    assert ask.tx_hash == opened.tx_hash
    assert ask.claims.documents is not None
    assert ask.claims.documents.root == tree_root(opened.items)
    assert ask.claims.documents.count == 2
    assert any("1 250,00 ₽" in line.replace("\xa0", " ") for line in ask.claims.text.lines)
    assert opened.hashes == (ONE, TWO)
    assert (opened.id, opened.epoch) == (ask.claims.jti, ask.claims.epoch)
    assert (ask.claims.iss, ask.claims.epoch, ask.claims.cell) == (CA_NAME, 3, cell.made.cell)


def test_an_ask_to_sign_may_want_a_number_and_no_other_ask(
    world: SamWorld, cell: PairedCell
) -> None:
    """T-01."""
    for wanted in (True, False):
        opened = cell.open_signing(ONE, number_asked=wanted)
        ask = verify_ask(opened.ask, expected_ks=world.public_keys.ks)
        assert ask.claims.number_asked is wanted

    with pytest.raises(RequestRefused, match="number"):
        cell.open("enrol", fields={"type": "enrol", "name": NAME}, number_asked=True)


def test_two_asks_have_two_transaction_keys(world: SamWorld, cell: PairedCell) -> None:
    keys = {
        verify_ask(cell.open_signing(ONE).ask, expected_ks=world.public_keys.ks).claims.sam
        for _ in range(2)
    }
    assert len(keys) == 2


def test_a_cell_without_a_certificate_is_not_asked_to_sign(world: SamWorld) -> None:
    cell = make_cell(world)
    cell.pair()
    with pytest.raises(RecordRefused, match="certificate"):
        cell.open_signing(ONE)


def test_a_record_that_is_not_ours_is_refused(cell: PairedCell) -> None:
    cell.record = cell.record[:-8] + "AAAAAAAA"
    with pytest.raises(RecordRefused, match="not a record of ours"):
        cell.open_signing(ONE)


def test_the_number_of_hashes_is_bounded_by_the_record(cell: PairedCell) -> None:
    hashes = [hashlib.sha256(bytes([number])).digest() for number in range(11)]
    with pytest.raises(TooManySignatures, match="at most 10"):
        cell.open_signing(*hashes)
    assert len(cell.open_signing(*hashes[:10]).items) == 10


def test_an_ask_to_sign_has_a_hash(cell: PairedCell) -> None:
    with pytest.raises(RequestRefused, match="has a hash"):
        cell.open_signing()


def test_one_hash_does_not_stand_twice(cell: PairedCell) -> None:
    with pytest.raises(RequestRefused, match="twice"):
        cell.open_signing(ONE, ONE)


def test_a_hash_of_another_length_is_refused(cell: PairedCell) -> None:
    with pytest.raises(RequestRefused, match="length"):
        cell.open_signing(hashlib.sha512(b"1").digest())


def test_an_elliptic_key_is_not_asked_for_a_longer_hash(cell: PairedCell) -> None:
    with pytest.raises(RequestRefused, match="SHA-512"):
        cell.open_signing(hashlib.sha512(b"1").digest(), hash_alg="SHA-512")


def test_an_ask_to_sign_needs_its_hash_algorithm(cell: PairedCell) -> None:
    item = RequestedItem(label="contract", hash=ONE)
    with pytest.raises(RequestRefused, match="hash_alg"):
        cell.open("sign", fields={"type": "generic"}, items=(item,))


@pytest.mark.parametrize("kind", ["enrol", "certificate_request", "nothing", ""])
def test_a_relying_party_cannot_dress_as_the_authority(cell: PairedCell, kind: str) -> None:
    """T-34: kinds of the authority's own asks are not for relying parties."""
    with pytest.raises(RequestRefused, match="type"):
        cell.open_signing(ONE, fields={"type": kind})


def test_hostile_text_is_refused_with_its_field(cell: PairedCell) -> None:
    """T-06."""
    payee = {"name": "\u202eqwerty", "account": "40702810900000012345"}
    with pytest.raises(SummaryRefused) as caught:
        cell.open_signing(ONE, fields=PAYMENT | {"payee": payee})
    assert caught.value.field == "payee.name"


@pytest.mark.parametrize(
    ("exp", "use_by"), [(0, 100), (-1, 100), (86_401, 86_500), (300, 299), (300, 901)]
)
def test_times_beyond_their_bounds_are_refused(
    cell: PairedCell, clock: SettableClock, exp: int, use_by: int
) -> None:
    now = int(clock().timestamp())
    with pytest.raises(RequestRefused, match="exp"):
        cell.open_signing(ONE, exp=now + exp, use_by=now + use_by)


@pytest.mark.parametrize(("exp", "use_by"), [(1, 1), (86_400, 87_000)])
def test_times_at_their_bounds_are_taken(
    world: SamWorld, cell: PairedCell, clock: SettableClock, exp: int, use_by: int
) -> None:
    now = int(clock().timestamp())
    opened = cell.open_signing(ONE, exp=now + exp, use_by=now + use_by)
    claims = verify_ask(opened.ask, expected_ks=world.public_keys.ks).claims
    assert (claims.iat, claims.exp, claims.use_by) == (now, now + exp, now + use_by)


@pytest.mark.parametrize("kind", ["amend"])
def test_kinds_that_are_not_offered_are_refused(cell: PairedCell, kind: str) -> None:
    with pytest.raises(RequestRefused, match="not offered"):
        cell.open(kind, fields={"type": kind})


def test_an_enrolment_brings_no_hashes(cell: PairedCell) -> None:
    item = RequestedItem(label="contract", hash=ONE)
    with pytest.raises(RequestRefused, match="only an ask to sign"):
        cell.open("enrol", fields={"type": "enrol", "name": NAME}, items=(item,))


def test_an_enrolment_has_no_hash_algorithm(cell: PairedCell) -> None:
    with pytest.raises(RequestRefused, match="only an ask to sign"):
        cell.open("enrol", fields={"type": "enrol", "name": NAME}, hash_alg="SHA-256")


def test_fields_of_another_type_are_refused(cell: PairedCell) -> None:
    with pytest.raises(RequestRefused, match="another type"):
        cell.open("enrol", fields={"type": "generic"})


# --- certificate requests -------------------------------------------------------


def request_fields(cell: PairedCell, **members: str) -> dict[str, str]:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)]).public_bytes()
    return {
        "type": "certificate_request",
        "subject": b64u(subject),
        "name": NAME,
        "ca": CA_NAME,
        "algorithm": cell.algorithm.value,
    } | members


def paired(world: SamWorld) -> PairedCell:
    cell = make_cell(world)
    cell.pair()
    return cell


def test_a_certificate_request_with_another_name_is_refused(world: SamWorld) -> None:
    """A certificate request with another name than the registered one."""
    cell = paired(world)
    other = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Иван Иванов")]).public_bytes()
    fields = request_fields(cell, subject=b64u(other), name="Иван Иванов")
    with pytest.raises(RecordRefused, match="another name"):
        cell.open("certificate_request", fields=fields, hash_alg="SHA-256")


def test_a_certificate_request_that_shows_another_name_is_refused(world: SamWorld) -> None:
    cell = paired(world)
    fields = request_fields(cell, name="Иван Иванов")
    with pytest.raises(RequestRefused, match="whole registered name"):
        cell.open("certificate_request", fields=fields, hash_alg="SHA-256")


@pytest.mark.parametrize("subject", ["", "!!!!", "A" * 3000])
def test_a_certificate_request_without_a_name_is_refused(world: SamWorld, subject: str) -> None:
    cell = paired(world)
    fields = request_fields(cell, subject=subject)
    with pytest.raises(RecordRefused):
        cell.open("certificate_request", fields=fields, hash_alg="SHA-256")


def test_a_certificate_request_shows_its_own_authority(world: SamWorld) -> None:
    cell = paired(world)
    with pytest.raises(RequestRefused, match="authority"):
        cell.open(
            "certificate_request",
            fields=request_fields(cell),
            hash_alg="SHA-256",
            rp=AskingParty(id="ca", name="Another CA"),
        )
    with pytest.raises(RequestRefused, match="authority"):
        cell.open("certificate_request", fields=request_fields(cell), hash_alg="SHA-384", rp=CA)


def test_a_confirmed_cell_gets_no_second_first_certificate(cell: PairedCell) -> None:
    with pytest.raises(RecordRefused, match="already"):
        cell.open_certificate_request()


def test_a_cell_without_a_phone_is_not_asked(world: SamWorld) -> None:
    with pytest.raises(RecordRefused, match="no phone"):
        make_cell(world).open_certificate_request()


def test_a_registered_name_is_bounded(world: SamWorld) -> None:
    """The name is the registered one in both cases: only its length is against the longer."""
    for size, fits in ((1536, True), (1537, False)):
        name = bytes(size)
        record = verify_record(
            make_cell(world, subject=name).record, expected_ks=world.public_keys.ks
        )
        if fits:
            assert registered_subject({"subject": b64u(name)}, record) == name
        else:
            with pytest.raises(MalformedMessage):
                registered_subject({"subject": b64u(name)}, record)


def test_a_missing_subject_is_refused(world: SamWorld) -> None:
    cell = paired(world)
    fields = request_fields(cell)
    del fields["subject"]
    with pytest.raises(RecordRefused, match="without a name"):
        cell.open("certificate_request", fields=fields, hash_alg="SHA-256")
