"""The protocol by hand: hashlib, hmac and the primitives of cryptography, nothing of ours.

Tests compare the code with this second reading of docs/phone-protocol.md, and make with it what the
code must refuse. Keys come from names and signatures are deterministic (RFC 6979), so that the test
vectors can be made again byte for byte.
"""

import base64
import hashlib
import hmac
import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256

Jwk = dict[str, str]
Claims = Mapping[str, Any]

PRIME = 2**256 - 2**224 + 2**192 + 2**96 - 1
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ES256 = ec.ECDSA(SHA256(), deterministic_signing=True)


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def mac(key: bytes, *parts: bytes) -> bytes:
    return hmac.digest(key, b"".join(parts), "sha256")


def octets(name: str, length: int = 32) -> bytes:
    """Bytes that are the same in every run."""
    return hashlib.shake_256(f"cellkey test vectors: {name}".encode()).digest(length)


def b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def compact_json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


# --- keys -----------------------------------------------------------------------------------------


def private_key(name: str) -> ec.EllipticCurvePrivateKey:
    scalar = int.from_bytes(octets(f"key {name}")) % (ORDER - 1) + 1
    return ec.derive_private_key(scalar, ec.SECP256R1())


def jwk(key: ec.EllipticCurvePrivateKey) -> Jwk:
    numbers = key.public_key().public_numbers()
    x, y = numbers.x.to_bytes(32), numbers.y.to_bytes(32)
    return {"kty": "EC", "crv": "P-256", "x": b64(x), "y": b64(y)}


def thumbprint(public: Mapping[str, str]) -> bytes:
    """RFC 7638: required members, sorted, without white space."""
    return sha(json.dumps(dict(public), sort_keys=True, separators=(",", ":")).encode())


