"""Writes docs/test-vectors.json: ``python -m tests.vectors``.

All of it is made by hand (``tests/unit/protocol/by_hand.py``), from keys that come from names, with
deterministic signatures (RFC 6979) and fixed nonces: the same file in every run. That the code
reads and derives the same is claimed by ``tests/unit/protocol/test_vectors.py``.
"""

import json
from pathlib import Path
from typing import Any, Final

from tests.unit.protocol import by_hand, cast
from tests.unit.protocol.by_hand import sha
from tests.unit.protocol.cast import (
    APPROVAL,
    CELL_SECRET,
    EPHEMERAL,
    KS,
    REQUEST,
    TRANSACTION,
    UNLOCK,
)
from tests.unit.protocol.derivations import derivations
from tests.unit.protocol.examples import BY_TYP, EXAMPLES

FILE: Final = Path(__file__).parents[1] / "docs" / "test-vectors.json"
ABOUT: Final = (
    "Test vectors of docs/phone-protocol.md, written by `python -m tests.vectors`. In messages,"
    " seals and keys binary values are base64url; in derivations they are hex, and ids stand as"
    " text and go in as their 16 bytes. An ECDSA signature has many valid values: verify these,"
    " do not compare yours with them."
)
Vector = dict[str, Any]

KEYS: Final = {
    "KS": KS,
    "the next KS": cast.NEXT_KS,
    "KA": cast.KA,
    "transaction": TRANSACTION,
    "ephemeral": EPHEMERAL,
    "approval": APPROVAL,
    "request": REQUEST,
    "unlock": UNLOCK,
    "passkey": cast.PASSKEY.key,
    "security key": cast.SECURITY_KEY.key,
}


def keys() -> Vector:
    return {
        name: {
            "d": by_hand.b64(by_hand.scalar(key)),
            "jwk": by_hand.jwk(key),
            "thumbprint": by_hand.b64(by_hand.thumbprint(by_hand.jwk(key))),
        }
        for name, key in KEYS.items()
    }


# --- messages -------------------------------------------------------------------------------------


def message(typ: str, claims: Vector, about: str = "") -> Vector:
    example = BY_TYP[typ]
    compact = by_hand.jws(claims, example.key, typ=typ)
    said = {"about": about} if about else {}
    return {
        "typ": typ,
        **said,
        "signed_by": example.signed_by,
        "claims": claims,
        "compact": compact,
        "sha256": by_hand.b64(sha(compact.encode())),
    }


def messages() -> list[Vector]:
    plain = [message(example.typ, example.good) for example in EXAMPLES]
    counted = {"seed": derivations()["hotp"]["record_hotp"]["seed"], "counter": 8}
    without_body = cast.PROOF_CLAIMS | {"htm": "GET", "body": None}
    return [
        *plain,
        message("cell-ask+jwt", cast.ENROL_ASK_CLAIMS, "asks to pair the phone of this file"),
        message("cell-ask+jwt", cast.FURTHER_ASK_CLAIMS, "asks to add it as a further phone"),
        message("cell-ask+jwt", cast.NEW_PASSWORD_ASK_CLAIMS, "asks for a new password"),
        message("cell-enrolment+jwt", cast.NATIVE_ENROLMENT_CLAIMS, "native, with an attestation"),
        message("cell-enrolment+jwt", cast.DESKTOP_ENROLMENT_CLAIMS, "of a computer's browser"),
        message(
            "cell-record+jwt",
            cast.DESKTOP_RECORD_CLAIMS,
            "of a computer's browser, allowed by policy",
        ),
        message(
            "cell-enrolment+jwt",
            cast.FURTHER_ENROLMENT_CLAIMS,
            "of a further phone: another one brings the secret",
        ),
        message(
            "cell-record+jwt", cast.SECURITY_KEY_RECORD_CLAIMS, "the next one, with a security key"
        ),
        message("cell-approval+jwt", cast.APPROVAL_CLAIMS | {"webauthn": None}, "of a native app"),
        message(
            "cell-approval+jwt",
            cast.APPROVAL_CLAIMS | {"webauthn": cast.SECURITY_KEY.sign(cast.APPROVAL_CHALLENGE)},
            "by the security key",
        ),
        message("dpop+jwt", without_body, "without a body"),
        message(
            "cell-code-approval+jwt",
            BY_TYP["cell-code-approval+jwt"].good
            | {"method": "password+totp", "number_hash": None},
            "by a code of an authenticator",
        ),
        message(
            "cell-code-approval+jwt",
            BY_TYP["cell-code-approval+jwt"].good
            | {"method": "password+hotp", "number_hash": None, "hotp": counted},
            "by a code of an authenticator that counts",
        ),
        message(
            "cell-record+jwt",
            cast.RECORD_CLAIMS | {"epoch": 3, "hotp": counted},
            "after a code of an authenticator that counts",
        ),
        message(
            "cell-receipt+jwt",
            BY_TYP["cell-receipt+jwt"].good | {"method": "password+sms"},
            "of what a code approved",
        ),
    ]


def seal(compact: str, *, recipient: str, plaintext: bytes) -> Vector:
    protected, _none, nonce, *_ = compact.split(".")
    return {
        "header": json.loads(by_hand.unb64(protected)),
        "recipient": recipient,
        "ephemeral": "ephemeral",
        "nonce": nonce,
        "plaintext": by_hand.b64(plaintext),
        "compact": compact,
        "sha256": by_hand.b64(sha(compact.encode())),
    }


def seals() -> list[Vector]:
    return [
        seal(cast.SEALED, recipient="transaction", plaintext=CELL_SECRET),
        seal(cast.ENROL_SEALED, recipient="transaction", plaintext=CELL_SECRET),
        seal(cast.DEVICE_LOCK, recipient="unlock", plaintext=CELL_SECRET),
    ]


def tree() -> Vector:
    texts = [f'{{"label":"{number}"}}' for number in range(9)]
    return {
        "items": list(cast.LIST),
        "leaf_hashes": [by_hand.b64(sha(b"\0", item)) for item in cast.ITEMS],
        "root": by_hand.b64(by_hand.tree_root(cast.ITEMS)),
        "roots_of_the_first": [
            {
                "texts": texts[:size],
                "root": by_hand.b64(by_hand.tree_root([text.encode() for text in texts[:size]])),
            }
            for size in range(1, len(texts) + 1)
        ],
    }


def vectors() -> Vector:
    """Everything, as it stands in the file."""
    return {
        "about": ABOUT,
        "keys": keys(),
        "messages": messages(),
        "seals": seals(),
        "list": tree(),
        "derivations": derivations(),
    }


def text() -> str:
    """The file's content."""
    return json.dumps(vectors(), ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
