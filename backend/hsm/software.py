"""Software cells: what an HSM does, done in memory. For trying out, never for production.

A signer's key is wrapped as an HSM wraps it (RFC 5649 over PKCS#8), the keys that stay lie in a
:class:`~backend.hsm.vault.Vault`. An opened key is in Python's memory for milliseconds and nothing
can wipe it there: that is why this is called a software cell and never an HSM. So it shouts when it
is opened, and refuses where settings say production.
"""

import hmac
import secrets
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from cryptography.hazmat.backends.openssl import backend as openssl
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from backend.algorithms import HashAlgorithm, KeyAlgorithm, SignatureScheme
from backend.errors import CellUnopened, SettingsInvalid
from backend.hsm.protocol import SigningServiceKey, WrappedKey
from backend.hsm.schemes import MAX_BLOB_BYTES, RSA_BITS, check_digests, check_signable
from backend.hsm.vault import Vault
from backend.settings import Environment

WARNING = (
    "SOFTWARE CELLS: signers' keys are protected by files of this machine, not by an HSM. "
    "Try Cellkey out with them; never sign with them what matters."
)

_HASHES: Mapping[HashAlgorithm, hashes.HashAlgorithm] = MappingProxyType(
    {
        HashAlgorithm.SHA256: hashes.SHA256(),
        HashAlgorithm.SHA384: hashes.SHA384(),
        HashAlgorithm.SHA512: hashes.SHA512(),
    }
)

_CURVES: Mapping[KeyAlgorithm, type[ec.EllipticCurve]] = MappingProxyType(
    {KeyAlgorithm.P256: ec.SECP256R1, KeyAlgorithm.P384: ec.SECP384R1}
)
_PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
_PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey


class SoftwareCellsWarning(UserWarning):
    """Keys are kept in files, not in an HSM."""


class SoftwareOpenedKey:
    """A signer's private key in memory, until the ``with`` block ends."""

    def __init__(self, algorithm: KeyAlgorithm, key: _PrivateKey) -> None:
        """Hold the key."""
        self._algorithm = algorithm
        self._key: _PrivateKey | None = key

    def sign_all(
        self, to_sign: Sequence[bytes], *, scheme: SignatureScheme, hash_algorithm: HashAlgorithm
    ) -> tuple[bytes, ...]:
        """Sign digests, by EdDSA messages.

        Raises:
            RequestRefused: a key of this algorithm does not sign one of these by this scheme.
            CellUnopened: the ``with`` block is over.
        """
        check_signable(self._algorithm, to_sign, scheme=scheme, hash_algorithm=hash_algorithm)
        if self._key is None:
            raise CellUnopened("the key is closed")
        key = self._key
        return tuple([_sign(key, one, scheme, _HASHES[hash_algorithm]) for one in to_sign])

    def close(self) -> None:
        """Forget the key."""
        self._key = None


