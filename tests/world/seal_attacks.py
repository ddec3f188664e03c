"""Attacks on seals (T-35), as data: each bends one good ``cell-secret`` or ``cell-lock``."""

import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from tests.unit.protocol.by_hand import PRIME, b64, compact_json, jwk, unb64
from tests.world.jose_attacks import EVIL, Attacks, forms, texts

_ALGORITHMS = ("dir", "ECDH-ES+A256KW", "RSA-OAEP", "RSA1_5", "A256KW", "none", "HS256", "")
_ENCRYPTIONS = ("A128GCM", "A256CBC-HS512", "A128CBC-HS256", "none", "")


def seal_attacks(good: str) -> Attacks:
    """What every reader of a seal must refuse, whether or not it can open it."""
    head, *rest = good.split(".")
    members = json.loads(unb64(head))
    return {
        **{
            f"header: {name}": ".".join([b64(bent), *rest])
            for name, bent in {**_headers(members), **texts(members)}.items()
        },
        **{f"parts: {name}": ".".join([head, *bent]) for name, bent in _parts(rest).items()},
        **forms(good),
    }


def opened_seal_attacks(good: str) -> Attacks:
    """What only who opens the seal can see."""
    head, key, nonce, text, tag = good.split(".")

    def changed(part: str) -> str:
        raw = unb64(part)
        return b64(bytes([raw[0] ^ 1]) + raw[1:])

    return {
        "another nonce": ".".join([head, key, changed(nonce), text, tag]),
        "another ciphertext": ".".join([head, key, nonce, changed(text), tag]),
        "another tag": ".".join([head, key, nonce, text, changed(tag)]),
        "no ciphertext": f"{head}.{key}.{nonce}..{tag}",
        "half the ciphertext": ".".join([head, key, nonce, b64(unb64(text)[:16]), tag]),
    }


def _headers(members: dict[str, Any]) -> dict[str, bytes]:
    pbes2 = {"alg": "PBES2-HS256+A128KW", "p2s": b64(bytes(16))}
    changed: dict[str, dict[str, Any]] = {
        **{f"alg {alg}": {"alg": alg} for alg in _ALGORITHMS},
        **{f"enc {enc}": {"enc": enc} for enc in _ENCRYPTIONS},
        "a password, two thousand million rounds": pbes2 | {"p2c": 2**31 - 1},
        "a password, huge number of rounds": pbes2 | {"p2c": 10**15},
        "compressed": {"zip": "DEF"},
        "jwk": {"jwk": jwk(EVIL)},
        "jku": {"jku": "https://evil.example/keys"},
        "crit": {"crit": ["zip"], "zip": "DEF"},
        "kid": {"kid": "1"},
        "cty": {"cty": "JWT"},
        "iv": {"iv": b64(bytes(12)), "tag": b64(bytes(16))},
        "another typ": {"typ": "cell-ask+jwt"},
        "apv of nothing": {"apv": ""},
        "apv not canonical": {"apv": "AB"},
        **{f"epk {name}": {"epk": bent} for name, bent in _points(members["epk"]).items()},
    }
    return {name: compact_json(members | change) for name, change in changed.items()}


def _points(good: dict[str, str]) -> dict[str, object]:
    """Keys that are no point of P-256 in its one form: each an invalid-curve attack."""
    x, y = good["x"], good["y"]
    zero, prime = b64(bytes(32)), b64(PRIME.to_bytes(32))
    p384 = ec.generate_private_key(ec.SECP384R1()).public_key().public_numbers()
    changed: dict[str, dict[str, object]] = {
        "off the curve": {"y": x},
        "at infinity": {"x": zero, "y": zero},
        "not reduced": {"x": prime},
        "ones": {"x": b64(b"\xff" * 32), "y": b64(b"\xff" * 32)},
        "of P-384": {"crv": "P-384", "x": b64(p384.x.to_bytes(48)), "y": b64(p384.y.to_bytes(48))},
        "of P-384, called P-256": {"x": b64(p384.x.to_bytes(48)), "y": b64(p384.y.to_bytes(48))},
        "of X25519": {"kty": "OKP", "crv": "X25519"},
        "symmetric": {"kty": "oct", "k": x},
        "with a private half": {"d": x},
        "short": {"x": b64(unb64(x)[1:])},
        "long": {"x": b64(b"\0" + unb64(x))},
        "numbers": {"x": 1, "y": 2},
        "another": {"x": jwk(EVIL)["x"], "y": jwk(EVIL)["y"]},
        "with a kid": {"kid": y},
    }
    return {
        **{name: {**good, **change} for name, change in changed.items()},
        "null": None,
        "as text": json.dumps(good),
        "empty": {},
    }


def _parts(rest: list[str]) -> dict[str, list[str]]:
    key, nonce, text, tag = rest
    return {
        "a wrapped key": [b64(bytes(40)), nonce, text, tag],
        "nonce of 16 bytes": [key, b64(bytes(16)), text, tag],
        "no nonce": [key, "", text, tag],
        "tag of 12 bytes": [key, nonce, text, b64(unb64(tag)[:12])],
        "tag of 32 bytes": [key, nonce, text, b64(unb64(tag) * 2)],
        "no tag": [key, nonce, text, ""],
        "a JWS": [nonce, tag],
    }
