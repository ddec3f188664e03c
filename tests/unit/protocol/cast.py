"""The cast of all protocol tests: keys, ids and one good example of every message.

Everything is made by ``by_hand``; the readers beside the examples are the code under test.
"""

from functools import cache
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec

from backend.protocol.ask import VerifiedAsk, verify_ask
from backend.protocol.jose import PublicJwk
from backend.protocol.record import CellRecord, RecordDevice, verify_record
from tests.unit.protocol import by_hand
from tests.unit.protocol.authenticator import ORIGIN, RP_ID, Authenticator

NOW = 1_795_000_000
BODY = b'{"refusal":"x"}'
ADDRESS = "https://phone-api.example/transactions/1/refusal"
CELL = UUID("6f0f1f43-6a0b-4f39-9d0a-1d0f0d8f6f01")
SIGNER = UUID("0a4f8a57-5f0c-4d0e-8a34-7b1b9c1a2b02")
TX = UUID("b7f5c1de-2f0e-4c57-8f4e-3d5d9a1c4d03")
PAIRING_TX = UUID("1c9d3a4b-7c1e-4a51-b6c3-52b5e2d1ee04")
JTI = UUID("9e107d9d-372b-4e82-a1d8-0f3d2c3b4c05")
BOOT = UUID("51f6e3b2-8d11-4a4f-9b77-0f6c5a4e3d06")
CELL_SECRET = by_hand.octets("cell secret")

KS = by_hand.private_key("KS")
NEXT_KS = by_hand.private_key("the next KS")
KA = by_hand.private_key("KA")
TRANSACTION = by_hand.private_key("transaction")
EPHEMERAL = by_hand.private_key("ephemeral")
APPROVAL = by_hand.private_key("approval")
REQUEST = by_hand.private_key("request")
UNLOCK = by_hand.private_key("unlock")
PASSKEY = Authenticator(
    key=by_hand.private_key("passkey"), credential_id=by_hand.octets("credential id", 24)
)

SECURITY_KEY = Authenticator(
    key=by_hand.private_key("security key"), credential_id=by_hand.octets("security key's id", 48)
)


def public(key: ec.EllipticCurvePrivateKey) -> PublicJwk:
    return PublicJwk.of(key.public_key())


def tp(key: ec.EllipticCurvePrivateKey) -> bytes:
    return by_hand.thumbprint(by_hand.jwk(key))


def b64_tp(key: ec.EllipticCurvePrivateKey) -> str:
    return by_hand.b64(tp(key))


# --- what is signed -------------------------------------------------------------------------------

ITEMS = tuple(
    by_hand.compact_json({"label": label, "type": "dtbsr", "hash": by_hand.b64(by_hand.sha(body))})
    for label, body in (("Contract.pdf", b"one"), ("Приложение 1", b"two"), ("C", b"three"))
)
LIST = tuple(item.decode() for item in ITEMS)

ASK_CLAIMS: dict[str, Any] = {
    "v": 1,
    "kind": "sign",
    "iss": "https://sign.example",
    "jti": str(TX),
    "iat": NOW,
    "exp": NOW + 300,
    "use_by": NOW + 600,
    "cell": str(CELL),
    "epoch": 2,
    "rp": {"id": "broker", "name": "Торговая площадка «Восход»"},
    "text": {"lang": "ru", "title": "Подпись документов", "lines": ["Документов: 3", "Брокер"]},
    "fields": {"type": "generic", "purpose": "three documents"},
    "documents": {"root": by_hand.b64(by_hand.tree_root(ITEMS)), "count": 3},
    "hash_alg": "SHA-256",
    "key_thumbprints": None,
    "sam": by_hand.jwk(TRANSACTION),
    "number_asked": True,
}
ENROL_ASK_CLAIMS = ASK_CLAIMS | {
    "kind": "enrol",
    "jti": str(PAIRING_TX),
    "epoch": 1,
    "rp": {"id": "ca", "name": "Example CA"},
    "text": {"lang": "en", "title": "A new phone", "lines": ["Whose signature: Anna Example"]},
    "fields": {"type": "enrol", "name": "Anna Example"},
    "documents": None,
    "hash_alg": None,
    "number_asked": False,
}
ASK = by_hand.jws(ASK_CLAIMS, KS, typ="cell-ask+jwt")
ENROL_ASK = by_hand.jws(ENROL_ASK_CLAIMS, KS, typ="cell-ask+jwt")
TX_HASH = by_hand.sha(ASK.encode())
ENROL_TX_HASH = by_hand.sha(ENROL_ASK.encode())


def sealed_to(tx_hash: bytes, *, nonce: bytes = by_hand.octets("nonce", 12)) -> str:
    """A ``cell-secret`` for the ask of that hash."""
    head = by_hand.seal_header("cell-secret", EPHEMERAL, apu=tp(APPROVAL), apv=tx_hash)
    return by_hand.jwe(
        CELL_SECRET,
        recipient=TRANSACTION.public_key(),
        ephemeral=EPHEMERAL,
        nonce=nonce,
        head=head,
    )


