"""Signed and sealed messages: JWS (RFC 7515) by ES256, JWE (RFC 7516) by ECDH-ES and A256GCM.

The header is compared member by member before any key is used: nothing in a message chooses the
algorithm, the key, or another header to be obeyed (T-35). The cryptography is joserfc's.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Annotated, Final, Literal, Self, final

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key
from joserfc import jwe, jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from backend.errors import MalformedMessage
from backend.protocol.encoding import (
    Message,
    Octets,
    Octets32,
    ascii_bytes,
    b64u,
    read_message,
    sha256,
    unb64u,
    write_message,
)

LONGEST_MESSAGE: Final = 64 * 1024
LONGEST_RECEIPT: Final = 4 * 1024 * 1024
"""A receipt names every signature of a call; all other messages are at most 64 KiB."""
JWS_PARTS: Final = 3
JWE_PARTS: Final = 5
SIGNATURE_BYTES: Final = 64
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
FIELD_PRIME: Final = (2**256 - 2**224 + 2**192 + 2**96 - 1).to_bytes(32, "big")
"""Of P-256 (SP 800-186, 3.2.1.3)."""

Typ = Annotated[str, msgspec.Meta(max_length=64)]

Sign = Callable[[bytes], bytes]
"""Signs a message with ES256 and gives r ‖ s, 64 bytes (RFC 7518, 3.4)."""


@final
class PublicJwk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A P-256 public key as a JWK of exactly four members.

    What is no point of the curve is refused, and a coordinate that is not reduced: it would be the
    same key under another thumbprint.
    """

    kty: Literal["EC"] = "EC"
    crv: Literal["P-256"] = "P-256"
    x: Octets32
    y: Octets32

    def __post_init__(self) -> None:
        """Refuse what is no point of the curve in its one form."""
        if max(self.x, self.y) >= FIELD_PRIME:
            raise MalformedMessage("a coordinate is not below the field's prime")
        try:
            self.public_key()
        except ValueError as error:
            raise MalformedMessage("not a point of P-256") from error

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The key as ``cryptography`` has it."""
        x, y = int.from_bytes(self.x, "big"), int.from_bytes(self.y, "big")
        return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()

    def thumbprint(self) -> Octets32:
        """RFC 7638 SHA-256 thumbprint."""
        members = f'{{"crv":"P-256","kty":"EC","x":"{b64u(self.x)}","y":"{b64u(self.y)}"}}'
        return sha256(members.encode("ascii"))

    @classmethod
    def of(cls, key: ec.EllipticCurvePublicKey) -> Self:
        """Make the JWK of a P-256 key.

        Raises:
            MalformedMessage: it is of another curve.
        """
        if not isinstance(key.curve, ec.SECP256R1):
            raise MalformedMessage("not a P-256 key")
        numbers = key.public_numbers()
        return cls(
            x=Octets32(numbers.x.to_bytes(32, "big")), y=Octets32(numbers.y.to_bytes(32, "big"))
        )

    @classmethod
    def of_spki(cls, spki: bytes) -> Self:
        """Make the JWK of a P-256 key in DER SubjectPublicKeyInfo.

        Raises:
            MalformedMessage: it is no such key.
        """
        try:
            key = load_der_public_key(spki)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise MalformedMessage("not a public key") from error
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise MalformedMessage("not a P-256 key")
        return cls.of(key)


def read_jwk(unverified: Mapping[str, str]) -> PublicJwk:
    """Read the members of a JWK.

    Raises:
        MalformedMessage: they are not those of a P-256 key.
    """
    return read_message(msgspec.json.encode(unverified), PublicJwk)


@final
class JwsHeader(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The only header that a signed message may have."""

    alg: Literal["ES256"] = "ES256"
    typ: Typ
    kid: Octets32


def _es256() -> jws.JWSRegistry:
    registry = jws.JWSRegistry(algorithms=["ES256"])
    registry.max_payload_length = LONGEST_RECEIPT
    return registry


ES256: Final = _es256()


@lru_cache(maxsize=1024)
def _imported(key: PublicJwk) -> ECKey:
    """Import a key once; the same phones and KS come again and again."""
    return ECKey.import_key(key.public_key())


def raw_signature(der: bytes) -> bytes:
    """Turn a DER ECDSA-Sig-Value into r ‖ s, as JOSE wants it."""
    r, s = decode_dss_signature(der)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def sign_jws(
    claims: msgspec.Struct,
    *,
    typ: str,
    key: PublicJwk,
    sign: Sign,
    longest: int = LONGEST_MESSAGE,
) -> str:
    """Write a signed message; ``sign`` holds the private half of ``key``.

    Claims are read before they are signed: what no reader would accept gets no signature.

    Raises:
        MalformedMessage: the claims break a rule of their type, or make too long a message.
    """
    payload = write_message(claims)
    read_message(payload, type(claims))
    return sign_payload(payload, typ=typ, key=key, sign=sign, longest=longest)


def sign_payload(payload: bytes, *, typ: str, key: PublicJwk, sign: Sign, longest: int) -> str:
    """Write a signed message of claims that were written and checked by their type's own rules.

    Raises:
        MalformedMessage: they make too long a message.
    """
    header = b64u(write_message(JwsHeader(typ=typ, kid=key.thumbprint())))
    signing_input = f"{header}.{b64u(payload)}"
    signature = b64u(sign(signing_input.encode("ascii")))
    # A long payload was read already: only what stands around it is read once more.
    unverified_header(f"{header}..{signature}", expected_typ=typ)
    return ascii_bytes(f"{signing_input}.{signature}", longest=longest).decode("ascii")


