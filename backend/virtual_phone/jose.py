"""Signed and encrypted messages (section 1): compact JWS by ES256, compact JWE by ECDH-ES, A256GCM.

By hand over pyca/cryptography, because an approval needs a JWE under an ephemeral key that was made
before. A header has exactly the members of section 1; ``zip crit jwk jku x5u x5c`` thus fail, and
so does another ``alg`` or ``typ`` than the place expects.
"""

import os
import struct
from typing import Literal

import msgspec
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from backend.virtual_phone.encoding import b64u, compact_json, read_json, sha256, unb64u
from backend.virtual_phone.errors import MessageRefused, StateUnusable

MESSAGE_LIMIT = 65536
COORDINATE = 32
NONCE = 12
TAG = 16
ES256 = ec.ECDSA(hashes.SHA256())


class Jwk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A P-256 public key with exactly the members that a JWK in a message has."""

    kty: Literal["EC"] = "EC"
    crv: Literal["P-256"] = "P-256"
    x: str
    y: str

    def thumbprint(self) -> bytes:
        """SHA-256 thumbprint (RFC 7638)."""
        return sha256(compact_json({"crv": self.crv, "kty": self.kty, "x": self.x, "y": self.y}))

    def members(self) -> dict[str, str]:
        """The key as it stands in a message."""
        return {"kty": self.kty, "crv": self.crv, "x": self.x, "y": self.y}

    def key(self) -> ec.EllipticCurvePublicKey:
        """The key itself.

        Raises:
            MessageRefused: the coordinates are no point of the curve.
        """
        x, y = (int.from_bytes(unb64u(part, length=COORDINATE)) for part in (self.x, self.y))
        try:
            return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
        except ValueError as error:
            raise MessageRefused("a key is no point of P-256") from error


class SignatureHeader(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Header of a JWS."""

    alg: Literal["ES256"]
    typ: str
    kid: str