class SoftwareHsm:
    """The embedded default: a vault of files that does what an HSM token does."""

    name = "software"

    def __init__(self, path: Path, *, environment: Environment) -> None:
        """Open a vault, and say loudly what it is.

        Raises:
            SettingsInvalid: this is production.
            HsmNotReady: the vault was not initialised, or others may read it.
        """
        if environment is Environment.PRODUCTION:
            raise SettingsInvalid(
                "production needs CELLKEY_HSM=pkcs11: software cells keep keys in memory and files"
            )
        self._vault = Vault(path)
        warnings.warn(WARNING, SoftwareCellsWarning, stacklevel=2)
        self._pepper_key = self._vault.pepper_key()
        self._service_keys = {key: self._vault.service_key(key) for key in SigningServiceKey}

    @staticmethod
    def initialise(path: Path) -> None:
        """Make the vault and its service keys. What was interrupted may be repeated.

        Raises:
            AlreadyThere: they are made already; they stay as they are.
        """
        Vault.make(path)

    def offered(self) -> frozenset[KeyAlgorithm]:
        """All of them."""
        return frozenset(KeyAlgorithm)

    def generate(self, algorithm: KeyAlgorithm) -> WrappedKey:
        """Make a signer's key pair and wrap it under the newest KW."""
        key = _generate(algorithm)
        pkcs8 = key.private_bytes(
            Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        kw = self._vault.newest_wrapping_key()
        blob = keywrap.aes_key_wrap_with_padding(self._vault.wrapping_key(kw), pkcs8)
        return WrappedKey(spki=_spki(key.public_key()), blob=blob, kw=kw)

    @contextmanager
    def opened(
        self, *, algorithm: KeyAlgorithm, blob: bytes, kw: str
    ) -> Iterator[SoftwareOpenedKey]:
        """Unwrap a signer's key for the length of a ``with`` block.

        Raises:
            CellUnopened: ``blob`` is not a key of this algorithm wrapped under ``kw``.
        """
        opened = SoftwareOpenedKey(algorithm, self._unwrap(algorithm, blob=blob, kw=kw))
        try:
            yield opened
        finally:
            opened.close()

    def sign(self, key: SigningServiceKey, digest: bytes) -> bytes:
        """Sign a SHA-256 digest with a service key."""
        check_digests((digest,), HashAlgorithm.SHA256)
        return self._service_keys[key].sign(digest, ec.ECDSA(Prehashed(hashes.SHA256())))

    def public_key(self, key: SigningServiceKey) -> bytes:
        """Public key of a service key, DER SubjectPublicKeyInfo."""
        return _spki(self._service_keys[key].public_key())

    def pepper(self, message: bytes) -> bytes:
        """HMAC-SHA-256 under KP."""
        return hmac.digest(self._pepper_key, message, "sha256")

    def make_hour_key(self, hour: int) -> None:
        """Make KE of an hour, unless it is there already."""
        self._vault.make_hour_key(hour)

    def hour_mac(self, hour: int, message: bytes) -> bytes:
        """HMAC-SHA-512 under the hour's KE.

        Raises:
            HourKeyMissing: it was never made, or is destroyed.
        """
        return hmac.digest(self._vault.hour_key(hour), message, "sha512")

    def hours(self) -> frozenset[int]:
        """The hours whose KE is there."""
        return self._vault.hours()

    def destroy_hour_key(self, hour: int) -> None:
        """Overwrite and remove KE of an hour; nothing happens if it is not there."""
        self._vault.destroy_hour_key(hour)

    def random(self, length: int) -> bytes:
        """Random bytes of the operating system's generator."""
        return secrets.token_bytes(length)

    def health(self) -> Mapping[str, str]:
        """Facts about the vault.

        Raises:
            HsmUnavailable: the vault is not there any more.
        """
        return {
            "name": self.name,
            "module": "backend.hsm.software",
            "token": str(self._vault.path),
            "firmware": openssl.openssl_version_text(),
            "wrapping_key": self._vault.newest_wrapping_key(),
        }

    def _unwrap(self, algorithm: KeyAlgorithm, *, blob: bytes, kw: str) -> _PrivateKey:
        if len(blob) > MAX_BLOB_BYTES:
            raise CellUnopened("the blob is too long for a wrapped key")
        try:
            pkcs8 = keywrap.aes_key_unwrap_with_padding(self._vault.wrapping_key(kw), blob)
            # The wrap has just proved that the key is as we made it. Checking RSA's primes again
            # would take 65 times as long as signing; only here may it be left out.
            key = serialization.load_der_private_key(
                pkcs8, None, unsafe_skip_rsa_key_validation=True
            )
        except (keywrap.InvalidUnwrap, ValueError) as error:
            raise CellUnopened(f"the blob is not a key wrapped under {kw}") from error
        if isinstance(key, _PrivateKey) and _algorithm_of(key) is algorithm:
            return key
        raise CellUnopened(f"the blob is not a {algorithm} key")


def _sign(
    key: _PrivateKey, to_sign: bytes, scheme: SignatureScheme, hashed: hashes.HashAlgorithm
) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(to_sign)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(to_sign, ec.ECDSA(Prehashed(hashed)))
    if scheme is SignatureScheme.RSA_PKCS1:
        return key.sign(to_sign, padding.PKCS1v15(), Prehashed(hashed))
    pss = padding.PSS(padding.MGF1(hashed), padding.PSS.DIGEST_LENGTH)
    return key.sign(to_sign, pss, Prehashed(hashed))


def _generate(algorithm: KeyAlgorithm) -> _PrivateKey:
    if algorithm in _CURVES:
        return ec.generate_private_key(_CURVES[algorithm]())
    if algorithm in RSA_BITS:
        return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS[algorithm])
    return ed25519.Ed25519PrivateKey.generate()


def _algorithm_of(key: _PrivateKey) -> KeyAlgorithm | None:
    """The algorithm of a key; ``None``: none that is offered."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return KeyAlgorithm.ED25519
    if isinstance(key, rsa.RSAPrivateKey):
        return next((one for one, bits in RSA_BITS.items() if bits == key.key_size), None)
    return next((one for one, curve in _CURVES.items() if isinstance(key.curve, curve)), None)


def _spki(key: _PublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
