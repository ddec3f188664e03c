"""Every derivation of section 5 by hand, for the test vectors. Bytes are hex, ids are text."""

import base64
from typing import Any, Final

from argon2.low_level import Type, hash_secret_raw
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.unit.protocol import by_hand, cast
from tests.unit.protocol.by_hand import hkdf, mac, octets, sha
from tests.unit.protocol.cast import (
    APPROVAL,
    CELL,
    CELL_SECRET,
    EPHEMERAL,
    KS,
    REQUEST,
    SIGNER,
    UNLOCK,
)

ENVELOPE_SECRET: Final = octets("envelope secret", 16)
RECOVERY_CODE: Final = octets("recovery code", 16)
KP: Final = octets("KP")
KE: Final = octets("KE", 64)
NUMBER: Final = "+79161234567"
PASSWORD: Final = "ABCD-EFGH-JKLM-NPQR"  # a password of nobody

Vector = dict[str, Any]


def raw_lock(plaintext: bytes, *, key: bytes, aad: bytes, name: str) -> Vector:
    nonce = octets(f"nonce of {name}", 12)
    lock = by_hand.raw_lock(plaintext, key=key, nonce=nonce, aad=aad)
    return {
        "key": key.hex(),
        "nonce": nonce.hex(),
        "aad": aad.hex(),
        "plaintext": plaintext.hex(),
        "sealed": by_hand.b64(lock),
    }


def outer_layer() -> Vector:
    algorithm, kw = "P-256", "kw-1"
    names = f"{algorithm}\0{kw}".encode()
    aad = b"cell-outer-v1\0" + CELL.bytes + sha(cast.SPKI) + names
    key = hkdf(CELL_SECRET, info=b"cell-outer-v1", salt=CELL.bytes)
    return {
        "cs": CELL_SECRET.hex(),
        "cell": str(CELL),
        "spki": cast.SPKI.hex(),
        "algorithm": algorithm,
        "kw": kw,
        **raw_lock(octets("wrapped key", 40), key=key, aad=aad, name="outer layer"),
    }


def labels() -> list[Vector]:
    pairing = hkdf(ENVELOPE_SECRET, info=b"cell-pairing-id-v1", length=16)
    places = (
        ("envelope", "recover", pairing),
        ("device", "sign", cast.tp(APPROVAL)),
        ("password", "sign", SIGNER.bytes),
        ("password", "recover", SIGNER.bytes),
        ("recovery", "recover", b""),
    )
    return [
        {
            "cell": str(CELL),
            "kind": kind,
            "purpose": purpose,
            "id": holder.hex(),
            "label": by_hand.label(CELL.bytes, kind, purpose, holder).hex(),
        }
        for kind, purpose, holder in places
    ]


def envelope() -> Vector:
    pairing = hkdf(ENVELOPE_SECRET, info=b"cell-pairing-id-v1", length=16)
    return {
        "s": ENVELOPE_SECRET.hex(),
        "pairing": str(type(CELL)(bytes=pairing)),
        "qr_2": f"cellkey:pair?s={by_hand.crockford(ENVELOPE_SECRET)}",
        "qr_2_existing_cell": (
            f"cellkey:pair?s={by_hand.crockford(ENVELOPE_SECRET)}&k={cast.b64_tp(KS)}"
        ),
        **raw_lock(
            CELL_SECRET + cast.tp(KS),
            key=hkdf(ENVELOPE_SECRET, info=b"cell-envelope-v1"),
            aad=by_hand.label(CELL.bytes, "envelope", "recover", pairing),
            name="envelope",
        ),
    }


def recovery() -> Vector:
    return {
        "c": RECOVERY_CODE.hex(),
        "text": by_hand.crockford(RECOVERY_CODE),
        "cell": str(CELL),
        **raw_lock(
            CELL_SECRET,
            key=hkdf(RECOVERY_CODE, info=b"cell-recovery-v1", salt=CELL.bytes),
            aad=by_hand.label(CELL.bytes, "recovery", "recover"),
            name="recovery",
        ),
    }