def unverified_header(
    unverified: str, *, expected_typ: str | frozenset[str], longest: int = LONGEST_MESSAGE
) -> JwsHeader:
    """Read a signed message's header: only to learn which of the keys we hold it names.

    Raises:
        MalformedMessage: it is not a JWS with exactly the header of ``expected_typ``, or of one
            of several.
    """
    expected = {expected_typ} if isinstance(expected_typ, str) else expected_typ
    ascii_bytes(unverified, longest=longest)
    parts = unverified.split(".")
    if len(parts) != JWS_PARTS:
        raise MalformedMessage("not a compact JWS")
    header, _payload, signature = (unb64u(part) for part in parts)
    if len(signature) != SIGNATURE_BYTES:
        raise MalformedMessage("a signature is r ‖ s of 64 bytes")
    read = read_message(header, JwsHeader)
    if read.typ not in expected:
        wanted = " or ".join(sorted(expected))
        raise MalformedMessage(f"a {read.typ!a} where a {wanted} is expected")
    return read


def unverified_payload(unverified: str, claims: type[Message], *, expected_typ: str) -> Message:
    """Read claims for which nobody vouches yet: only to find the key to verify them by.

    Raises:
        MalformedMessage: it is not such a message.
    """
    unverified_header(unverified, expected_typ=expected_typ)
    return read_message(unb64u(unverified.split(".")[1]), claims)


def verify_jws(
    unverified: str,
    claims: type[Message],
    *,
    expected_typ: str,
    expected_key: PublicJwk,
    longest: int = LONGEST_MESSAGE,
) -> Message:
    """Verify a signed message by a key that we hold, then read its claims.

    Raises:
        MalformedMessage: another type, another key, another signature, or other claims.
    """
    header = unverified_header(unverified, expected_typ=expected_typ, longest=longest)
    if header.kid != expected_key.thumbprint():
        raise MalformedMessage(f"{expected_typ}: signed by another key")
    try:
        verified = jws.deserialize_compact(unverified, _imported(expected_key), registry=ES256)
    except (JoseError, ValueError) as error:
        raise MalformedMessage(f"{expected_typ}: the signature is not valid") from error
    return read_message(verified.payload, claims)


@final
class UnverifiedSeal(msgspec.Struct, frozen=True, kw_only=True):
    """What a JWE's header says; nobody vouches for it until the tag has been checked."""

    epk: PublicJwk
    apu: Octets | None
    apv: Octets


class _SealHeader(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    alg: Literal["ECDH-ES"] = "ECDH-ES"
    enc: Literal["A256GCM"] = "A256GCM"
    typ: Typ
    epk: PublicJwk
    apv: Octets


class _SealHeaderWithSender(_SealHeader, frozen=True, kw_only=True, forbid_unknown_fields=True):
    apu: Octets


def unverified_seal(unverified: str, *, expected_typ: str, with_sender: bool) -> UnverifiedSeal:
    """Read a JWE's header; exactly ``alg enc typ epk apv``, and ``apu`` where there is a sender.

    Raises:
        MalformedMessage: it is not a JWE with exactly that header.
    """
    ascii_bytes(unverified, longest=LONGEST_MESSAGE)
    parts = unverified.split(".")
    if len(parts) != JWE_PARTS or parts[1]:
        raise MalformedMessage("not a compact JWE with a direct key")
    protected, _none, nonce, _ciphertext, tag = (unb64u(part) for part in parts)
    if len(nonce) != NONCE_BYTES or len(tag) != TAG_BYTES:
        raise MalformedMessage("not a JWE by A256GCM")
    header = read_message(protected, _SealHeaderWithSender if with_sender else _SealHeader)
    if header.typ != expected_typ:
        raise MalformedMessage(f"a {header.typ!a} where a {expected_typ} is expected")
    apu = header.apu if isinstance(header, _SealHeaderWithSender) else None
    return UnverifiedSeal(epk=header.epk, apu=apu, apv=header.apv)


def open_seal(unverified: str, private_key: ec.EllipticCurvePrivateKey) -> bytes:
    """Open a JWE whose header was read by :func:`unverified_seal`.

    Raises:
        MalformedMessage: it was sealed to another key, or changed.
    """
    try:
        opened = jwe.decrypt_compact(
            unverified, ECKey.import_key(private_key), algorithms=["ECDH-ES", "A256GCM"]
        )
    except (JoseError, ValueError) as error:
        raise MalformedMessage("the seal does not open") from error
    return opened.plaintext or b""


def make_seal(
    plaintext: bytes, *, typ: str, recipient: PublicJwk, apv: bytes, apu: bytes | None = None
) -> str:
    """Seal to a recipient's key with a fresh ephemeral key; ``apu`` names the sender."""
    header = {"alg": "ECDH-ES", "enc": "A256GCM", "typ": typ, "apv": b64u(apv)}
    if apu is not None:
        header["apu"] = b64u(apu)
    return jwe.encrypt_compact(
        header, plaintext, _imported(recipient), algorithms=["ECDH-ES", "A256GCM"]
    )
