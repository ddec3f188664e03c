"""What an opened key signs on a token: a few one after the other, many by two threads.

Rules:

- A session does one thing at a time, and a session object is seen by every session of its process
  (PKCS #11 2.40, 2.5). So a batch is signed in two sessions by one object: it is unwrapped once.
- The second session counts if it finds that object, and it alone, by an id made for this batch; on
  a token that shows it nothing, or has no session left, one thread signs it all.
- What fails in one ends both, and nothing of the batch is given out. The order is the caller's.
"""

import secrets
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from typing import Final, cast, final

import msgspec
from pkcs11 import MGF, Attribute, Mechanism, ObjectClass, PKCS11Error

from backend.algorithms import DIGEST_BYTES, HashAlgorithm, KeyAlgorithm, SignatureScheme
from backend.hsm.pkcs11_curves import CURVES
from backend.hsm.pkcs11_keys import SigningKey, sign_digests
from backend.hsm.pkcs11_sessions import TokenSession
from backend.hsm.schemes import digest_info

MANY: Final = 64
"""From so many on it is worth a second thread."""
PIECE: Final = 32
"""What a thread takes at a time, so that neither waits long for the other."""
_ID_BYTES: Final = 16

Further = Callable[[], AbstractContextManager[TokenSession]]
"""Borrows one session more."""

_HASH_MECHANISMS: Final = {
    HashAlgorithm.SHA256: (Mechanism.SHA256, MGF.SHA256),
    HashAlgorithm.SHA384: (Mechanism.SHA384, MGF.SHA384),
    HashAlgorithm.SHA512: (Mechanism.SHA512, MGF.SHA512),
}


@final
class How(msgspec.Struct, frozen=True, kw_only=True):
    """A combination that :mod:`backend.hsm.schemes` has checked."""

    algorithm: KeyAlgorithm
    scheme: SignatureScheme
    hash_algorithm: HashAlgorithm


def sign_many(
    key: SigningKey, to_sign: Sequence[bytes], *, how: How, further: Further
) -> tuple[bytes, ...]:
    """Sign all, or nothing.

    Raises:
        pkcs11.PKCS11Error: the token failed.
    """
    if len(to_sign) < MANY:
        return tuple(_signed(key, to_sign, how))
    with ExitStack() as stack:
        beside = _seen_beside(key, further=further, until=stack)
        if beside is None:
            return tuple(_signed(key, to_sign, how))
        return _by_two(key, beside, to_sign, how)


def _seen_beside(key: SigningKey, *, further: Further, until: ExitStack) -> SigningKey | None:
    """Find the key's object in another session, which stays borrowed until the stack ends."""
    name = secrets.token_bytes(_ID_BYTES)
    wanted = {Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.ID: name}
    try:
        key[Attribute.ID] = name
        with ExitStack() as trying:
            session = trying.enter_context(further())
            found = list(session.session.get_objects(wanted))
            until.enter_context(trying.pop_all())
    except PKCS11Error:
        return None
    return cast("SigningKey", found[0]) if len(found) == 1 else None


def _by_two(
    key: SigningKey, beside: SigningKey, to_sign: Sequence[bytes], how: How
) -> tuple[bytes, ...]:
    places = deque(range(0, len(to_sign), PIECE))
    signed: dict[int, list[bytes]] = {}

    def work(mine: SigningKey) -> None:
        try:
            for place in _taken(places):
                signed[place] = _signed(mine, to_sign[place : place + PIECE], how)
        except PKCS11Error:
            places.clear()
            raise

    with ThreadPoolExecutor(1, "batch") as helper:
        helped = helper.submit(work, beside)
        work(key)
        helped.result()
    return tuple([one for place in sorted(signed) for one in signed[place]])


def _taken(places: deque[int]) -> Iterator[int]:
    """Take what nobody has taken, until nothing is left."""
    while True:
        try:
            yield places.popleft()
        except IndexError:
            return


def _signed(key: SigningKey, to_sign: Sequence[bytes], how: How) -> list[bytes]:
    if how.scheme is SignatureScheme.ECDSA:
        return sign_digests(key, to_sign, CURVES[how.algorithm])
    if how.scheme is SignatureScheme.EDDSA:
        return [key.sign(message, mechanism=Mechanism.EDDSA) for message in to_sign]
    if how.scheme is SignatureScheme.RSA_PKCS1:
        infos = [digest_info(digest, how.hash_algorithm) for digest in to_sign]
        return [key.sign(info, mechanism=Mechanism.RSA_PKCS) for info in infos]
    hash_mechanism, mgf = _HASH_MECHANISMS[how.hash_algorithm]
    pss = (hash_mechanism, mgf, DIGEST_BYTES[how.hash_algorithm])
    return [
        key.sign(digest, mechanism=Mechanism.RSA_PKCS_PSS, mechanism_param=pss)
        for digest in to_sign
    ]