def secret_texts() -> list[Vector]:
    secrets = (bytes(16), b"\xff" * 16, bytes(range(16)), ENVELOPE_SECRET, RECOVERY_CODE)
    return [{"secret": secret.hex(), "text": by_hand.crockford(secret)} for secret in secrets]


def password() -> Vector:
    salt = octets("salt", 16)
    a = hash_secret_raw(
        PASSWORD.encode(),
        salt,
        time_cost=3,
        memory_cost=64 * 1024,
        parallelism=1,
        hash_len=32,
        type=Type.ID,
    )
    key = mac(KP, b"cell-plock-v1\0", CELL.bytes, a)
    return {
        "password": PASSWORD,
        "salt": salt.hex(),
        "kp": KP.hex(),
        "signer": str(SIGNER),
        "cell": str(CELL),
        "a": a.hex(),
        "verifier": mac(KP, b"cell-verify-v1\0", SIGNER.bytes, a).hex(),
        "l": key.hex(),
        "lock": raw_lock(
            CELL_SECRET,
            key=key,
            aad=by_hand.label(CELL.bytes, "password", "recover", SIGNER.bytes),
            name="password",
        ),
    }


def number() -> Vector:
    value = mac(KP, b"cell-number-v1\0", CELL.bytes, NUMBER.encode())
    return {"kp": KP.hex(), "cell": str(CELL), "number": NUMBER, "output": value.hex()}


def transaction_key() -> Vector:
    scalar = by_hand.transaction_key(KE, cast.TX.bytes)
    key = ec.derive_private_key(scalar, ec.SECP256R1())
    return {
        "ke": KE.hex(),
        "jti": str(cast.TX),
        "use_by": cast.ASK_CLAIMS["use_by"],
        "hour": cast.ASK_CLAIMS["use_by"] // 3600,
        "d": scalar.to_bytes(32).hex(),
        "jwk": by_hand.jwk(key),
    }


def challenges() -> Vector:
    prints = cast.tp(APPROVAL) + cast.tp(REQUEST) + cast.tp(UNLOCK)
    enrol = b"cell-enrol-v1\0" + cast.ENROL_TX_HASH + prints
    return {
        "approval": {
            "tx_hash": cast.TX_HASH.hex(),
            "epk": cast.tp(EPHEMERAL).hex(),
            "output": cast.APPROVAL_CHALLENGE.hex(),
        },
        "enrolment": {
            "tx_hash": cast.ENROL_TX_HASH.hex(),
            "approval": cast.tp(APPROVAL).hex(),
            "request": cast.tp(REQUEST).hex(),
            "unlock": cast.tp(UNLOCK).hex(),
            "epk": cast.tp(EPHEMERAL).hex(),
            "output": cast.ENROLMENT_CHALLENGE.hex(),
            "output_without_seal": sha(enrol, bytes(32)).hex(),
        },
        "security_key": {
            "record": cast.RECORD_HASH.hex(),
            "kid": cast.tp(APPROVAL).hex(),
            "attestation_object": by_hand.unb64(cast.NEW_KEY["attestationObject"]).hex(),
            "output": cast.NEW_KEY_CHALLENGE.hex(),
            "consent": cast.CONSENT_CHALLENGE.hex(),
        },
    }


def prf(whose: str, *, salt: bytes, info: bytes) -> Vector:
    output = octets(f"PRF output{whose}")
    pkcs8 = UNLOCK.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return {
        "cell": str(CELL),
        "salt": sha(salt, CELL.bytes).hex(),
        "prf_output": output.hex(),
        **raw_lock(pkcs8, key=hkdf(output, info=info), aad=CELL.bytes, name=f"unlock key{whose}"),
    }


