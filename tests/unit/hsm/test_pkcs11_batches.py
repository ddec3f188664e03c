"""A batch is signed by two threads, through two sessions, by one object: all of it or nothing."""

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple, cast

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pkcs11 import AttributeReadOnly, Session, SessionCount, SessionHandleInvalid

from backend.algorithms import HashAlgorithm, KeyAlgorithm, SignatureScheme
from backend.errors import HsmUnavailable
from backend.hsm import pkcs11_signing
from backend.hsm.pkcs11 import Pkcs11Hsm, Pkcs11OpenedKey
from backend.hsm.pkcs11_curves import Curve
from backend.hsm.pkcs11_keys import SigningKey, sign_digests
from backend.hsm.pkcs11_sessions import TokenSession
from backend.hsm.protocol import WrappedKey
from tests.world.softhsm import Token

SECONDS = 240
BATCH = tuple(hashlib.sha256(f"document {n}".encode()).digest() for n in range(500))
Seen = Callable[[SigningKey, Sequence[bytes]], None]


@contextmanager
def opened(hsm: Pkcs11Hsm, wrapped: WrappedKey) -> Iterator[Pkcs11OpenedKey]:
    with hsm.opened(algorithm=KeyAlgorithm.P256, blob=wrapped.blob, kw=wrapped.kw) as key:
        yield key


def sign(key: Pkcs11OpenedKey, batch: Sequence[bytes] = BATCH) -> tuple[bytes, ...]:
    return key.sign_all(batch, scheme=SignatureScheme.ECDSA, hash_algorithm=HashAlgorithm.SHA256)


def verify(wrapped: WrappedKey, signatures: Sequence[bytes]) -> None:
    key = load_der_public_key(wrapped.spki)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    for digest, signature in zip(BATCH, signatures, strict=True):
        key.verify(signature, digest, ec.ECDSA(Prehashed(hashes.SHA256())))


def watch(monkeypatch: pytest.MonkeyPatch, before: Seen) -> None:
    """Call ``before`` ahead of each piece, in the thread that signs it."""
    signed = sign_digests

    def watched(key: SigningKey, digests: Sequence[bytes], curve: Curve) -> list[bytes]:
        before(key, digests)
        return signed(key, digests, curve)

    monkeypatch.setattr(pkcs11_signing, "sign_digests", watched)


class BothAtWork:
    """Each thread waits, at its first piece, until the other has one, too."""

    def __init__(self) -> None:
        self.pieces: dict[int, int] = {}
        self._together = threading.Barrier(2, timeout=SECONDS)

    def __call__(self, _key: object, _digests: Sequence[bytes]) -> None:
        thread = threading.get_ident()
        if thread not in self.pieces:
            self._together.wait()
        self.pieces[thread] = self.pieces.get(thread, 0) + 1


def keys_inside(token: Token) -> int:
    with token.attacker() as session:
        return len(list(session.get_objects()))