SEALED = sealed_to(TX_HASH)
ENROL_SEALED = sealed_to(ENROL_TX_HASH)
LOCK_LABEL = by_hand.label(CELL.bytes, "device", "sign", tp(APPROVAL))
DEVICE_LOCK = by_hand.jwe(
    CELL_SECRET,
    recipient=UNLOCK.public_key(),
    ephemeral=EPHEMERAL,
    nonce=by_hand.octets("lock nonce", 12),
    head=by_hand.seal_header("cell-lock", EPHEMERAL, apv=LOCK_LABEL),
)

# --- challenges -----------------------------------------------------------------------------------

APPROVAL_CHALLENGE = by_hand.sha(b"cell-approve-v1\0", TX_HASH, tp(EPHEMERAL))
ENROLMENT_CHALLENGE = by_hand.sha(
    b"cell-enrol-v1\0", ENROL_TX_HASH, tp(APPROVAL), tp(REQUEST), tp(UNLOCK), tp(EPHEMERAL)
)

# --- the other messages ---------------------------------------------------------------------------

KEYS = {
    "approval": by_hand.jwk(APPROVAL),
    "request": by_hand.jwk(REQUEST),
    "unlock": by_hand.jwk(UNLOCK),
}
APPROVAL_CLAIMS: dict[str, Any] = {
    "tx": str(TX),
    "tx_hash": by_hand.b64(TX_HASH),
    "decision": "approve",
    "sealed": by_hand.b64(by_hand.sha(SEALED.encode())),
    "epk": b64_tp(EPHEMERAL),
    "number": "07",
    "iat": NOW,
    "jti": str(JTI),
    "webauthn": PASSKEY.sign(APPROVAL_CHALLENGE),
}
CODE_APPROVAL_CLAIMS: dict[str, Any] = {
    name: value for name, value in APPROVAL_CLAIMS.items() if name != "webauthn"
} | {
    "number": None,
    "method": "password+sms",
    "number_hash": by_hand.b64(by_hand.octets("number hash")),
}
REFUSAL_CLAIMS: dict[str, Any] = {
    "tx": str(TX),
    "tx_hash": by_hand.b64(TX_HASH),
    "decision": "not_me",
    "iat": NOW,
    "jti": str(JTI),
}
ENROLMENT_CLAIMS: dict[str, Any] = {
    "tx_hash": by_hand.b64(ENROL_TX_HASH),
    "keys": KEYS,
    "kind": "pwa",
    "sealed": by_hand.b64(by_hand.sha(ENROL_SEALED.encode())),
    "epk": b64_tp(EPHEMERAL),
    "webauthn": {
        "registration": PASSKEY.register(ENROLMENT_CHALLENGE),
        "assertion": PASSKEY.sign(ENROLMENT_CHALLENGE),
    },
    "attestation": None,
}
NATIVE_ENROLMENT_CLAIMS = ENROLMENT_CLAIMS | {
    "kind": "native",
    "webauthn": None,
    "attestation": {"format": "android-key", "statement": [by_hand.b64(b"certificate")]},
}
DESKTOP_ENROLMENT_CLAIMS = ENROLMENT_CLAIMS | {"kind": "desktop"}
ENROLMENT = by_hand.jws(ENROLMENT_CLAIMS, APPROVAL, typ="cell-enrolment+jwt")
FURTHER_ASK_CLAIMS = ENROL_ASK_CLAIMS | {
    "epoch": 2,
    "key_thumbprints": {
        "approval": b64_tp(APPROVAL),
        "request": b64_tp(REQUEST),
        "unlock": b64_tp(UNLOCK),
    },
}
"""Somebody's paired phone adds the phone of this cast."""
FURTHER_ASK = by_hand.jws(FURTHER_ASK_CLAIMS, KS, typ="cell-ask+jwt")
FURTHER_ENROLMENT_CLAIMS = ENROLMENT_CLAIMS | {
    "tx_hash": by_hand.b64(by_hand.sha(FURTHER_ASK.encode())),
    "kind": "virtual",
    "sealed": None,
    "epk": None,
    "webauthn": None,
}
NEW_PASSWORD_ASK_CLAIMS = ENROL_ASK_CLAIMS | {
    "kind": "set_password",
    "epoch": 2,
    "text": {"lang": "en", "title": "A new password", "lines": ["Whose password: Anna Example"]},
    "fields": {
        "type": "set_password",
        "name": "Anna Example",
        "begun_at": "2026-01-01T12:00:00Z",
        "session": by_hand.b64(by_hand.octets("hash of a browser's secret")),
    },
    "number_asked": True,
}
SPKI = by_hand.octets("not read here: a public key", 91)
RECORD_CLAIMS: dict[str, Any] = {
    "cell": str(CELL),
    "signer": str(SIGNER),
    "subject": by_hand.b64(by_hand.octets("subject")),
    "epoch": 2,
    "prev": by_hand.b64(by_hand.octets("record before")),
    "origin": "generated",
    "alg": "P-256",
    "spki": by_hand.b64(SPKI),
    "kw": "kw-1",
    "certificate": by_hand.b64(by_hand.octets("certificate")),
    "confirmed": True,
    "devices": [
        {
            "kid": b64_tp(APPROVAL),
            **KEYS,
            "kind": "pwa",
            "uv": "webauthn",
            "webauthn": {
                "id": by_hand.b64(PASSKEY.credential_id),
                "key": by_hand.jwk(PASSKEY.key),
                "rp_id": RP_ID,
                "origin": ORIGIN,
            },
            "enrolment": by_hand.b64(by_hand.sha(ENROLMENT.encode())),
            "confirmed_by": ["sms", "operator"],
        }
    ],
    "sms": by_hand.b64(by_hand.octets("number")),
    "totp": None,
    "policy": {
        "methods": ["app", "password+sms"],
        "caps": {"multisign": 100, "kinds": ["pwa", "virtual"], "confirm": ["sms"]},
    },
}
DESKTOP_ENROLMENT = by_hand.jws(DESKTOP_ENROLMENT_CLAIMS, APPROVAL, typ="cell-enrolment+jwt")
DESKTOP_RECORD_CLAIMS = RECORD_CLAIMS | {
    "devices": [
        RECORD_CLAIMS["devices"][0]
        | {"kind": "desktop", "enrolment": by_hand.b64(by_hand.sha(DESKTOP_ENROLMENT.encode()))}
    ],
    "policy": {
        "methods": ["app"],
        "caps": {"multisign": 100, "kinds": ["pwa", "native", "desktop"], "confirm": ["sms"]},
    },
}
RECORD_HASH = by_hand.sha(by_hand.jws(RECORD_CLAIMS, KS, typ="cell-record+jwt").encode())
NEW_KEY_CHALLENGE = by_hand.sha(b"cell-security-key-v1\0", RECORD_HASH, tp(APPROVAL))
NEW_KEY = SECURITY_KEY.register(NEW_KEY_CHALLENGE)
CONSENT_CHALLENGE = by_hand.sha(
    b"cell-security-key-consent-v1\0",
    RECORD_HASH,
    tp(APPROVAL),
    by_hand.sha(by_hand.unb64(NEW_KEY["attestationObject"])),
)
SECURITY_KEY_CLAIMS: dict[str, Any] = {
    "record": by_hand.b64(RECORD_HASH),
    "webauthn": {"registration": NEW_KEY, "assertion": SECURITY_KEY.sign(NEW_KEY_CHALLENGE)},
    "consent": PASSKEY.sign(CONSENT_CHALLENGE),
}
HELD_SECURITY_KEY: dict[str, Any] = {
    "id": by_hand.b64(SECURITY_KEY.credential_id),
    "key": by_hand.jwk(SECURITY_KEY.key),
    "rp_id": RP_ID,
    "origin": ORIGIN,
}
SECURITY_KEY_RECORD_CLAIMS = RECORD_CLAIMS | {
    "epoch": 3,
    "prev": by_hand.b64(RECORD_HASH),
    "devices": [RECORD_CLAIMS["devices"][0] | {"security_keys": [HELD_SECURITY_KEY]}],
}
"""The record once the security key is believed."""
PASSWORD_PROOF_CLAIMS: dict[str, Any] = {
    "signer": str(SIGNER),
    "use": "enrol",
    "tx_hash": by_hand.b64(ENROL_TX_HASH),
    "exp": NOW + 300,
}
KEY_CHANGE_CLAIMS: dict[str, Any] = {
    "v": 1,
    "iat": NOW,
    "old": b64_tp(KS),
    "new": by_hand.jwk(NEXT_KS),
}
RECEIPT_CLAIMS: dict[str, Any] = {
    "boot": str(BOOT),
    "number": 1,
    "iat": NOW,
    "tx_hash": by_hand.b64(TX_HASH),
    "approval": by_hand.b64(by_hand.octets("approval")),
    "signed": [
        {
            "item": by_hand.b64(by_hand.sha(b"\0", ITEMS[0])),
            "hash": by_hand.b64(by_hand.sha(b"one")),
        }
    ],
}
PROOF_CLAIMS: dict[str, Any] = {
    "htm": "PUT",
    "htu": ADDRESS,
    "iat": NOW,
    "jti": str(JTI),
    "body": by_hand.b64(by_hand.sha(BODY)),
}


@cache
def device() -> RecordDevice:
    """The phone, as the record knows it."""
    return record().devices[0]


@cache
def record() -> CellRecord:
    compact = by_hand.jws(RECORD_CLAIMS, KS, typ="cell-record+jwt")
    return verify_record(compact, expected_ks=public(KS))


@cache
def ask() -> VerifiedAsk:
    return verify_ask(ASK, expected_ks=public(KS))


@cache
def enrol_ask() -> VerifiedAsk:
    return verify_ask(ENROL_ASK, expected_ks=public(KS))
