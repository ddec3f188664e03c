"""Cells in an HSM that speaks PKCS#11.

Nothing is loaded before it is used, and everything is kept by process id: a forked worker loads and
logs in for itself. :mod:`backend.hsm.pkcs11_templates` says what keys may do,
:mod:`backend.hsm.pkcs11_sessions` what happens when the token fails.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass, PKCS11Error

from backend.algorithms import HashAlgorithm, KeyAlgorithm, SignatureScheme
from backend.errors import CellUnopened, HourKeyMissing, HsmUnavailable
from backend.hsm import pkcs11_keys as keys
from backend.hsm import pkcs11_signers_keys as signers_keys
from backend.hsm import pkcs11_templates as templates
from backend.hsm.pkcs11_binding import load_module
from backend.hsm.pkcs11_confinement import check_token
from backend.hsm.pkcs11_sessions import TokenSession, TokenSessions
from backend.hsm.pkcs11_signing import Further, How, sign_many
from backend.hsm.protocol import SigningServiceKey, WrappedKey
from backend.hsm.schemes import check_digests, check_signable

PAUSES_SECONDS: Final = (0.05, 0.2, 0.8)
"""Pauses of the ladder, before the module is initialised again."""
REST_SECONDS: Final = 2.0
"""How long nobody tries after the ladder's end."""

_KE_BITS: Final = 512


class Pkcs11OpenedKey:
    """A signer's private key as a session object, until the ``with`` block ends."""

    def __init__(self, algorithm: KeyAlgorithm, key: keys.SigningKey, *, further: Further) -> None:
        """Hold the key; ``further`` borrows another session for a large batch."""
        self._algorithm = algorithm
        self._key: keys.SigningKey | None = key
        self._further = further

    def sign_all(
        self, to_sign: Sequence[bytes], *, scheme: SignatureScheme, hash_algorithm: HashAlgorithm
    ) -> tuple[bytes, ...]:
        """Sign digests, by EdDSA messages.

        Raises:
            RequestRefused: a key of this algorithm does not sign one of these by this scheme.
            CellUnopened: the ``with`` block is over.
            HsmUnavailable: the token failed meanwhile.
        """
        check_signable(self._algorithm, to_sign, scheme=scheme, hash_algorithm=hash_algorithm)
        if self._key is None:
            raise CellUnopened("the key is closed")
        how = How(algorithm=self._algorithm, scheme=scheme, hash_algorithm=hash_algorithm)
        try:
            return sign_many(self._key, to_sign, how=how, further=self._further)
        except PKCS11Error as error:
            raise HsmUnavailable(f"the HSM did not sign ({type(error).__name__})") from error

    def close(self) -> None:
        """Forget the key, which is destroyed now."""
        self._key = None


