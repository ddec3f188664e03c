"""Signers' keys on a token, inside one session.

Rules:

- A key is made, wrapped and destroyed in one go, or unwrapped, used and destroyed.
- A blob that does not open is to blame only if the wrapping key still does its work: SoftHSM says
  ``CKR_GENERAL_ERROR`` for a spoilt blob and for a broken token alike.
- No algorithm is offered that the token has not shown to work here. RSA is believed by the token's
  own word: making a key to try takes seconds.
"""

from typing import Final, cast

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from pkcs11 import (
    Attribute,
    KeyType,
    Mechanism,
    MechanismFlag,
    Object,
    ObjectClass,
    PKCS11Error,
    Session,
    Slot,
)

from backend.algorithms import KeyAlgorithm
from backend.errors import CellUnopened
from backend.hsm import pkcs11_templates as templates
from backend.hsm.pkcs11_curves import CURVES
from backend.hsm.pkcs11_keys import (
    SigningKey,
    WrappingKey,
    newest_wrapping_key,
    spki_of,
    wrapping_key,
)
from backend.hsm.pkcs11_sessions import TokenSession
from backend.hsm.protocol import WrappedKey
from backend.hsm.schemes import MAX_BLOB_BYTES, RSA_BITS

WRAP: Final = Mechanism.AES_KEY_WRAP_PAD
"""How signers' keys are wrapped: RFC 5649 over PKCS#8, as SoftHSM understands this mechanism."""

_SIGNING: Final = MechanismFlag.SIGN | MechanismFlag.VERIFY
_ED25519_POINT_BYTES: Final = 32
_TRIED: Final = (KeyAlgorithm.P256, KeyAlgorithm.P384, KeyAlgorithm.ED25519)
"""Algorithms whose keys are made in no time."""


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
    if algorithm in RSA_BITS:
        return session.generate_keypair(
            KeyType.RSA,
            RSA_BITS[algorithm],
            capabilities=_SIGNING,
            private_template=templates.SIGNERS_KEY,
        )
    if algorithm is KeyAlgorithm.ED25519:
        return _generate_ed25519(session)
    return _generate_on_curve(session, KeyType.EC, CURVES[algorithm].parameters)


def _generate_ed25519(session: Session) -> tuple[Object, Object]:
    first, second = templates.ED25519_FORMS
    try:
        return _generate_on_curve(session, KeyType.EC_EDWARDS, first)
    except PKCS11Error:
        return _generate_on_curve(session, KeyType.EC_EDWARDS, second)


def _generate_on_curve(session: Session, kind: KeyType, parameters: bytes) -> tuple[Object, Object]:
    curve = session.create_domain_parameters(kind, {Attribute.EC_PARAMS: parameters}, local=True)
    return curve.generate_keypair(capabilities=_SIGNING, private_template=templates.SIGNERS_KEY)


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


def offered(session: TokenSession) -> frozenset[KeyAlgorithm]:
    """The algorithms whose keys the token makes, wraps, opens and signs with.

    Raises:
        pkcs11.PKCS11Error: the token does not do its work at all.
    """
    kw = newest_wrapping_key(session)
    slot = session.session.token.slot
    tried = {algorithm for algorithm in _TRIED if _works(session, algorithm, kw=kw)}
    return frozenset(tried | {algorithm for algorithm in RSA_BITS if has_rsa(slot, algorithm)})


def _works(session: TokenSession, algorithm: KeyAlgorithm, *, kw: str) -> bool:
    try:
        blob = make_wrapped(session, algorithm, kw=kw).blob
        wrapping = wrapping_key(session, kw)
        key = unwrap_as(wrapping, algorithm, blob=blob, template=templates.UNWRAPPING)
        try:
            is_ed25519 = algorithm is KeyAlgorithm.ED25519
            key.sign(bytes(32), mechanism=Mechanism.EDDSA if is_ed25519 else Mechanism.ECDSA)
        finally:
            key.destroy()
    except PKCS11Error:
        prove_wrapping(session, kw)
        return False
    return True


def has_rsa(slot: Slot, algorithm: KeyAlgorithm) -> bool:
    """Whether a token says that it makes such RSA keys and signs with them."""
    if not {Mechanism.RSA_PKCS, Mechanism.RSA_PKCS_PSS} <= set(slot.get_mechanisms()):
        return False
    try:
        longest = slot.get_mechanism_info(Mechanism.RSA_PKCS_KEY_PAIR_GEN).max_key_length
    except PKCS11Error:
        return False
    return longest is not None and RSA_BITS[algorithm] <= longest


def unwrap_as(
    wrapping: WrappingKey, algorithm: KeyAlgorithm, *, blob: bytes, template: templates.Template
) -> SigningKey:
    """Ask for a blob to be unwrapped into a private key that keeps to ``template``."""
    key = wrapping.unwrap_key(
        ObjectClass.PRIVATE_KEY,
        _key_type(algorithm),
        blob,
        mechanism=WRAP,
        capabilities=MechanismFlag.SIGN,
        template=template,
    )
    return cast("SigningKey", key)


def _key_type(algorithm: KeyAlgorithm) -> KeyType:
    if algorithm in RSA_BITS:
        return KeyType.RSA
    return KeyType.EC_EDWARDS if algorithm is KeyAlgorithm.ED25519 else KeyType.EC


def _is_of(algorithm: KeyAlgorithm, key: SigningKey) -> bool:
    if algorithm in RSA_BITS:
        return int.from_bytes(key[Attribute.MODULUS]).bit_length() == RSA_BITS[algorithm]
    if algorithm is KeyAlgorithm.ED25519:
        return key[Attribute.EC_PARAMS] in templates.ED25519_FORMS
    return bool(key[Attribute.EC_PARAMS] == CURVES[algorithm].parameters)


def _public_key(algorithm: KeyAlgorithm, key: Object) -> bytes:
    if algorithm in CURVES:
        return spki_of(CURVES[algorithm].public_key(key[Attribute.EC_POINT]))
    if algorithm is KeyAlgorithm.ED25519:
        point = key[Attribute.EC_POINT][-_ED25519_POINT_BYTES:]
        return spki_of(ed25519.Ed25519PublicKey.from_public_bytes(point))
    exponent, modulus = key[Attribute.PUBLIC_EXPONENT], key[Attribute.MODULUS]
    numbers = rsa.RSAPublicNumbers(int.from_bytes(exponent), int.from_bytes(modulus))
    return spki_of(numbers.public_key())