def scalar(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_numbers().private_value.to_bytes(32)


# --- JWS ------------------------------------------------------------------------------------------


def raw_ecdsa(message: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
    r, s = decode_dss_signature(key.sign(message, ES256))
    return r.to_bytes(32) + s.to_bytes(32)


def header(typ: str, key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
    return {"alg": "ES256", "typ": typ, "kid": b64(thumbprint(jwk(key)))}


def jws(
    claims: Claims | bytes,
    key: ec.EllipticCurvePrivateKey,
    *,
    typ: str = "",
    head: Claims | bytes | None = None,
) -> str:
    """A compact JWS; ``head`` in place of the right header, bytes in place of either."""
    given = header(typ, key) if head is None else head
    first = given if isinstance(given, bytes) else compact_json(given)
    second = claims if isinstance(claims, bytes) else compact_json(claims)
    signed = f"{b64(first)}.{b64(second)}"
    return f"{signed}.{b64(raw_ecdsa(signed.encode(), key))}"


# --- JWE (RFC 7516; RFC 7518, 4.6 and 5.3) --------------------------------------------------------


def _sized(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def content_key(shared: bytes, *, apu: bytes, apv: bytes) -> bytes:
    """Concat KDF with SHA-256: one round gives all 256 bits."""
    info = _sized(b"A256GCM") + _sized(apu) + _sized(apv) + struct.pack(">I", 256)
    return sha(struct.pack(">I", 1), shared, info)


def jwe(
    plaintext: bytes,
    *,
    recipient: ec.EllipticCurvePublicKey,
    ephemeral: ec.EllipticCurvePrivateKey,
    nonce: bytes,
    head: Claims,
) -> str:
    """A compact JWE; ``head`` is the whole header, in its order."""
    apu, apv = unb64(head.get("apu", "")), unb64(head.get("apv", ""))
    key = content_key(ephemeral.exchange(ec.ECDH(), recipient), apu=apu, apv=apv)
    protected = b64(compact_json(head))
    sealed = AESGCM(key).encrypt(nonce, plaintext, protected.encode())
    return f"{protected}..{b64(nonce)}.{b64(sealed[:-16])}.{b64(sealed[-16:])}"


def seal_header(
    typ: str, ephemeral: ec.EllipticCurvePrivateKey, *, apv: bytes, apu: bytes | None = None
) -> dict[str, Any]:
    head = {"alg": "ECDH-ES", "enc": "A256GCM", "typ": typ, "epk": jwk(ephemeral)}
    sender = {} if apu is None else {"apu": b64(apu)}
    return head | sender | {"apv": b64(apv)}


def open_jwe(compact: str, key: ec.EllipticCurvePrivateKey) -> bytes:
    protected, _none, nonce, ciphertext, tag = compact.split(".")
    head = json.loads(unb64(protected))
    numbers = ec.EllipticCurvePublicNumbers(
        int.from_bytes(unb64(head["epk"]["x"])),
        int.from_bytes(unb64(head["epk"]["y"])),
        ec.SECP256R1(),
    )
    shared = key.exchange(ec.ECDH(), numbers.public_key())
    cek = content_key(shared, apu=unb64(head.get("apu", "")), apv=unb64(head["apv"]))
    sealed = unb64(ciphertext) + unb64(tag)
    return AESGCM(cek).decrypt(unb64(nonce), sealed, protected.encode())


# --- derivations (section 5) ----------------------------------------------------------------------


def hkdf(secret: bytes, *, info: bytes, salt: bytes = b"", length: int = 32) -> bytes:
    """RFC 5869 with SHA-256; at most one block is ever wanted."""
    assert length <= 32
    return mac(mac(salt or bytes(32), secret), info, b"\x01")[:length]


def raw_lock(plaintext: bytes, *, key: bytes, nonce: bytes, aad: bytes) -> bytes:
    return nonce + AESGCM(key).encrypt(nonce, plaintext, aad)


def label(cell: bytes, kind: str, purpose: str, holder: bytes = b"") -> bytes:
    return b"cell-lock-v1\0" + cell + kind.encode() + b"\0" + purpose.encode() + b"\0" + holder


def crockford(secret: bytes) -> str:
    number, text = int.from_bytes(secret), ""
    for _ in range(26):
        number, digit = divmod(number, 32)
        text = ALPHABET[digit] + text
    return text


def twelve(enrolment: str) -> str:
    text = base64.b32encode(sha(b"cell-pair-v1\0", enrolment.encode())).decode()
    return f"{text[:4]}-{text[4:8]}-{text[8:12]}"


def eight_digits(value: bytes) -> str:
    return f"{int.from_bytes(value) % 10**8:08d}"


def operation(tx_hash: bytes) -> str:
    number = int.from_bytes(sha(b"cell-operation-v1\0", tx_hash)[:5])
    letters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    return "".join(letters[number // 32**place % 32] for place in range(7, -1, -1))


def hotp(seed: bytes, counter: int) -> str:
    """RFC 4226, 5.3, with eight digits."""
    digest = hmac.digest(seed, counter.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 15
    return f"{(int.from_bytes(digest[offset : offset + 4]) & 0x7FFFFFFF) % 10**8:08d}"


def transaction_key(hour_key: bytes, jti: bytes) -> int:
    digest = hmac.digest(hour_key, b"cell-tx-v1\0" + jti, "sha512")
    return int.from_bytes(digest) % (ORDER - 1) + 1


def tree_root(leaves: Sequence[bytes]) -> bytes:
    """RFC 9162 by a stack of perfect trees (2.1.2's order of merging), not by recursion."""
    stack: list[tuple[int, bytes]] = []
    for leaf in leaves:
        stack.append((1, sha(b"\0", leaf)))
        while len(stack) > 1 and stack[-1][0] == stack[-2][0]:
            size, right = stack.pop()
            _, left = stack.pop()
            stack.append((2 * size, sha(b"\1", left, right)))
    _, root = stack.pop()
    while stack:
        _, left = stack.pop()
        root = sha(b"\1", left, root)
    return root