class Pkcs11Hsm:
    """A token of a PKCS#11 HSM."""

    name = "pkcs11"

    def __init__(
        self,
        *,
        module: Path,
        token: str,
        read_pin: Callable[[], str],
        pauses_seconds: tuple[float, ...] = PAUSES_SECONDS,
        rest_seconds: float = REST_SECONDS,
    ) -> None:
        """Name a token by its module and its label; ``read_pin`` gives the user's PIN."""
        self._module = module
        self._token = token
        self._read_pin = read_pin
        self._pauses_seconds = pauses_seconds
        self._rest_seconds = rest_seconds
        self._by_process: dict[int, TokenSessions] = {}
        self._public_keys: dict[SigningServiceKey, bytes] = {}
        self._destroyed = 0
        self._offered: frozenset[KeyAlgorithm] | None = None

    def offered(self) -> frozenset[KeyAlgorithm]:
        """What the token was seen to do, the first time that somebody asked."""
        if self._offered is None:
            self._offered = self._sessions().run(signers_keys.offered)
        return self._offered

    def generate(self, algorithm: KeyAlgorithm) -> WrappedKey:
        """Make a signer's key pair, wrap it under the newest KW, and leave nothing of it inside."""
        return self._sessions().run(
            lambda session: signers_keys.make_wrapped(
                session, algorithm, kw=keys.newest_wrapping_key(session)
            )
        )

    @contextmanager
    def opened(self, *, algorithm: KeyAlgorithm, blob: bytes, kw: str) -> Iterator[Pkcs11OpenedKey]:
        """Unwrap a signer's key for the length of a ``with`` block, then destroy it.

        Raises:
            CellUnopened: ``blob`` is not a key of this algorithm wrapped under ``kw``.
        """
        sessions = self._sessions()
        with sessions.working(
            lambda session: signers_keys.unwrap(session, algorithm, blob=blob, kw=kw)
        ) as key:
            opened = Pkcs11OpenedKey(algorithm, key, further=sessions.borrowed)
            try:
                yield opened
            finally:
                opened.close()
                key.destroy()

    def sign(self, key: SigningServiceKey, digest: bytes) -> bytes:
        """Sign a SHA-256 digest with a service key."""
        check_digests((digest,), HashAlgorithm.SHA256)
        return self._sessions().run(
            lambda session: keys.sign_digests(keys.service_key(session, key), (digest,))[0]
        )

    def public_key(self, key: SigningServiceKey) -> bytes:
        """Public key of a service key, as it was proved at the login."""
        self._sessions().run(lambda _session: None)
        return self._public_keys[key]

    def pepper(self, message: bytes) -> bytes:
        """HMAC-SHA-256 under KP."""
        return self._sessions().run(
            lambda session: keys.pepper_key(session).sign(message, mechanism=Mechanism.SHA256_HMAC)
        )

    def make_hour_key(self, hour: int) -> None:
        """Make KE of an hour, unless it is there already."""
        sessions = self._sessions()
        with sessions.writing:
            since = self._destroyed
            sessions.run(lambda session: _make_hour_key(session, hour, since=since))

    def hour_mac(self, hour: int, message: bytes) -> bytes:
        """HMAC-SHA-512 under the hour's KE.

        Raises:
            HourKeyMissing: it was never made, or is destroyed.
        """
        since = self._destroyed
        mac = self._sessions().run(
            lambda session: keys.hour_mac(session, hour, message, since=since)
        )
        if mac is None:
            raise HourKeyMissing(f"the key of hour {hour} is not there")
        return mac

    def hours(self) -> frozenset[int]:
        """The hours whose KE is there."""
        return self._sessions().run(keys.hours)

    def destroy_hour_key(self, hour: int) -> None:
        """Destroy KE of an hour; nothing happens if it is not there."""
        sessions = self._sessions()
        with sessions.writing:
            sessions.run(lambda session: _destroy_hour_key(session, hour))
            self._destroyed += 1

    def random(self, length: int) -> bytes:
        """Random bytes of the HSM's generator."""
        return self._sessions().run(lambda session: session.session.generate_random(length * 8))

    def health(self) -> Mapping[str, str]:
        """Facts about the token, after it has wrapped, unwrapped and signed.

        Raises:
            HsmUnavailable: it cannot do its work now.
        """
        return self._sessions().run(self._health)

    def _health(self, session: TokenSession) -> Mapping[str, str]:
        kw = keys.newest_wrapping_key(session)
        signers_keys.prove_wrapping(session, kw)
        keys.service_public_key(session, SigningServiceKey.RECORDS)
        major, minor = session.session.token.firmware_version
        return {
            "name": self.name,
            "module": str(self._module),
            "token": self._token,
            "firmware": f"{major}.{minor}",
            "wrapping_key": kw,
        }

    def _sessions(self) -> TokenSessions:
        process = os.getpid()
        if process not in self._by_process:
            sessions = TokenSessions(
                module=load_module(self._module),
                token=self._token,
                read_pin=self._read_pin,
                check=self._check,
                pauses_seconds=self._pauses_seconds,
                rest_seconds=self._rest_seconds,
            )
            self._by_process.setdefault(process, sessions)
        return self._by_process[process]

    def _check(self, session: TokenSession) -> None:
        self._public_keys = check_token(session)


def _make_hour_key(session: TokenSession, hour: int, *, since: int) -> None:
    if keys.hour_key(session, hour, since=since):
        return
    with session.session.token.open(rw=True) as writing:
        writing.generate_key(
            KeyType.GENERIC_SECRET,
            _KE_BITS,
            label=keys.hour_key_label(hour),
            store=True,
            capabilities=MechanismFlag.SIGN,
            mechanism=Mechanism.GENERIC_SECRET_KEY_GEN,
            template=templates.STAYING_KEY,
        )


def _destroy_hour_key(session: TokenSession, hour: int) -> None:
    """Destroy every secret key of the hour's name, also one that somebody else brought in."""
    named = {Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.LABEL: keys.hour_key_label(hour)}
    with session.session.token.open(rw=True) as writing:
        for key in list(writing.get_objects(named)):
            key.destroy()
