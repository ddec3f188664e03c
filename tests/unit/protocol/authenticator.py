"""A passkey in software, of python-fido2's primitives, that can be told to do everything wrong.

Its defaults are what a phone's browser gives; each argument bends one thing.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor
from fido2.cose import ES256, CoseKey
from fido2.webauthn import AuthenticatorData

from tests.unit.protocol import by_hand

FLAG = AuthenticatorData.FLAG
UP_AND_UV = FLAG.UP | FLAG.UV
RP_ID = "phone.example"
ORIGIN = "https://phone.example"


def client_data(kind: str, challenge: bytes, /, **members: object) -> bytes:
    """``clientDataJSON`` as a browser writes it.

    ``members`` stand in place of its own, or are added; ``...`` leaves one out.
    """
    usual = {
        "type": kind,
        "challenge": by_hand.b64(challenge),
        "origin": ORIGIN,
        "crossOrigin": False,
    }
    written = {name: value for name, value in (usual | members).items() if value is not ...}
    return by_hand.compact_json(written)


@final
class Authenticator(msgspec.Struct, frozen=True, kw_only=True):
    """One passkey."""

    key: ec.EllipticCurvePrivateKey
    credential_id: bytes
    rp_id: str = RP_ID

    def cose_key(self) -> CoseKey:
        numbers = self.key.public_key().public_numbers()
        return ES256({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)})

    def data(
        self,
        *,
        flags: FLAG,
        cose: Mapping[int, Any] | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Authenticator data; with a key it carries the credential."""
        credential = b""
        if cose is not None:
            size = len(self.credential_id).to_bytes(2)
            credential = bytes(16) + size + self.credential_id + cbor.encode(dict(cose))
            flags |= FLAG.AT
        if extensions is not None:
            flags |= FLAG.ED
        rp_id_hash = hashlib.sha256(self.rp_id.encode()).digest()
        tail = b"" if extensions is None else cbor.encode(extensions)
        return rp_id_hash + bytes([int(flags)]) + bytes(4) + credential + tail

    def register(
        self,
        challenge: bytes,
        /,
        *,
        flags: FLAG = UP_AND_UV,
        cose: Mapping[int, Any] | None = None,
        extensions: Mapping[str, Any] | None = None,
        kind: str = "webauthn.create",
        **members: object,
    ) -> dict[str, str]:
        """The ``registration`` of an enrolment."""
        data = self.data(
            flags=flags, cose=self.cose_key() if cose is None else cose, extensions=extensions
        )
        return self.registration(
            attestation=cbor.encode({"fmt": "none", "attStmt": {}, "authData": data}),
            client=client_data(kind, challenge, **members),
        )

    def registration(self, *, attestation: bytes, client: bytes) -> dict[str, str]:
        return {
            "id": by_hand.b64(self.credential_id),
            "attestationObject": by_hand.b64(attestation),
            "clientDataJSON": by_hand.b64(client),
        }

    def sign(
        self,
        challenge: bytes,
        /,
        *,
        flags: FLAG = UP_AND_UV,
        extensions: Mapping[str, Any] | None = None,
        kind: str = "webauthn.get",
        **members: object,
    ) -> dict[str, str]:
        """The ``webauthn`` of an approval."""
        return self.assertion(
            data=self.data(flags=flags, extensions=extensions),
            client=client_data(kind, challenge, **members),
        )

    def assertion(self, *, data: bytes, client: bytes) -> dict[str, str]:
        signature = self.key.sign(data + hashlib.sha256(client).digest(), by_hand.ES256)
        return {
            "id": by_hand.b64(self.credential_id),
            "authenticatorData": by_hand.b64(data),
            "clientDataJSON": by_hand.b64(client),
            "signature": by_hand.b64(signature),
        }