class EncryptionHeader(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Header of a JWE; ``apu`` stands only in a ``cell-secret``."""

    alg: Literal["ECDH-ES"]
    enc: Literal["A256GCM"]
    typ: str
    epk: Jwk
    apu: str | msgspec.UnsetType = msgspec.UNSET
    apv: str


def new_key() -> ec.EllipticCurvePrivateKey:
    """A new P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def jwk_of(key: ec.EllipticCurvePrivateKey) -> Jwk:
    """Public half of a key."""
    numbers = key.public_key().public_numbers()
    return Jwk(x=b64u(numbers.x.to_bytes(COORDINATE)), y=b64u(numbers.y.to_bytes(COORDINATE)))


def key_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as PKCS#8 DER."""
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def key_from(data: bytes) -> ec.EllipticCurvePrivateKey:
    """A private key from PKCS#8 DER, as the state file keeps it.

    Raises:
        StateUnusable: it is not a P-256 key.
    """
    try:
        key = load_der_private_key(data, password=None)
    except (ValueError, TypeError) as error:
        raise StateUnusable("a key of the phone cannot be read") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise StateUnusable("a key of the phone is not of P-256")
    return key


def sign(claims: dict[str, object], *, typ: str, key: ec.EllipticCurvePrivateKey) -> str:
    """A compact JWS; its ``kid`` is the thumbprint of the key that signs."""
    header = {"alg": "ES256", "typ": typ, "kid": b64u(jwk_of(key).thumbprint())}
    signed = f"{b64u(compact_json(header))}.{b64u(compact_json(claims))}"
    r, s = decode_dss_signature(key.sign(signed.encode(), ES256))
    return f"{signed}.{b64u(r.to_bytes(COORDINATE) + s.to_bytes(COORDINATE))}"


def verify(unverified: str, *, typ: str, key: Jwk) -> bytes:
    """Payload of a JWS that ``key`` signed.

    Raises:
        MessageRefused: another form, ``alg``, ``typ`` or ``kid``, or not signed by ``key``.
    """
    header_part, payload_part, signature_part = _parts(unverified, count=3)
    header = read_json(unb64u(header_part), SignatureHeader)
    if header.typ != typ:
        raise MessageRefused(f"a message is of type {header.typ!r}, not {typ!r}")
    if header.kid != b64u(key.thumbprint()):
        raise MessageRefused(f"a {typ} is signed by another key than the expected one")
    raw = unb64u(signature_part, length=2 * COORDINATE)
    r, s = int.from_bytes(raw[:COORDINATE]), int.from_bytes(raw[COORDINATE:])
    try:
        key.key().verify(
            encode_dss_signature(r, s), f"{header_part}.{payload_part}".encode(), ES256
        )
    except InvalidSignature as error:
        raise MessageRefused(f"the signature of a {typ} is wrong") from error
    return unb64u(payload_part)


def signer_of(unverified: str) -> str:
    """``kid`` of a JWS, before anything of it is verified."""
    return read_json(unb64u(_parts(unverified, count=3)[0]), SignatureHeader).kid


def unverified_payload(unverified: str) -> bytes:
    """Payload of a JWS, before anything of it is verified."""
    return unb64u(_parts(unverified, count=3)[1])


def seal(
    plaintext: bytes,
    *,
    typ: str,
    recipient: Jwk,
    ephemeral: ec.EllipticCurvePrivateKey,
    apu: bytes | None,
    apv: bytes,
) -> str:
    """A compact JWE to ``recipient`` under an ephemeral key of the caller's (RFC 7518, 4.6)."""
    header: dict[str, object] = {"alg": "ECDH-ES", "enc": "A256GCM", "typ": typ}
    header["epk"] = jwk_of(ephemeral).members()
    if apu is not None:
        header["apu"] = b64u(apu)
    header["apv"] = b64u(apv)
    protected = b64u(compact_json(header))
    key = _agreed_key(ephemeral, recipient, apu=apu or b"", apv=apv)
    nonce = os.urandom(NONCE)
    encrypted = AESGCM(key).encrypt(nonce, plaintext, protected.encode())
    return f"{protected}..{b64u(nonce)}.{b64u(encrypted[:-TAG])}.{b64u(encrypted[-TAG:])}"


def unseal(
    unverified: str,
    *,
    typ: str,
    key: ec.EllipticCurvePrivateKey,
    apu: bytes | None,
    apv: bytes,
) -> bytes:
    """Plaintext of a JWE to ``key`` with exactly these ``apu`` and ``apv``.

    Raises:
        MessageRefused: another form or context, or it was made for another key.
    """
    protected, empty, nonce, ciphertext, tag = _parts(unverified, count=5)
    header = read_json(unb64u(protected), EncryptionHeader)
    expected_apu = msgspec.UNSET if apu is None else b64u(apu)
    if empty or header.typ != typ or header.apu != expected_apu or header.apv != b64u(apv):
        raise MessageRefused(f"this is not the {typ} that belongs here")
    agreed = _agreed_key(key, header.epk, apu=apu or b"", apv=apv)
    try:
        return AESGCM(agreed).decrypt(
            unb64u(nonce, length=NONCE),
            unb64u(ciphertext) + unb64u(tag, length=TAG),
            protected.encode(),
        )
    except InvalidTag as error:
        raise MessageRefused(f"a {typ} does not open") from error


def _agreed_key(
    private: ec.EllipticCurvePrivateKey, public: Jwk, *, apu: bytes, apv: bytes
) -> bytes:
    """Concat KDF of ECDH-ES in direct mode (RFC 7518, 4.6.2; NIST SP 800-56A)."""
    parts = [struct.pack(">I", len(part)) + part for part in (b"A256GCM", apu, apv)]
    other = b"".join(parts) + struct.pack(">I", 256)
    shared = private.exchange(ec.ECDH(), public.key())
    return ConcatKDFHash(hashes.SHA256(), length=32, otherinfo=other).derive(shared)


def _parts(unverified: str, *, count: int) -> list[str]:
    if len(unverified) > MESSAGE_LIMIT:
        raise MessageRefused(f"a message is longer than {MESSAGE_LIMIT} characters")
    parts = unverified.split(".")
    if len(parts) != count:
        raise MessageRefused(f"a message has {len(parts)} parts, not {count}")
    return parts
