"""A batch: 10 000 documents by one approval, and the key opened once."""

import hashlib

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from backend.protocol.receipt import verify_receipt
from backend.protocol.record import Caps
from backend.sam.releases import Release, Released
from backend.sam.wire import LONGEST_FRAME, Call, Reply, read_members, write_call, write_result
from tests.world.clock import SettableClock
from tests.world.paired_cell import POLICY, PairedCell, make_cell
from tests.world.pkcs11_calls import counted
from tests.world.sam import open_sam_world
from tests.world.softhsm import MODULE, softhsm

MOST = 10_000
DIGESTS = tuple(hashlib.sha256(str(number).encode()).digest() for number in range(MOST))


@pytest.fixture(scope="module")
def cell() -> PairedCell:
    """A cell on a token, for the largest batches that there are."""
    world = open_sam_world(softhsm().new_token().hsm(), SettableClock())
    caps = Caps(multisign=MOST, kinds=POLICY.caps.kinds, confirm=POLICY.caps.confirm)
    made = make_cell(world, policy=msgspec.structs.replace(POLICY, caps=caps))
    made.pair()
    made.certify()
    return made


@pytest.fixture(scope="module")
def evidence(cell: PairedCell) -> Release:
    return cell.release_of(cell.open_signing(*DIGESTS))


def test_ten_thousand_hashes_are_signed_with_one_unwrapping(
    cell: PairedCell, evidence: Release
) -> None:
    """R-082. What is counted is what the token itself was asked."""
    with counted(MODULE, "C_UnwrapKey") as unwrapped, counted(MODULE, "C_SignInit") as signed:
        released = cell.world.sam.release(evidence)

    assert unwrapped.calls == 1
    assert signed.calls >= MOST
    key = x509.load_der_x509_certificate(cell.certificate).public_key()
    assert isinstance(key, EllipticCurvePublicKey)
    for digest, signature in zip(DIGESTS, released.signatures, strict=True):
        key.verify(signature, digest, ECDSA(Prehashed(SHA256())))
    receipt = verify_receipt(released.receipt, expected_ka=cell.world.public_keys.ka)
    assert tuple(bytes(item.hash) for item in receipt.signed) == DIGESTS


def test_a_batch_crosses_the_wire_as_it_is(evidence: Release) -> None:
    """Both ways, within a frame."""
    released = Released(signatures=tuple(bytes(72) for _ in DIGESTS), receipt="r" * 3_000_000)
    request, answer = write_call("release", evidence), write_result(released)

    assert max(len(request), len(answer)) < LONGEST_FRAME
    assert read_members(msgspec.json.decode(request, type=Call).request, Release) == evidence
    assert read_members(msgspec.json.decode(answer, type=Reply).result, Released) == released
