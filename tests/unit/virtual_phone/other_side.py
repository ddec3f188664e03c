"""The service's side of docs/phone-protocol.md, made with joserfc: it judges the phone's messages.

Only what a phone receives is made here, and what it sends is opened. Nothing of the phone's own
code is used but its names for the forms of answers.
"""

import base64
import hashlib
import json
import os
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwe, jws
from joserfc.jwk import ECKey

NOW = 1_795_000_000
JWE_ALGORITHMS = ["ECDH-ES", "A256GCM"]


def b64u(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64u(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def public(key: ECKey) -> dict[str, Any]:
    members = key.as_dict(private=False)
    return {name: members[name] for name in ("kty", "crv", "x", "y")}


def thumbprint(key: ECKey) -> bytes:
    return unb64u(key.thumbprint())


def signed(key: ECKey, *, typ: str, claims: dict[str, Any], **header: object) -> str:
    members = {"alg": "ES256", "typ": typ, "kid": key.thumbprint()} | header
    return jws.serialize_compact(members, json.dumps(claims), key, algorithms=["ES256"])


def claims_of(message: str, *, key: ECKey, typ: str) -> dict[str, Any]:
    """Claims of a JWS of exactly this type that ``key`` signed."""
    read = jws.deserialize_compact(message, key, algorithms=["ES256"])
    assert read.headers() == {"alg": "ES256", "typ": typ, "kid": key.thumbprint()}
    assert read.payload is not None
    claims: dict[str, Any] = json.loads(read.payload)
    return claims


def hkdf(secret: bytes, *, info: str, salt: bytes | None = None, length: int = 32) -> bytes:
    return HKDF(hashes.SHA256(), length=length, salt=salt, info=info.encode()).derive(secret)


def raw_lock(key: bytes, plaintext: bytes, label: bytes) -> str:
    nonce = os.urandom(12)
    return b64u(nonce + AESGCM(key).encrypt(nonce, plaintext, label))


def certificate_transparency_root(leaves: Sequence[bytes]) -> bytes:
    """RFC 9162's tree, built upwards over whole levels instead of by its recursive definition."""
    level = [sha256(b"\0" + leaf) for leaf in leaves]
    while len(level) > 1:
        pairs = [level[place : place + 2] for place in range(0, len(level), 2)]
        level = [sha256(b"\1" + b"".join(pair)) if pair[1:] else pair[0] for pair in pairs]
    return level[0]


class OtherSide:
    """A service with one cell."""

    def __init__(self) -> None:
        self.ks = ECKey.generate_key("P-256")
        self.cell = uuid4()
        self.cell_secret = os.urandom(32)
        self.transaction_keys: dict[str, ECKey] = {}

    def ask(self, kind: str = "sign", *, items: Sequence[str] = (), **claims: object) -> str:
        """A signed ask; claims of the test replace the usual ones."""
        jti = str(claims.setdefault("jti", str(uuid4())))
        sam = self.transaction_keys[jti] = ECKey.generate_key("P-256")
        documents = None
        if kind in ("sign", "certificate_request"):
            root = certificate_transparency_root([item.encode() for item in items])
            documents = {"root": b64u(root), "count": len(items)}
        usual = {
            "v": 1,
            "kind": kind,
            "iss": "https://cellkey.test",
            "iat": NOW,
            "exp": NOW + 300,
            "use_by": NOW + 600,
            "cell": str(self.cell),
            "epoch": 1,
            "rp": {"id": "broker", "name": "Брокер"},
            "text": {"lang": "ru", "title": "Договор", "lines": ["Сумма: 100 ₽"]},
            "fields": {"type": "payment"},
            "documents": documents,
            "hash_alg": None if documents is None else "SHA-256",
            "key_thumbprints": None,
            "sam": public(sam),
            "number_asked": False,
        }
        return signed(self.ks, typ="cell-ask+jwt", claims=usual | claims)

    def item(self, label: str = "Договор.pdf", *, kind: str = "dtbsr", **members: str) -> str:
        return json.dumps(
            {"label": label, "type": kind, "hash": b64u(os.urandom(32))} | members,
            ensure_ascii=False,
        )

    def envelope_lock(self, secret: bytes, *, pin: bytes | None = None) -> str:
        pairing = hkdf(secret, info="cell-pairing-id-v1", length=16)
        label = b"cell-lock-v1\0" + self.cell.bytes + b"envelope\0recover\0" + pairing
        content = self.cell_secret + (pin or thumbprint(self.ks))
        return raw_lock(hkdf(secret, info="cell-envelope-v1"), content, label)

    def recovery_lock(self, code: bytes) -> str:
        label = b"cell-lock-v1\0" + self.cell.bytes + b"recovery\0recover\0"
        key = hkdf(code, salt=self.cell.bytes, info="cell-recovery-v1")
        return raw_lock(key, self.cell_secret, label)

    def device_lock(self, *, unlock: dict[str, Any], kid: bytes, cell: UUID | None = None) -> str:
        label = b"cell-lock-v1\0" + (cell or self.cell).bytes + b"device\0sign\0" + kid
        header = {
            "alg": "ECDH-ES",
            "enc": "A256GCM",
            "typ": "cell-lock",
            "apv": b64u(label),
        }
        recipient = ECKey.import_key(unlock)
        return jwe.encrypt_compact(header, self.cell_secret, recipient, JWE_ALGORITHMS)

    def opened(self, sealed: str, *, jti: str, approval_key: bytes, ask: str) -> bytes:
        """The secret in a ``cell-secret`` to the transaction's key."""
        read = jwe.decrypt_compact(sealed, self.transaction_keys[jti], JWE_ALGORITHMS)
        header = read.headers()
        assert set(header) == {"alg", "enc", "typ", "epk", "apu", "apv"}
        assert header["typ"] == "cell-secret"
        assert unb64u(header["apu"]) == approval_key
        assert unb64u(header["apv"]) == sha256(ask.encode())
        assert set(header["epk"]) == {"kty", "crv", "x", "y"}
        assert read.plaintext is not None
        return read.plaintext


def ephemeral_of(sealed: str) -> bytes:
    """Thumbprint of the ephemeral key of a JWE."""
    header = json.loads(unb64u(sealed.partition(".")[0]))
    return thumbprint(ECKey.import_key(header["epk"]))
