"""What every HSM does, whichever kind it is: one suite for both (backend/hsm/protocol.py)."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import load_der_public_key

from backend.algorithms import (
    DIGEST_BYTES,
    HASHES,
    SCHEMES,
    HashAlgorithm,
    KeyAlgorithm,
    SignatureScheme,
)
from backend.errors import (
    AlreadyThere,
    CellUnopened,
    HourKeyMissing,
    HsmUnavailable,
    RequestRefused,
)
from backend.hsm.protocol import Hsm, OpenedKey, SigningServiceKey, WrappedKey
from backend.hsm.schemes import MAX_BLOB_BYTES
from tests.world.hsms import Place

DIGEST = hashlib.sha256(b"a contract").digest()
HASH_CLASSES = {
    HashAlgorithm.SHA256: hashes.SHA256(),
    HashAlgorithm.SHA384: hashes.SHA384(),
    HashAlgorithm.SHA512: hashes.SHA512(),
}
PUBLIC_SIZES = {
    KeyAlgorithm.P256: 256,
    KeyAlgorithm.P384: 384,
    KeyAlgorithm.RSA_2048: 2048,
    KeyAlgorithm.RSA_3072: 3072,
    KeyAlgorithm.RSA_4096: 4096,
}


def sign(key: OpenedKey, digest: bytes = DIGEST) -> bytes:
    (signature,) = key.sign_all(
        (digest,), scheme=SignatureScheme.ECDSA, hash_algorithm=HashAlgorithm.SHA256
    )
    return signature


def cycle(hsm: Hsm, wrapped: WrappedKey) -> bytes:
    with hsm.opened(algorithm=KeyAlgorithm.P256, blob=wrapped.blob, kw=wrapped.kw) as key:
        return sign(key)


def verify(
    spki: bytes,
    signature: bytes,
    digest: bytes = DIGEST,
    *,
    scheme: SignatureScheme = SignatureScheme.ECDSA,
    hash_algorithm: HashAlgorithm = HashAlgorithm.SHA256,
) -> None:
    """Verify by code that is not ours."""
    key = load_der_public_key(spki)
    if isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(signature, digest)
        return
    hash_class = HASH_CLASSES[hash_algorithm]
    prehashed = Prehashed(hash_class)
    if isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, digest, ec.ECDSA(prehashed))
        return
    assert isinstance(key, rsa.RSAPublicKey)
    if scheme is SignatureScheme.RSA_PKCS1:
        key.verify(signature, digest, padding.PKCS1v15(), prehashed)
        return
    pss = padding.PSS(padding.MGF1(hash_class), salt_length=hash_class.digest_size)
    key.verify(signature, digest, pss, prehashed)


# --- signers' keys ----------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", KeyAlgorithm)
def test_a_signer_s_key_signs_by_every_scheme_and_hash_that_goes_with_it(
    place: Place, algorithm: KeyAlgorithm
) -> None:
    """hsm.md 1; what an HSM does not offer, it cannot do: SoftHSM 2.6.1 wraps no Ed25519 key."""
    if algorithm not in place.hsm.offered():
        assert (place.hsm.name, algorithm) == ("pkcs11", KeyAlgorithm.ED25519)
        with pytest.raises(HsmUnavailable, match="KeyNotWrappable"):
            place.hsm.generate(algorithm)
        return
    wrapped = place.hsm.generate(algorithm)
    assert len(wrapped.blob) <= MAX_BLOB_BYTES
    public_key = load_der_public_key(wrapped.spki)
    if algorithm is not KeyAlgorithm.ED25519:
        assert isinstance(public_key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey)
        assert public_key.key_size == PUBLIC_SIZES[algorithm]
    with place.hsm.opened(algorithm=algorithm, blob=wrapped.blob, kw=wrapped.kw) as key:
        for scheme, hash_algorithm in product(SCHEMES[algorithm], HASHES[algorithm]):
            digest = bytes([7]) * DIGEST_BYTES[hash_algorithm]
            (signature,) = key.sign_all((digest,), scheme=scheme, hash_algorithm=hash_algorithm)
            verify(wrapped.spki, signature, digest, scheme=scheme, hash_algorithm=hash_algorithm)
            with pytest.raises(InvalidSignature):
                verify(
                    wrapped.spki,
                    signature,
                    bytes(len(digest)),
                    scheme=scheme,
                    hash_algorithm=hash_algorithm,
                )


def test_a_scheme_or_hash_of_another_key_is_refused(place: Place) -> None:
    wrapped = place.hsm.generate(KeyAlgorithm.P256)
    refused = [
        (scheme, hash_algorithm)
        for scheme, hash_algorithm in product(SignatureScheme, HashAlgorithm)
        if scheme not in SCHEMES[KeyAlgorithm.P256]
        or hash_algorithm not in HASHES[KeyAlgorithm.P256]
    ]
    with place.hsm.opened(algorithm=KeyAlgorithm.P256, blob=wrapped.blob, kw=wrapped.kw) as key:
        for scheme, hash_algorithm in refused:
            digest = bytes(DIGEST_BYTES[hash_algorithm])
            with pytest.raises(RequestRefused):
                key.sign_all((digest,), scheme=scheme, hash_algorithm=hash_algorithm)


@pytest.mark.parametrize("length", [0, 20, 31, 33, 64])
def test_a_digest_of_another_length_is_refused(place: Place, length: int) -> None:
    wrapped = place.hsm.generate(KeyAlgorithm.P256)
    with (
        place.hsm.opened(algorithm=KeyAlgorithm.P256, blob=wrapped.blob, kw=wrapped.kw) as key,
        pytest.raises(RequestRefused),
    ):
        sign(key, bytes(length))
    with pytest.raises(RequestRefused):
        place.hsm.sign(SigningServiceKey.RECORDS, bytes(length))


def test_what_is_offered_leaves_nothing_inside(place: Place) -> None:
    before = place.reopen().random(1) and place.contents()
    offered = place.reopen().offered()
    assert offered >= set(KeyAlgorithm) - {KeyAlgorithm.ED25519}
    assert place.contents() == before


def test_many_signers_keys_leave_nothing_inside(place: Place) -> None:
    """Design 4: a cell is a row, so their number has no limit."""
    place.hsm.random(1)
    before = place.contents()
    wrapped = [place.hsm.generate(KeyAlgorithm.P256) for _ in range(5)]
    for each in wrapped:
        verify(each.spki, cycle(place.hsm, each))
    assert place.contents() == before
    assert len({each.spki for each in wrapped}) == 5


def test_a_block_that_fails_leaves_nothing_inside(place: Place) -> None:
    wrapped = place.hsm.generate(KeyAlgorithm.P256)
    before = place.contents()
    with (
        pytest.raises(KeyError),
        place.hsm.opened(algorithm=KeyAlgorithm.P256, blob=wrapped.blob, kw=wrapped.kw),
    ):
        raise KeyError
    assert place.contents() == before
    verify(wrapped.spki, cycle(place.hsm, wrapped))


def test_a_key_signs_nothing_after_its_block(place: Place) -> None:
    wrapped = place.hsm.generate(KeyAlgorithm.P256)
    with place.hsm.opened(algorithm=KeyAlgorithm.P256, blob=wrapped.blob, kw=wrapped.kw) as key:
        sign(key)
    with pytest.raises(CellUnopened):
        sign(key)


def test_two_keys_may_be_open_at_once_in_one_thread(place: Place) -> None:
    first, second = (place.hsm.generate(KeyAlgorithm.P256) for _ in range(2))
    with (
        place.hsm.opened(algorithm=KeyAlgorithm.P256, blob=first.blob, kw=first.kw) as one,
        place.hsm.opened(algorithm=KeyAlgorithm.P256, blob=second.blob, kw=second.kw) as other,
    ):
        verify(first.spki, sign(one))
        verify(second.spki, sign(other))
        place.hsm.sign(SigningServiceKey.RECORDS, DIGEST)


# --- blobs that do not open ---------------------------------------------------------------


def spoilt_blobs(blob: bytes) -> list[bytes]:
    flipped = [
        blob[:place] + bytes([blob[place] ^ 1]) + blob[place + 1 :]
        for place in (0, 7, 8, len(blob) // 2, len(blob) - 1)
    ]
    return [
        *flipped,
        b"",
        b"\0",
        blob[:8],
        blob[:-8],
        blob[:-1],
        blob + bytes(8),
        bytes(len(blob)),
        blob * 60,
    ]


def test_a_spoilt_blob_opens_nothing_and_the_next_one_opens(place: Place) -> None:
    """hsm.md 1, quirk 6: SoftHSM calls it a general error; it is the blob's, not the token's."""
    wrapped = place.hsm.generate(KeyAlgorithm.P256)
    for blob in spoilt_blobs(wrapped.blob):
        with (
            pytest.raises(CellUnopened),
            place.hsm.opened(algorithm=KeyAlgorithm.P256, blob=blob, kw=wrapped.kw),
        ):
            pytest.fail("a spoilt blob was opened")
    verify(wrapped.spki, cycle(place.hsm, wrapped))


@pytest.mark.parametrize(
    "kw", ["kw-2", "kw-0", "kw-01", "kw-", "", "kp", "../vault/kw-1", "kw-1\n"]
)
def test_a_blob_opens_under_no_other_name_of_a_wrapping_key(place: Place, kw: str) -> None:
    wrapped = place.hsm.generate(KeyAlgorithm.P256)
    with (
        pytest.raises(CellUnopened),
        place.hsm.opened(algorithm=KeyAlgorithm.P256, blob=wrapped.blob, kw=kw),
    ):
        pytest.fail("another wrapping key opened it")


@pytest.mark.parametrize(
    ("made", "asked"),
    [
        (KeyAlgorithm.P256, KeyAlgorithm.RSA_2048),
        (KeyAlgorithm.RSA_2048, KeyAlgorithm.P256),
        (KeyAlgorithm.RSA_2048, KeyAlgorithm.RSA_3072),
        (KeyAlgorithm.P256, KeyAlgorithm.P384),
        (KeyAlgorithm.P384, KeyAlgorithm.P256),
        (KeyAlgorithm.P384, KeyAlgorithm.ED25519),
    ],
)
def test_a_blob_opens_as_no_other_algorithm(
    place: Place, made: KeyAlgorithm, asked: KeyAlgorithm
) -> None:
    wrapped = place.hsm.generate(made)
    before = place.contents()
    with (
        pytest.raises(CellUnopened),
        place.hsm.opened(algorithm=asked, blob=wrapped.blob, kw=wrapped.kw),
    ):
        pytest.fail("it was opened as another algorithm")
    assert place.contents() == before


def test_a_blob_opens_in_no_other_hsm(place: Place) -> None:
    wrapped = place.another().generate(KeyAlgorithm.P256)
    with pytest.raises(CellUnopened):
        cycle(place.hsm, wrapped)


def test_the_newest_wrapping_key_wraps_and_the_older_one_still_opens(fresh_place: Place) -> None:
    """Design 4, rotation: the old KW lives until no record names it."""
    old = fresh_place.hsm.generate(KeyAlgorithm.P256)
    assert old.kw == "kw-1"
    fresh_place.add_wrapping_key("kw-2")
    fresh_place.add_wrapping_key("kw-10")
    new = fresh_place.hsm.generate(KeyAlgorithm.P256)
    assert new.kw == "kw-10"
    verify(old.spki, cycle(fresh_place.hsm, old))
    verify(new.spki, cycle(fresh_place.hsm, new))
    with (
        pytest.raises(CellUnopened),
        fresh_place.hsm.opened(algorithm=KeyAlgorithm.P256, blob=old.blob, kw="kw-2"),
    ):
        pytest.fail("another wrapping key opened it")


# --- service keys ---------------------------------------------------------------------------


def test_each_service_key_signs_with_its_own_key(place: Place) -> None:
    spkis = {key: place.hsm.public_key(key) for key in SigningServiceKey}
    assert len(set(spkis.values())) == len(SigningServiceKey)
    for key, spki in spkis.items():
        public_key = load_der_public_key(spki)
        assert isinstance(public_key, ec.EllipticCurvePublicKey)
        assert public_key.curve.name == "secp256r1"
        verify(spki, place.hsm.sign(key, DIGEST))


def test_the_service_keys_are_the_same_after_a_restart(place: Place) -> None:
    again = place.reopen()
    for key in SigningServiceKey:
        assert again.public_key(key) == place.hsm.public_key(key)
    assert again.pepper(b"password") == place.hsm.pepper(b"password")
    wrapped = place.hsm.generate(KeyAlgorithm.P256)
    verify(wrapped.spki, cycle(again, wrapped))


def test_two_installations_have_no_key_in_common(place: Place) -> None:
    other = place.another()
    assert other.pepper(b"password") != place.hsm.pepper(b"password")
    for key in SigningServiceKey:
        assert other.public_key(key) != place.hsm.public_key(key)


def test_initialising_twice_is_refused_and_changes_nothing(fresh_place: Place) -> None:
    before = fresh_place.hsm.public_key(SigningServiceKey.RECORDS), fresh_place.hsm.pepper(b"")
    with pytest.raises(AlreadyThere):
        fresh_place.initialise()
    again = fresh_place.reopen()
    assert (again.public_key(SigningServiceKey.RECORDS), again.pepper(b"")) == before


def test_the_pepper_is_a_mac_of_the_message(place: Place) -> None:
    """Design 4: KP peppers passwords and codes."""
    assert len(place.hsm.pepper(b"")) == 32
    assert place.hsm.pepper(b"a") == place.hsm.pepper(b"a")
    assert place.hsm.pepper(b"a") != place.hsm.pepper(b"b")
    assert len(place.hsm.pepper(bytes(100_000))) == 32


# --- hour keys --------------------------------------------------------------------------------


def test_an_hour_without_a_key_opens_nothing(place: Place) -> None:
    with pytest.raises(HourKeyMissing):
        place.hsm.hour_mac(1, b"jti")


def test_an_hour_key_is_made_once_and_seen_by_every_process(place: Place) -> None:
    place.hsm.make_hour_key(2)
    mac = place.hsm.hour_mac(2, b"jti")
    assert len(mac) == 64
    again = place.reopen()
    again.make_hour_key(2)
    assert again.hour_mac(2, b"jti") == place.hsm.hour_mac(2, b"jti") == mac
    assert place.hsm.hour_mac(2, b"another jti") != mac
    place.hsm.destroy_hour_key(2)


def test_hours_differ(place: Place) -> None:
    for hour in (0, 3, 500_000):
        place.hsm.make_hour_key(hour)
    assert place.hsm.hours() == {0, 3, 500_000}
    assert len({place.hsm.hour_mac(hour, b"jti") for hour in (0, 3, 500_000)}) == 3
    for hour in (0, 3, 500_000):
        place.hsm.destroy_hour_key(hour)
    assert place.hsm.hours() == frozenset()


def test_a_destroyed_hour_key_is_gone_for_every_process(place: Place) -> None:
    """Design 4: KE is destroyed when its hour is over; its approvals open nothing any more."""
    again = place.reopen()
    place.hsm.make_hour_key(4)
    mac = again.hour_mac(4, b"jti")
    before = place.contents()
    place.hsm.destroy_hour_key(4)
    place.hsm.destroy_hour_key(4)
    assert len(place.contents()) == len(before) - 1
    for hsm in (place.hsm, again, place.reopen()):
        assert 4 not in hsm.hours()
        with pytest.raises(HourKeyMissing):
            hsm.hour_mac(4, b"jti")
    place.hsm.make_hour_key(4)
    assert again.hour_mac(4, b"jti") != mac
    place.hsm.destroy_hour_key(4)


def test_eight_threads_make_one_key_of_an_hour(place: Place) -> None:
    def work(_: int) -> bytes:
        place.hsm.make_hour_key(5)
        return place.hsm.hour_mac(5, b"jti")

    with ThreadPoolExecutor(8) as threads:
        macs = set(threads.map(work, range(16)))
    assert len(macs) == 1
    place.hsm.destroy_hour_key(5)


# --- the rest ---------------------------------------------------------------------------------


def test_random_bytes_are_as_many_as_asked_for_and_never_the_same(place: Place) -> None:
    assert [len(place.hsm.random(length)) for length in (1, 16, 33)] == [1, 16, 33]
    assert len({place.hsm.random(16) for _ in range(10)}) == 10


def test_health_names_the_hsm_and_no_secret(place: Place) -> None:
    facts = place.hsm.health()
    assert facts["name"] == place.hsm.name
    assert facts.keys() == {"name", "module", "token", "firmware", "wrapping_key"}
    assert "pin" not in " ".join(facts.values()).lower()


def test_threads_share_an_hsm(place: Place) -> None:
    wrapped = place.hsm.generate(KeyAlgorithm.P256)
    with ThreadPoolExecutor(4) as threads:
        signatures = list(threads.map(lambda _: cycle(place.hsm, wrapped), range(40)))
    for signature in signatures:
        verify(wrapped.spki, signature)
