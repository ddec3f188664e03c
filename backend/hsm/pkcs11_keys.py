"""What is done with the keys of a token, inside one session.

Rules:

- A signer's key is made, wrapped and destroyed in one go, or unwrapped, used and destroyed.
- A blob that does not open is to blame only if the wrapping key still does its work: SoftHSM says
  ``CKR_GENERAL_ERROR`` for a spoilt blob and for a broken token alike.
- A public key is believed when the private key of its name signs for it.
"""

import re
import secrets
from typing import Any, Final, Protocol, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pkcs11 import (
    Attribute,
    KeyType,
    Mechanism,
    MechanismFlag,
    NoSuchKey,
    Object,
    ObjectClass,
    PKCS11Error,
    Session,
)

from backend.algorithms import KeyAlgorithm
from backend.errors import CellUnopened, HsmNotReady
from backend.hsm import pkcs11_templates as templates
from backend.hsm.pkcs11_sessions import TokenSession
from backend.hsm.protocol import SigningServiceKey, WrappedKey
from backend.hsm.schemes import MAX_BLOB_BYTES, RSA_BITS

PEPPER: Final = "kp"
"""Label of KP."""

_KW_LABEL: Final = re.compile(r"kw-([1-9][0-9]{0,5})")
_KE_LABEL: Final = re.compile(r"ke-([0-9]{1,10})")
WRAP: Final = Mechanism.AES_KEY_WRAP_PAD
"""How signers' keys are wrapped: RFC 5649 over PKCS#8, as SoftHSM understands this mechanism."""

_POINT_BYTES: Final = 65


class SigningKey(Protocol):
    """What the binding gives for a key that signs or makes a MAC."""

    def sign(self, data: bytes, **mechanism: object) -> bytes:
        """Sign, or make a MAC."""

    def destroy(self) -> None:
        """Destroy the object on the token."""

    def __getitem__(self, attribute: Attribute) -> Any:  # noqa: ANN401  # an attribute's own type
        """Read an attribute."""


class WrappingKey(Protocol):
    """What the binding gives for KW."""

    def destroy(self) -> None:
        """Destroy the object on the token."""

    def wrap_key(self, key: object, *, mechanism: Mechanism) -> bytes:
        """Wrap a key."""

    def unwrap_key(
        self,
        object_class: ObjectClass,
        key_type: KeyType,
        key_data: bytes,
        *,
        mechanism: Mechanism,
        capabilities: MechanismFlag,
        template: templates.Template,
    ) -> object:
        """Unwrap a key into a session object."""


def service_key_label(key: SigningServiceKey) -> str:
    """Label of both halves of a service key."""
    return key.lower()


def hour_key_label(hour: int) -> str:
    """Label of KE of an hour."""
    return f"ke-{hour:d}"


def wrapping_keys(session: Session) -> list[str]:
    """Ids of the wrapping keys, oldest first; ids are their labels."""
    return [f"kw-{number}" for number in _numbers(session, templates.FIND_KW, _KW_LABEL)]


def newest_wrapping_key(session: TokenSession) -> str:
    """Id of the wrapping key that wraps.

    Raises:
        pkcs11.NoSuchKey: there is none.
    """
    ids = wrapping_keys(session.session)
    if not ids:
        raise NoSuchKey("kw-1")
    return ids[-1]


def wrapping_key(session: TokenSession, kw: str) -> WrappingKey:
    """A wrapping key by its id.

    Raises:
        CellUnopened: there is none of this id.
    """
    try:
        if _KW_LABEL.fullmatch(kw):
            return cast("WrappingKey", session.key(templates.FIND_KW, kw))
    except NoSuchKey:
        prove_presence(session)
    raise CellUnopened("there is no wrapping key of this name")


def prove_presence(session: TokenSession) -> None:
    """Prove that what was not found is missing, and not the token or the login.

    Raises:
        pkcs11.NoSuchKey: KP is not seen either.
    """
    session.search(templates.FIND_MAC_KEY, PEPPER)


def pepper_key(session: TokenSession) -> SigningKey:
    """KP."""
    return cast("SigningKey", session.key(templates.FIND_MAC_KEY, PEPPER))


def service_key(session: TokenSession, key: SigningServiceKey) -> SigningKey:
    """The private half of a service key."""
    return cast("SigningKey", session.key(templates.FIND_SIGNING_KEY, service_key_label(key)))


def hour_key(session: TokenSession, hour: int) -> SigningKey | None:
    """KE of an hour, always asked of the token; ``None`` if it is not there."""
    try:
        return cast("SigningKey", session.search(templates.FIND_MAC_KEY, hour_key_label(hour)))
    except NoSuchKey:
        prove_presence(session)
        return None


def hours(session: TokenSession) -> frozenset[int]:
    """The hours whose KE is there."""
    found = frozenset(_numbers(session.session, templates.FIND_MAC_KEY, _KE_LABEL))
    prove_presence(session)
    return found


def sign_digest(key: SigningKey, digest: bytes) -> bytes:
    """Sign a digest by ECDSA; a DER ECDSA-Sig-Value (RFC 3279)."""
    raw = key.sign(digest, mechanism=Mechanism.ECDSA)
    half = len(raw) // 2
    return encode_dss_signature(int.from_bytes(raw[:half]), int.from_bytes(raw[half:]))


