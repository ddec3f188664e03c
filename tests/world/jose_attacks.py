"""Attacks on signed and sealed messages (T-35), as data: each bends one good message.

A new place takes all of them by one line: ``jws_attacks(good, key)`` or ``seal_attacks(good)``.
What is bent is signed anew by the good key wherever that is possible, so that nothing but the rule
under attack can refuse it. ``twin`` is no attack: it is a second signature of the same message.
"""

import hashlib
import hmac
import json
import zlib
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from tests.unit.protocol.by_hand import ORDER, b64, compact_json, jwk, thumbprint, unb64

Attacks = dict[str, str]
Sign = Callable[[bytes], bytes]
"""Gives r ‖ s."""

OPTIONAL = frozenset(
    {"body", "certificate", "epk", "hash_alg", "number", "prev", "sealed", "sms", "totp"}
)
TEN_MEGABYTES = 10 * 1024 * 1024
EVIL = ec.generate_private_key(ec.SECP256R1())
_URL = "https://evil.example/keys"
_HUGE = ("1e400", "1e3", "-0", "1.0", "NaN", "Infinity", "true", "9" * 5000, "-1")
_DEEP = "[" * 5000 + "]" * 5000
_OTHER_CURVES = {"ES384": ec.SECP384R1(), "ES256K": ec.SECP256K1()}


