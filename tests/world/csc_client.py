"""A relying party that calls CSC without a network, and looks at the form of every answer."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from werkzeug.test import TestResponse

from backend.access.relying_parties import NewRelyingParty, add_relying_party
from tests.world.service import Service

SHA256 = "2.16.840.1.101.3.4.2.1"
SHA384 = "2.16.840.1.101.3.4.2.2"
SHA512 = "2.16.840.1.101.3.4.2.3"
SHA1 = "1.3.14.3.2.26"
MD5 = "1.2.840.113549.2.5"
ECDSA_SHA256 = "1.2.840.10045.4.3.2"


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
            "hashes": [b64(value) for value in hashes],
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
            "hashes": [b64(value) for value in hashes],
            "signAlgo": ECDSA_SHA256,
        }
        return self.post("v2/signatures/signHash", changed(given, members))

    def signed(self, sad: object, *hashes: bytes, **members: object) -> list[bytes]:
        """Collect by v2 what must be there."""
        answer = content(self.sign_hash(sad, *hashes, **members), 200)
        assert answer.keys() == {"signatures"}
        return [base64.b64decode(value, validate=True) for value in answer["signatures"]]


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