def service_public_key(session: TokenSession, key: SigningServiceKey) -> bytes:
    """DER SubjectPublicKeyInfo of a service key, proved by a signature.

    Raises:
        HsmNotReady: the public key of this name is another's.
    """
    label = service_key_label(key)
    point = session.search(templates.FIND_PUBLIC_KEY, label)[Attribute.EC_POINT]
    public_key = _p256_public_key(point)
    digest = secrets.token_bytes(32)
    signature = sign_digest(service_key(session, key), digest)
    try:
        public_key.verify(signature, digest, ec.ECDSA(Prehashed(hashes.SHA256())))
    except InvalidSignature as error:
        raise HsmNotReady(f"the token's public key {label} is not of its private key") from error
    return _spki(public_key)


def make_wrapped(session: TokenSession, algorithm: KeyAlgorithm, *, kw: str) -> WrappedKey:
    """Make a signer's key pair, wrap it under ``kw``, and destroy it."""
    wrapping = wrapping_key(session, kw)
    public, private = generate_signers_key(session.session, algorithm)
    try:
        blob = wrapping.wrap_key(private, mechanism=WRAP)
        spki = _public_key(algorithm, public)
    finally:
        private.destroy()
        public.destroy()
    return WrappedKey(spki=spki, blob=blob, kw=kw)


def generate_signers_key(session: Session, algorithm: KeyAlgorithm) -> tuple[Object, Object]:
    """Make a signer's key pair, public and private, as session objects."""
    signing = MechanismFlag.SIGN | MechanismFlag.VERIFY
    if algorithm is KeyAlgorithm.P256:
        curve = session.create_domain_parameters(
            KeyType.EC, {Attribute.EC_PARAMS: templates.P256}, local=True
        )
        return curve.generate_keypair(capabilities=signing, private_template=templates.SIGNERS_KEY)
    return session.generate_keypair(
        KeyType.RSA,
        RSA_BITS[algorithm],
        capabilities=signing,
        private_template=templates.SIGNERS_KEY,
    )


def unwrap(session: TokenSession, algorithm: KeyAlgorithm, *, blob: bytes, kw: str) -> SigningKey:
    """Unwrap a signer's key into a session object.

    Raises:
        CellUnopened: ``blob`` is not a key of this algorithm wrapped under ``kw``.
        pkcs11.PKCS11Error: the wrapping key does not do its work.
    """
    wrapping = wrapping_key(session, kw)
    if len(blob) > MAX_BLOB_BYTES:
        raise CellUnopened("the blob is too long for a wrapped key")
    try:
        key = unwrap_as(wrapping, algorithm, blob=blob, template=templates.UNWRAPPING)
    except PKCS11Error as error:
        prove_wrapping(session, kw)
        raise CellUnopened(f"the blob is not a {algorithm} key wrapped under {kw}") from error
    if not _is_of(algorithm, key):
        key.destroy()
        raise CellUnopened(f"the blob is not a {algorithm} key")
    return key


def prove_wrapping(session: TokenSession, kw: str) -> None:
    """Prove that a wrapping key does its work, by a key of its own.

    Raises:
        pkcs11.PKCS11Error: it does not.
    """
    blob = make_wrapped(session, KeyAlgorithm.P256, kw=kw).blob
    wrapping = wrapping_key(session, kw)
    unwrap_as(wrapping, KeyAlgorithm.P256, blob=blob, template=templates.UNWRAPPING).destroy()


def unwrap_as(
    wrapping: WrappingKey, algorithm: KeyAlgorithm, *, blob: bytes, template: templates.Template
) -> SigningKey:
    """Ask for a blob to be unwrapped into a private key that keeps to ``template``."""
    key = wrapping.unwrap_key(
        ObjectClass.PRIVATE_KEY,
        KeyType.EC if algorithm is KeyAlgorithm.P256 else KeyType.RSA,
        blob,
        mechanism=WRAP,
        capabilities=MechanismFlag.SIGN,
        template=template,
    )
    return cast("SigningKey", key)


def _is_of(algorithm: KeyAlgorithm, key: SigningKey) -> bool:
    if algorithm is KeyAlgorithm.P256:
        return bool(key[Attribute.EC_PARAMS] == templates.P256)
    return int.from_bytes(key[Attribute.MODULUS]).bit_length() == RSA_BITS[algorithm]


def _public_key(algorithm: KeyAlgorithm, key: Object) -> bytes:
    if algorithm is KeyAlgorithm.P256:
        return _spki(_p256_public_key(key[Attribute.EC_POINT]))
    exponent, modulus = key[Attribute.PUBLIC_EXPONENT], key[Attribute.MODULUS]
    numbers = rsa.RSAPublicNumbers(int.from_bytes(exponent), int.from_bytes(modulus))
    return _spki(numbers.public_key())


def _p256_public_key(point: bytes) -> ec.EllipticCurvePublicKey:
    """Read CKA_EC_POINT, which some tokens wrap in a DER OCTET STRING and others do not."""
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point[-_POINT_BYTES:])


def _spki(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _numbers(session: Session, find: templates.Template, form: re.Pattern[str]) -> list[int]:
    labels = [form.fullmatch(found[Attribute.LABEL]) for found in session.get_objects(find)]
    return sorted(int(label[1]) for label in labels if label)