def test_two_threads_sign_a_batch_in_its_order(
    shared_token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    hsm = shared_token.hsm()
    wrapped, before = hsm.generate(KeyAlgorithm.P256), keys_inside(shared_token)
    both = BothAtWork()
    watch(monkeypatch, both)
    with opened(hsm, wrapped) as key:
        verify(wrapped, sign(key))
        assert keys_inside(shared_token) == before + 1, "one object, seen by both"
    assert keys_inside(shared_token) == before
    assert len(both.pieces) == 2
    assert sum(both.pieces.values()) == -(-len(BATCH) // pkcs11_signing.PIECE)


@pytest.mark.parametrize("count", [1, pkcs11_signing.MANY - 1])
def test_a_few_are_signed_by_the_thread_that_asks(
    shared_token: Token, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    hsm = shared_token.hsm()
    wrapped = hsm.generate(KeyAlgorithm.P256)
    threads: list[int] = []
    watch(monkeypatch, lambda _key, _digests: threads.append(threading.get_ident()))
    with opened(hsm, wrapped) as key:
        assert len(sign(key, BATCH[:count])) == count
    assert threads == [threading.get_ident()]


@pytest.mark.parametrize("loser", ["the other thread", "this thread"])
def test_a_session_that_is_lost_in_either_thread_ends_the_batch_and_the_key(
    token: Token, monkeypatch: pytest.MonkeyPatch, loser: str
) -> None:
    hsm = token.hsm()
    wrapped, before = hsm.generate(KeyAlgorithm.P256), keys_inside(token)
    both, here, after = BothAtWork(), threading.get_ident(), threading.Event()

    def lose(key: SigningKey, digests: Sequence[bytes]) -> None:
        both(key, digests)
        mine = threading.get_ident() == here
        if mine is (loser == "this thread") and not after.is_set():
            after.set()
            held: Any = key
            held.session.close()

    with monkeypatch.context() as patched:
        watch(patched, lose)
        with pytest.raises(HsmUnavailable, match="HSM"), opened(hsm, wrapped) as key:
            sign(key)
    assert both.pieces[here] >= 1
    assert keys_inside(token) == before, "the key is destroyed, whoever failed"
    with opened(hsm, wrapped) as key:
        verify(wrapped, sign(key))


def test_the_other_thread_stops_at_its_next_piece(
    token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    hsm = token.hsm()
    wrapped = hsm.generate(KeyAlgorithm.P256)
    both, here, failed = BothAtWork(), threading.get_ident(), threading.Event()

    def fail(key: SigningKey, digests: Sequence[bytes]) -> None:
        both(key, digests)
        if threading.get_ident() == here:
            failed.set()
            raise SessionHandleInvalid
        assert failed.wait(SECONDS)

    watch(monkeypatch, fail)
    with pytest.raises(HsmUnavailable), opened(hsm, wrapped) as key:
        sign(key)
    assert sum(both.pieces.values()) <= 3, "what was begun is ended, nothing else is begun"


def no_session_left() -> AbstractContextManager[TokenSession]:
    raise SessionCount


def test_a_token_without_a_further_session_signs_by_one_thread(shared_token: Token) -> None:
    hsm = shared_token.hsm()
    wrapped = hsm.generate(KeyAlgorithm.P256)
    with opened(hsm, wrapped) as key:
        key._further = no_session_left
        verify(wrapped, sign(key))


def test_a_token_that_names_no_opened_key_signs_by_one_thread(
    shared_token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    hsm = shared_token.hsm()
    wrapped = hsm.generate(KeyAlgorithm.P256)
    threads: set[int] = set()
    watch(monkeypatch, lambda _key, _digests: threads.add(threading.get_ident()))
    with opened(hsm, wrapped) as key:

        class Unnamed:
            def __getattr__(self, name: str) -> object:
                return getattr(held, name)

            def __setitem__(self, _attribute: object, _content: bytes) -> None:
                raise AttributeReadOnly

        held = key._key
        key._key = cast("SigningKey", Unnamed())
        verify(wrapped, sign(key))
    assert threads == {threading.get_ident()}


@pytest.mark.parametrize("found", [0, 2])
def test_a_session_that_does_not_find_the_key_alone_signs_nothing(
    shared_token: Token, monkeypatch: pytest.MonkeyPatch, found: int
) -> None:
    hsm = shared_token.hsm()
    wrapped = hsm.generate(KeyAlgorithm.P256)
    threads: set[int] = set()
    watch(monkeypatch, lambda _key, _digests: threads.add(threading.get_ident()))

    class Finding(NamedTuple):
        def get_objects(self, _wanted: object) -> list[object]:
            return [object()] * found

    @contextmanager
    def another_view() -> Iterator[TokenSession]:
        yield TokenSession(cast("Session", Finding()), login=0)

    with opened(hsm, wrapped) as key:
        key._further = another_view
        verify(wrapped, sign(key))
    assert threads == {threading.get_ident()}


def test_batches_of_several_threads_share_the_sessions(shared_token: Token) -> None:
    hsm = shared_token.hsm()
    wrapped = hsm.generate(KeyAlgorithm.P256)
    found: list[tuple[bytes, ...]] = []

    def work() -> None:
        with opened(hsm, wrapped) as key:
            found.append(sign(key))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for signatures in found:
        verify(wrapped, signatures)
