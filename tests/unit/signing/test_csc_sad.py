"""The ``csc_sad`` follows from the handle, and the handle does not follow from it."""

import base64
import hashlib

from backend.signing.authorization import csc_sad_of


def test_the_csc_sad_is_the_hash_that_the_design_gives() -> None:
    handle = bytes(range(32))
    digest = hashlib.sha256(b"cellkey-csc-sad-v1\0" + handle).digest()
    assert csc_sad_of(handle) == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert csc_sad_of(handle) != csc_sad_of(bytes(32))
