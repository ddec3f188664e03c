"""The keys that stay on a token, inside one session: found, and used.

A public key is believed when the private key of its name signs for it.
"""

import re
import secrets
from collections.abc import Sequence
from typing import Any, Final, Protocol, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pkcs11 import (
    Attribute,
    KeyHandleInvalid,
    KeyType,
    Mechanism,
    MechanismFlag,
    NoSuchKey,
    ObjectClass,
    ObjectHandleInvalid,
    Session,
)

from backend.errors import CellUnopened, HsmNotReady
from backend.hsm import pkcs11_templates as templates
from backend.hsm.pkcs11_curves import P256, Curve
from backend.hsm.pkcs11_sessions import TokenSession
from backend.hsm.protocol import SigningServiceKey

PEPPER: Final = "kp"
"""Label of KP."""

_KW_LABEL: Final = re.compile(r"kw-([1-9][0-9]{0,5})")
_KE_LABEL: Final = re.compile(r"ke-([0-9]{1,10})")


class SigningKey(Protocol):
    """What the binding gives for a key that signs or makes a MAC."""

    def sign(self, data: bytes, **mechanism: object) -> bytes:
        """Sign, or make a MAC."""

    def destroy(self) -> None:
        """Destroy the object on the token."""

    def __getitem__(self, attribute: Attribute) -> Any:  # noqa: ANN401  # an attribute's own type
        """Read an attribute."""

    def __setitem__(self, attribute: Attribute, content: bytes) -> None:
        """Write an attribute."""


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


def hour_key(session: TokenSession, hour: int, *, since: int) -> SigningKey | None:
    """KE of an hour; ``None`` if it is not there.

    To look for it takes longer than to use it, so each session looks once, and again when ``since``
    has changed, which it does when we destroy one.
    """
    label = hour_key_label(hour)
    try:
        return cast("SigningKey", session.recent(templates.FIND_MAC_KEY, label, since=since))
    except NoSuchKey:
        prove_presence(session)
        return None


def hour_mac(session: TokenSession, hour: int, message: bytes, *, since: int) -> bytes | None:
    """HMAC-SHA-512 under KE; ``None`` if that is not there, whoever destroyed it."""
    for _ in range(2):
        key = hour_key(session, hour, since=since)
        if key is None:
            return None
        try:
            return key.sign(message, mechanism=Mechanism.SHA512_HMAC)
        except (KeyHandleInvalid, ObjectHandleInvalid):
            session.forget(hour_key_label(hour))
    return None


def hours(session: TokenSession) -> frozenset[int]:
    """The hours whose KE is there."""
    found = frozenset(_numbers(session.session, templates.FIND_MAC_KEY, _KE_LABEL))
    prove_presence(session)
    return found


def sign_digests(key: SigningKey, digests: Sequence[bytes], curve: Curve = P256) -> list[bytes]:
    """Sign digests by ECDSA; each a DER ECDSA-Sig-Value (RFC 3279).

    A digest longer than the curve is cut here (FIPS 186-5, 6.4.1): not every token does it.
    """
    length = curve.curve.key_size // 8
    sign, raw_bytes = key.sign, 2 * length
    return [
        ecdsa_sig_value(sign(digest[:length], mechanism=Mechanism.ECDSA, buffer_size=raw_bytes))
        for digest in digests
    ]


def ecdsa_sig_value(raw: bytes) -> bytes:
    """DER of r ‖ s as a token gives them. Written here, for it is done 10 000 times in a call."""
    half = len(raw) // 2
    integers = _der_integer(raw[:half]) + _der_integer(raw[half:])
    return bytes((0x30, len(integers))) + integers


def _der_integer(unsigned: bytes) -> bytes:
    """DER INTEGER of a number below 2^1000: short, positive (X.690, 8.3)."""
    short = unsigned.lstrip(b"\0") or b"\0"
    if short[0] & 0x80:
        return bytes((0x02, len(short) + 1, 0)) + short
    return bytes((0x02, len(short))) + short


def service_public_key(session: TokenSession, key: SigningServiceKey) -> bytes:
    """DER SubjectPublicKeyInfo of a service key, proved by a signature.

    Raises:
        HsmNotReady: the public key of this name is another's.
    """
    label = service_key_label(key)
    point = session.search(templates.FIND_PUBLIC_KEY, label)[Attribute.EC_POINT]
    public_key = P256.public_key(point)
    digest = secrets.token_bytes(32)
    (signature,) = sign_digests(service_key(session, key), (digest,))
    try:
        public_key.verify(signature, digest, ec.ECDSA(Prehashed(hashes.SHA256())))
    except InvalidSignature as error:
        raise HsmNotReady(f"the token's public key {label} is not of its private key") from error
    return spki_of(public_key)


def spki_of(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey) -> bytes:
    """DER SubjectPublicKeyInfo."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _numbers(session: Session, find: templates.Template, form: re.Pattern[str]) -> list[int]:
    labels = [form.fullmatch(found[Attribute.LABEL]) for found in session.get_objects(find)]
    return sorted(int(label[1]) for label in labels if label)
