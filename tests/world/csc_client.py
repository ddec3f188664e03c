"""A relying party that calls CSC without a network, and looks at the form of every answer."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from asn1crypto import algos
from cryptography import x509
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from backend.access.relying_parties import NewRelyingParty, add_relying_party
from backend.model.tables import Receipt, Signature, Transaction
from tests.world.service import Service

SHA256 = "2.16.840.1.101.3.4.2.1"
SHA384 = "2.16.840.1.101.3.4.2.2"
SHA512 = "2.16.840.1.101.3.4.2.3"
SHA1 = "1.3.14.3.2.26"
MD5 = "1.2.840.113549.2.5"
ECDSA_SHA256 = "1.2.840.10045.4.3.2"
ECDSA_SHA384 = "1.2.840.10045.4.3.3"
ECDSA_SHA512 = "1.2.840.10045.4.3.4"
ED25519 = "1.3.101.112"
RSA = "1.2.840.113549.1.1.1"
RSA_SHA256 = "1.2.840.113549.1.1.11"
RSA_SHA384 = "1.2.840.113549.1.1.12"
RSA_SHA512 = "1.2.840.113549.1.1.13"
RSA_PSS = "1.2.840.113549.1.1.10"

INVALID = (400, "invalid_request")
DENIED = (400, "access_denied")

PAYMENT = {
    "type": "payment",
    "amount": {"value": "12500.00", "currency": "RUB"},
    "payee": {"name": "ИП Ромашкин", "account": "40702810900000005555"},
    "purpose": "Оплата по договору № 17",
}


def b64(value: bytes) -> str:
    """Standard base64, as bodies have it."""
    return base64.b64encode(value).decode()


@dataclass(kw_only=True)
class CscClient:
    """One relying party, signed in."""

    service: Service
    party: NewRelyingParty
    token: str
    credential: str
    """The signer's."""

    # --- calls ------------------------------------------------------------------

    def post(
        self, path: str, body: object, *, token: str | None = None, **headers: str
    ) -> TestResponse:
        """Call anything under ``/csc``; ``body`` may be bytes that are no JSON."""
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Authorization": f"Bearer {token or self.token}", **headers}
        return self.service.client().post(
            f"/csc/{path}", data=sent, headers=given, content_type="application/json"
        )

    def get(self, path: str, body: object) -> dict[str, Any]:
        """Call what must succeed."""
        return content(self.post(path, body), 200)

    # --- what a relying party does ----------------------------------------------

    def authorize(self, *hashes: bytes, **members: object) -> TestResponse:
        """Ask by v2."""
        given: dict[str, object] = {
            "credentialID": self.credential,
            "numSignatures": len(hashes),
            "hashes": texts(hashes),
            "hashAlgorithmOID": SHA256,
            "authData": [{"id": "app"}],
        }
        return self.post("v2/credentials/authorize", changed(given, members))

    def asked(self, *hashes: bytes, **members: object) -> str:
        """Ask by v2; gives the handle."""
        answer = content(self.authorize(*hashes, **members), 202)
        assert answer.keys() == {"handle"}
        handle: str = answer["handle"]
        return handle

    def check(self, handle: object) -> TestResponse:
        """Ask how the signer answered."""
        return self.post("v2/credentials/authorizeCheck", {"handle": handle})

    def csc_sad(self, handle: str) -> str:
        """The SAD of what was approved."""
        sad: str = content(self.check(handle), 200)["SAD"]
        return sad

    def approved(self, *hashes: bytes, **members: object) -> str:
        """Ask, and have the phone approve; gives the SAD."""
        handle = self.asked(*hashes, **members)
        self.approve()
        return self.csc_sad(handle)

    def approve(self) -> None:
        """Let the signer approve the one thing that is asked."""
        phone = self.service.phone()
        (listed,) = phone.pending().transactions
        phone.approve(phone.show(listed.id))

    def reject(self) -> None:
        """Let the signer refuse the one thing that is asked."""
        phone = self.service.phone()
        (listed,) = phone.pending().transactions
        phone.reject(phone.show(listed.id))

    def sign_hash(self, sad: object, *hashes: bytes, **members: object) -> TestResponse:
        """Collect by v2."""
        given: dict[str, object] = {
            "credentialID": self.credential,
            "SAD": sad,
            "hashes": texts(hashes),
            "signAlgo": ECDSA_SHA256,
        }
        return self.post("v2/signatures/signHash", changed(given, members))

    def signed(self, sad: object, *hashes: bytes, **members: object) -> list[bytes]:
        """Collect by v2 what must be there."""
        answer = content(self.sign_hash(sad, *hashes, **members), 200)
        assert answer.keys() == {"signatures"}
        return [base64.b64decode(value, validate=True) for value in answer["signatures"]]

    def certificate(self) -> x509.Certificate:
        """The signer's."""
        info = self.get("v2/credentials/info", {"credentialID": self.credential})
        return x509.load_der_x509_certificate(base64.b64decode(info["cert"]["certificates"][0]))

    # --- the same by v1 ---------------------------------------------------------

    def old_body(self, *hashes: bytes, **members: object) -> dict[str, object]:
        """Body of ``credentials/authorize``."""
        given: dict[str, object] = {
            "credentialID": self.credential,
            "numSignatures": len(hashes),
            "hash": texts(hashes),
        }
        return changed(given, members)

    def old_authorize(self, *hashes: bytes, **members: object) -> TestResponse:
        """Ask, and wait for the signer."""
        return self.post("v1/credentials/authorize", self.old_body(*hashes, **members))

    def old_sign_hash(self, sad: object, *hashes: bytes, **members: object) -> TestResponse:
        """Collect."""
        given: dict[str, object] = {
            "credentialID": self.credential,
            "SAD": sad,
            "hash": texts(hashes),
            "hashAlgo": SHA256,
            "signAlgo": ECDSA_SHA256,
        }
        return self.post("v1/signatures/signHash", changed(given, members))