def codes() -> Vector:
    enrolment_hash = sha(cast.ENROLMENT.encode())
    base32 = base64.b32encode(sha(b"cell-pair-v1\0", cast.ENROLMENT.encode())).decode()
    pairing = mac(KP, b"cell-pair-sms-v1\0", enrolment_hash)
    sms = mac(KP, b"cell-sms-v1\0", cast.TX_HASH)
    return {
        "twelve": {
            "enrolment": cast.ENROLMENT,
            "base32": base32,
            "output": by_hand.twelve(cast.ENROLMENT),
        },
        "pairing": {
            "kp": KP.hex(),
            "enrolment_hash": enrolment_hash.hex(),
            "mac": pairing.hex(),
            "output": by_hand.eight_digits(pairing),
        },
        "sms": {
            "kp": KP.hex(),
            "tx_hash": cast.TX_HASH.hex(),
            "mac": sms.hex(),
            "output": by_hand.eight_digits(sms),
        },
        "operation": {
            "tx_hash": cast.TX_HASH.hex(),
            "digest": sha(b"cell-operation-v1\0", cast.TX_HASH).hex(),
            "output": by_hand.operation(cast.TX_HASH),
        },
    }


def totp() -> Vector:
    sealed = raw_lock(
        octets("TOTP seed", 20),
        key=mac(KP, b"cell-totp-v1\0", CELL.bytes),
        aad=CELL.bytes,
        name="TOTP",
    )
    record = sha(by_hand.unb64(sealed["sealed"]))
    seed = octets("TOTP seed", 20)
    at = 1_795_000_000
    return {
        "kp": KP.hex(),
        "cell": str(CELL),
        **sealed,
        "record_totp": by_hand.b64(record),
        "base32": base64.b32encode(seed).decode(),
        "at": at,
        "step": at // 30,
        "code": by_hand.hotp(seed, at // 30),
    }


def hotp() -> Vector:
    seed, counter = octets("HOTP seed", 20), 7
    sealed = raw_lock(seed, key=mac(KP, b"cell-hotp-v1\0", CELL.bytes), aad=CELL.bytes, name="HOTP")
    named = by_hand.b64(sha(by_hand.unb64(sealed["sealed"])))
    codes = {str(at): by_hand.hotp(seed, at) for at in range(counter - 1, counter + 4)}
    return {
        "kp": KP.hex(),
        "cell": str(CELL),
        **sealed,
        "base32": base64.b32encode(seed).decode(),
        "record_hotp": {"seed": named, "counter": counter},
        "codes": codes,
        "after_code_of_7": 8,
        "after_codes_of_8_and_9": 10,
    }


def further_phone() -> Vector:
    prints = cast.tp(APPROVAL) + cast.tp(REQUEST) + cast.tp(UNLOCK)
    return {
        "approval": cast.tp(APPROVAL).hex(),
        "request": cast.tp(REQUEST).hex(),
        "unlock": cast.tp(UNLOCK).hex(),
        "text": f"cellkey:further?k={by_hand.b64(prints)}",
    }


def pin() -> Vector:
    """KS vouched for by who has the cell's secret."""
    key = hkdf(CELL_SECRET, info=b"cell-pin-v1", salt=CELL.bytes)
    return {
        "cs": CELL_SECRET.hex(),
        "cell": str(CELL),
        "ks": cast.tp(KS).hex(),
        "kid": cast.tp(APPROVAL).hex(),
        "key": key.hex(),
        "output": mac(key, cast.tp(KS), cast.tp(APPROVAL)).hex(),
    }


def qr_1() -> Vector:
    return {
        "app": "https://phone.example",
        "authorization_server": "https://sign.example",
        "mobile_api": "https://phone-api.example",
        "text": (
            "https://phone.example/#as=https%3A%2F%2Fsign.example"
            "&api=https%3A%2F%2Fphone-api.example"
        ),
    }


def derivations() -> Vector:
    return {
        "outer_layer": outer_layer(),
        "labels": labels(),
        "envelope": envelope(),
        "recovery": recovery(),
        "secret_texts": secret_texts(),
        "qr_1": qr_1(),
        "password": password(),
        "number": number(),
        "transaction_key": transaction_key(),
        "challenges": challenges(),
        "prf": prf("", salt=b"cell-prf-v1\0", info=b"cell-unlock-v1"),
        "prf_of_a_security_key": prf(
            " of a security key", salt=b"cell-prf-key-v1\0", info=b"cell-unlock-key-v1"
        ),
        "codes": codes(),
        "totp": totp(),
        "hotp": hotp(),
        "further_phone": further_phone(),
        "pin": pin(),
    }
