"""The life of a transaction, as the design tells it."""

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from backend.signing.authorization import Authorization, Waiting
from tests.world.signing_world import SigningWorld, hashes


def verify(world: SigningWorld, digest: bytes, signature: bytes) -> None:
    key = load_der_public_key(world.cell.made.spki)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(signature, digest, ec.ECDSA(Prehashed(SHA256())))


def test_what_the_signer_approved_is_signed_in_the_order_of_the_call(world: SigningWorld) -> None:
    """CSC-91, CSC-119."""
    first, second, third = hashes(3)
    requested = world.request(first, second, third)
    assert world.check(requested) == Waiting()

    assert world.approve(requested.id) == "approved"
    found = world.check(requested)
    assert isinstance(found, Authorization)
    assert found.expires_in == 600

    signatures = world.collect(found.csc_sad, third, first, second)
    for digest, signature in zip((third, first, second), signatures, strict=True):
        verify(world, digest, signature)
    assert world.state(requested.id) == "redeemed"
    assert world.sealed(requested.id) is None