def a_relying_party(
    service: Service, *, name: str = "Shop", client_id: str | None = None
) -> CscClient:
    """A new relying party that has got a token."""
    with service.sessions() as session:
        party = add_relying_party(session, name=name, client_id=client_id, now=service.clock())
    token: str = content(ask_token(service, party), 200)["access_token"]
    return CscClient(
        service=service, party=party, token=token, credential=str(service.credential())
    )


def ask_token(service: Service, party: NewRelyingParty, **form: str) -> TestResponse:
    """Ask for a token by HTTP Basic."""
    given = {"grant_type": "client_credentials"} | form
    return service.client().post(
        "/oauth2/token", data=given, auth=(party.client_id, party.client_secret)
    )


def changed(given: dict[str, object], members: dict[str, object]) -> dict[str, object]:
    """With other members; those that are ``...`` left out."""
    return {name: value for name, value in (given | members).items() if value is not ...}


def content(answer: TestResponse, status: int) -> dict[str, Any]:
    """The JSON object of an answer that must have this status."""
    assert answer.status_code == status, answer.data
    assert answer.headers["Cache-Control"] == "no-store"
    body: dict[str, Any] = json.loads(answer.data)
    return body


def refusal(answer: TestResponse) -> tuple[int, str]:
    """Status and identifier of an error, after a look at its form (CSC-02, CSC-03, CSC-13)."""
    assert answer.headers["Content-Type"] == "application/json; charset=UTF-8"
    body = content(answer, answer.status_code)
    assert body.keys() == {"error", "error_description"}
    assert isinstance(body["error_description"], str)
    assert body["error_description"]
    assert answer.status_code >= 400
    return answer.status_code, body["error"]


def words(answer: TestResponse) -> str:
    """What an error says to people."""
    return str(content(answer, answer.status_code)["error_description"])


def texts(hashes: Sequence[bytes]) -> list[str]:
    """Hashes as bodies have them."""
    return [b64(value) for value in hashes]


def pss_parameters(name: str = "sha256", **other: object) -> str:
    """RSASSA-PSS-params, DER in base64."""
    given = {
        "hash_algorithm": {"algorithm": name},
        "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": {"algorithm": name}},
        "salt_length": 32,
    }
    return b64(algos.RSASSAPSSParams(given | other).dump())


def kept(service: Service) -> tuple[int, int]:
    """How many signatures and receipts are kept, beside those of the first approval."""
    with service.sessions() as session:
        signatures, receipts = (
            session.scalar(select(func.count()).select_from(table)) or 0
            for table in (Signature, Receipt)
        )
    return signatures - 1, receipts - 1


def times_asked(service: Service) -> int:
    """How many times a signer was asked to sign."""
    with service.sessions() as session:
        asked = select(func.count()).select_from(Transaction).where(Transaction.kind == "sign")
        return session.scalar(asked) or 0