def by_key(key: ec.EllipticCurvePrivateKey) -> Sign:
    """Sign with a key that is at hand."""

    def sign(message: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(message, ec.ECDSA(SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)

    return sign


def signed(head: bytes, payload: bytes, sign: Sign) -> str:
    """A compact JWS of these very bytes."""
    text = f"{b64(head)}.{b64(payload)}"
    return f"{text}.{b64(sign(text.encode()))}"


def twin(compact: str) -> str:
    """The same message under the other signature that ECDSA has for it: r, n - s."""
    text, _, signature = compact.rpartition(".")
    raw = unb64(signature)
    other = ORDER - int.from_bytes(raw[32:])
    return f"{text}.{b64(raw[:32] + other.to_bytes(32))}"


def jws_attacks(good: str, sign: Sign, spki: bytes) -> Attacks:
    """Everything that is tried where a JWS is read.

    Args:
        good: a message that would be accepted.
        sign: by the key that made it.
        spki: that key's public half, which everybody knows.
    """
    head, payload, signature = (unb64(part) for part in good.split("."))
    members, claims = json.loads(head), json.loads(payload)
    return {
        **{
            f"header: {name}": signed(bent, payload, sign)
            for name, bent in _headers(members).items()
        },
        **{f"claims: {name}": signed(head, bent, sign) for name, bent in texts(claims).items()},
        **{
            f"signature: {name}": f"{good.rpartition('.')[0]}.{b64(bent)}"
            for name, bent in _signatures(signature).items()
        },
        **_foreign_keys(members, payload, spki),
        **forms(good),
    }


def _headers(members: dict[str, Any]) -> dict[str, bytes]:
    """Headers that no reader may obey, or take for the right one."""
    kid = members["kid"]
    changed: dict[str, dict[str, Any]] = {
        **{f"alg {alg}": {"alg": alg} for alg in ("none", "None", "HS256", "RS256", "ES384", "")},
        **{f"kid {bent!r:.40}": {"kid": bent} for bent in _kids(kid)},
        **{f"typ {bent!r}": {"typ": bent} for bent in _typs(members["typ"])},
        "jwk": {"jwk": jwk(EVIL)},
        "jku": {"jku": _URL},
        "x5u": {"x5u": _URL},
        "x5c": {"x5c": [b64(b"certificate")]},
        "x5t": {"x5t#S256": kid},
        "crit": {"crit": ["exp"], "exp": 1},
        "crit of nothing": {"crit": []},
        "zip": {"zip": "DEF"},
        "b64": {"b64": False, "crit": ["b64"]},
        "cty": {"cty": "JWT"},
        "enc": {"enc": "A256GCM"},
        "nonce": {"nonce": "1"},
    }
    return {
        **{name: compact_json(members | change) for name, change in changed.items()},
        **{
            f"without {name}": compact_json({key: members[key] for key in members if key != name})
            for name in members
        },
        **texts(members),
    }


def _kids(kid: str) -> list[object]:
    return [
        *("", "../../../../dev/null", "' OR '1'='1", f"{kid}=", f"{kid}\0", f" {kid}", kid.lower()),
        *(b64(thumbprint(jwk(EVIL))), [kid], None, 0, {"kid": kid}),
    ]


def _typs(typ: str) -> list[object]:
    others = ("cell-ask+jwt", "cell-record+jwt", "cell-approval+jwt", "cell-refusal+jwt", "JWT")
    bent = (typ.upper(), f"application/{typ}", f"{typ}\0", f"{typ} ", "", None, [typ])
    return [other for other in (*others, *bent) if other != typ]


def texts(members: dict[str, Any]) -> dict[str, bytes]:
    """One JSON object written as none may be written."""
    good = compact_json(members)
    first = next(iter(members))
    again = compact_json({first: members[first]})[1:-1]
    escaped = f'"\\u{ord(first[0]):04x}{first[1:]}":{json.dumps(members[first])}'.encode()
    return {
        "a member twice": good[:-1] + b"," + again + b"}",
        "a member twice, another value first": b'{"' + first.encode() + b'":null,' + good[1:],
        "a member twice, escaped": good[:-1] + b"," + escaped + b"}",
        "one more member": good[:-1] + b',"__proto__":{}}',
        "deep": good[:-1] + b',"x":' + _DEEP.encode() + b"}",
        "BOM": b"\xef\xbb\xbf" + good,
        "UTF-16": good.decode().encode("utf-16"),
        "UTF-32": good.decode().encode("utf-32-le"),
        "lone surrogate": good[:-1] + b',"x":"\\ud800"}',
        "surrogate in UTF-8": good[:-1] + b',"x":"\xed\xa0\x80"}',
        "overlong": good[:-1] + b',"x":"\xc0\x80"}',
        "NUL behind": good + b"\0",
        "NUL before": b"\0" + good,
        "bytes behind": good + b"{}",
        "comma behind": good[:-1] + b",}",
        "comment": b"/**/" + good,
        "single quotes": good.replace(b'"', b"'"),
        **{f"instead of it {text!r}": text for text in (b"", b"[]", b"null", b'""', b"0", b"{")},
        "in a list": b"[" + good + b"]",
        "compressed": zlib.compress(good),
        **_with_numbers(members),
        **{f"{name} null": compact_json(members | {name: None}) for name in _filled(members)},
        **{
            f"{name} as a list": compact_json(members | {name: [members[name]]}) for name in members
        },
    }


def _filled(members: dict[str, Any]) -> list[str]:
    """Members of text or numbers that may not be null."""
    return [
        name for name in members if name not in OPTIONAL and isinstance(members[name], str | int)
    ]


def _with_numbers(members: dict[str, Any]) -> dict[str, bytes]:
    """Numbers that are too large, or none, in the place of one."""
    name = next((name for name in members if type(members[name]) is int), None)
    if name is None:
        text = compact_json(members)[:-1]
        return {f"number {huge:.9}": text + b',"x":' + huge.encode() + b"}" for huge in _HUGE}
    there = compact_json({name: members[name]})[1:-1]
    return {
        f"{name} {huge:.9}": compact_json(members).replace(there, f'"{name}":{huge}'.encode())
        for huge in _HUGE
    }


def _signatures(good: bytes) -> dict[str, bytes]:
    r, s, zero, order = good[:32], good[32:], bytes(32), ORDER.to_bytes(32)
    der_length = 70
    return {
        "none": b"",
        "zeros": bytes(64),
        "r = 0": zero + s,
        "s = 0": r + zero,
        "r = n": order + s,
        "s = n": r + order,
        "r and s = n": order + order,
        "ones": b"\xff" * 64,
        "swapped": s + r,
        "short": good[:-1],
        "long": good + b"\0",
        "longer in front": b"\0" + good,
        "DER": b"\x30\x44\x02\x20" + r + b"\x02\x20" + s,
        "DER of the usual length": (b"\x30\x44\x02\x20" + r + b"\x02\x20" + s)[:der_length],
        "twice": good + good,
        "one bit": bytes([good[0] ^ 1]) + good[1:],
    }


def _foreign_keys(members: dict[str, Any], payload: bytes, spki: bytes) -> Attacks:
    """Keys that the message brings itself, or that everybody has."""

    def made(change: dict[str, Any], sign: Sign) -> str:
        return signed(compact_json(members | change), payload, sign)

    pem = load_der_public_key(spki).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    evil = by_key(EVIL)
    attacks = {
        "no signature, none": f"{b64(compact_json(members | {'alg': 'none'}))}.{b64(payload)}.",
        "another key": made({}, evil),
        "another key, named": made({"kid": b64(thumbprint(jwk(EVIL)))}, evil),
        "another key, brought along": made({"jwk": jwk(EVIL)}, evil),
        "another key, to be fetched": made({"jku": _URL}, evil),
    }
    for name, secret in {"SPKI": spki, "PEM": pem, "nothing": b"", "kid": members["kid"]}.items():
        raw = secret.encode() if isinstance(secret, str) else secret
        for alg in ("HS256", "ES256"):
            attacks[f"{alg} with {name} for a secret"] = made({"alg": alg}, _by_secret(raw))
    for alg, curve in _OTHER_CURVES.items():
        key = ec.generate_private_key(curve)
        size = (curve.key_size + 7) // 8
        for named in (alg, "ES256"):
            attacks[f"{named} on {curve.name}"] = made({"alg": named}, _by_other(key, size))
    return attacks


def _by_secret(secret: bytes) -> Sign:
    return lambda message: hmac.digest(secret, message, hashlib.sha256)


def _by_other(key: ec.EllipticCurvePrivateKey, size: int) -> Sign:
    def sign(message: bytes) -> bytes:
        used = SHA256() if size == 32 else SHA384()  # as JOSE pairs them
        r, s = decode_dss_signature(key.sign(message, ec.ECDSA(used)))
        return r.to_bytes(size) + s.to_bytes(size)

    return sign


def forms(good: str) -> Attacks:
    """Compact messages of another form, of whatever they consist."""
    parts = good.split(".")
    first, last = parts[0], parts[-1]
    flat = dict(zip(("protected", "payload", "signature"), parts, strict=False))
    return {
        "form: empty": "",
        "form: dots": "..",
        "form: many dots": "." * 5000,
        "form: one part less": ".".join(parts[:-1]),
        "form: one part more": f"{good}.{last}",
        "form: six parts": ".".join([*parts, *parts, *parts][:6]),
        "form: first empty": ".".join(["", *parts[1:]]),
        "form: last empty": ".".join([*parts[:-1], ""]),
        "form: padding": f"{good}=",
        "form: padding inside": good.replace(".", "=.", 1),
        "form: line end": f"{good}\n",
        "form: space": f" {good}",
        "form: NUL": f"{good}\0",
        "form: letters of base64": f"{first[:-2]}+/{good[len(first) :]}",
        "form: stray bits": _stray(good),
        "form: not ASCII": good.replace(".", "\N{ONE DOT LEADER}"),
        "form: fullwidth": chr(ord(good[0]) + 0xFEE0) + good[1:],
        "form: JSON": json.dumps(flat),
        "form: general JSON": json.dumps({"payload": parts[1], "signatures": [flat]}),
        "form: percent": good.replace(".", "%2e"),
        "form: ten megabytes": good + "A" * TEN_MEGABYTES,
        "form: ten megabytes of claims": f"{first}.{'A' * TEN_MEGABYTES}.{last}",
    }


def _stray(good: str) -> str:
    """Another text of the same bytes, where the last part leaves bits over."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return good[:-1] + letters[letters.index(good[-1]) ^ 1]
