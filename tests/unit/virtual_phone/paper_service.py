"""Section 8 of docs/phone-protocol.md, as far as a phone's own tests need it, and nothing else.

It stands for whoever else implements the page: it shares no code with the phone, judges by joserfc
what the phone sends, and loses answers on demand, after it has done what was asked.
"""

import json
import os
from collections import Counter
from email.utils import formatdate
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from joserfc.jwk import ECKey

from backend.virtual_phone.errors import ConnectionLost
from backend.virtual_phone.transport import Request, Response
from tests.unit.virtual_phone.other_side import (
    NOW,
    OtherSide,
    b64u,
    claims_of,
    ephemeral_of,
    hkdf,
    public,
    sha256,
    thumbprint,
    unb64u,
)

A = "https://a.test"
M = "https://m.test"
LOGIN = "ivanov"
FIRST = "first-password"
NEW = "a much better password"
CODE = "12345678"


class Problem(Exception):
    """A refusal of section 8.1."""

    def __init__(self, status: int, name: str, **members: object) -> None:
        super().__init__(name)
        self.status = status
        self.document = {"type": f"urn:cellkey:problem:{name}", "status": status} | members


class PaperService(OtherSide):
    """One signer with one envelope; ``clock`` may differ from the phone's."""

    def __init__(self, *, confirmation: tuple[str, ...] = ("sms",), clock: float = NOW) -> None:
        super().__init__()
        self.secret = os.urandom(16)
        self.confirmation = confirmation
        self.now = clock
        self.password = FIRST
        self.state = "printed"
        self.operator_agrees = False
        self.enrol_ask = ""
        self.enrolments: dict[str, tuple[str, str]] = {}
        self.claims: dict[str, Any] = {}
        self.ticket = ""
        self.codes_sent = 0
        self.recovery: list[str] = []
        self.stopped: dict[str, str] = {}
        self.transactions: dict[str, dict[str, Any]] = {}
        self.subscription: dict[str, Any] | None = None
        self.seen: set[str] = set()
        self.requests: list[Request] = []
        self.lose: Counter[str] = Counter()
        self.push_key = ""
        self.version = 0
        self.keys: list[str] = []

    # --- the line -------------------------------------------------------------

    def send(self, request: Request, *, timeout_seconds: float) -> Response:
        """Answer; then lose the answer if the test wants that."""
        assert timeout_seconds > 0
        self.requests.append(request)
        path = urlsplit(request.url).path
        try:
            status, body = self._answer(request, path)
        except Problem as problem:
            status, body = problem.status, problem.document
        if self.lose[path] > 0:
            self.lose[path] -= 1
            raise ConnectionLost(path)
        headers = {"date": formatdate(self.now, usegmt=True)}
        content = b"" if body is None else json.dumps(body).encode()
        return Response(status=status, headers=headers, body=content)

    def _answer(self, request: Request, path: str) -> tuple[int, Any]:
        body = json.loads(request.body or b"{}")
        if path == "/pairing/tickets":
            return self._tickets(body)
        if path.startswith("/pairing"):
            return self._pairing(request, path, body)
        if path == "/info":
            info = {"ca": "Demo", "authorization_server": A, "push_key": self.push_key}
            return 200, info
        self.check_proof(request)
        return self._phone(request, path, body)

    # --- 8.2 ------------------------------------------------------------------

    def _tickets(self, body: dict[str, str]) -> tuple[int, Any]:
        pairing = str(UUID(bytes=hkdf(self.secret, info="cell-pairing-id-v1", length=16)))
        if self.state == "confirmed":
            raise Problem(410, "pairing-over")
        assert body["pairing"] == pairing
        if (body["login"], body["password"]) != (LOGIN, self.password):
            repeated = body["password"] == FIRST and body.get("new_password") == self.password
            if not repeated:
                raise Problem(401, "unauthenticated")
        self.password = body.get("new_password", self.password)
        self.enrol_ask = self.ask("enrol")
        self.ticket = b64u(os.urandom(16))
        self.state = "printed"
        return 201, {"ticket": self.ticket, "expires_at": "2026-11-21T12:15:00Z"}

    def _pairing(self, request: Request, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if request.headers["Authorization"] != f"Bearer {self.ticket}":
            raise Problem(401, "unauthenticated")
        if (request.method, path) == ("GET", "/pairing"):
            if self.operator_agrees and self.state == "enrolled":
                self.state = "confirmed"
            return 200, {
                "state": self.state,
                "ask": self.enrol_ask,
                "ks": public(self.ks),
                "keys": [],
                "envelope_lock": self.envelope_lock(self.secret),
                "confirmation": list(self.confirmation),
            }
        if path == "/pairing/enrolment":
            return self._enrol(body["enrolment"], body["sealed"])
        if path == "/pairing/code":
            self.codes_sent += 1
            return 202, {"tries_left": 3 - self.codes_sent}
        if body["code"] != CODE:
            raise Problem(422, "wrong-code", tries_left=2)
        if "operator" in self.confirmation and not self.operator_agrees:
            self.operator_agrees = True
            raise Problem(409, "not-confirmed")
        self.state = "confirmed"
        return 200, {"state": "confirmed"}

    def _enrol(self, enrolment: str, sealed: str) -> tuple[int, Any]:
        tx_hash = b64u(sha256(self.enrol_ask.encode()))
        if self.enrolments.setdefault(tx_hash, (enrolment, sealed)) != (enrolment, sealed):
            raise Problem(409, "conflict")
        payload = json.loads(unb64u(enrolment.split(".")[1]))
        key = ECKey.import_key(payload["keys"]["approval"])
        claims = claims_of(enrolment, key=key, typ="cell-enrolment+jwt")
        if self.claims and self.claims["keys"] != claims["keys"]:
            raise Problem(409, "conflict")
        assert claims["tx_hash"] == tx_hash
        assert claims["sealed"] == b64u(sha256(sealed.encode()))
        assert unb64u(claims["epk"]) == ephemeral_of(sealed)
        jti = json.loads(unb64u(self.enrol_ask.split(".")[1]))["jti"]
        opened = self.opened(sealed, jti=jti, approval_key=thumbprint(key), ask=self.enrol_ask)
        assert opened == self.cell_secret
        self.claims, self.state = claims, "enrolled"
        return 200, {"state": "enrolled", "twelve": self.twelve(enrolment)}

    def twelve(self, enrolment: str) -> str:
        """The 12 characters as this service writes them."""
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
        bits = int.from_bytes(sha256(b"cell-pair-v1\0" + enrolment.encode())) >> (256 - 60)
        characters = "".join(alphabet[bits >> 5 * place & 31] for place in range(11, -1, -1))
        return f"{characters[:4]}-{characters[4:8]}-{characters[8:]}"

    # --- 8.3 ------------------------------------------------------------------

    @property
    def phone_keys(self) -> dict[str, ECKey]:
        """Public keys of the paired phone."""
        return {name: ECKey.import_key(jwk) for name, jwk in self.claims["keys"].items()}

    def check_proof(self, request: Request) -> None:
        """Refuse a request that the paired phone's request key did not prove."""
        scheme, _, proof = request.headers["Authorization"].partition(" ")
        assert scheme == "DPoP"
        if self.state != "confirmed":
            raise Problem(401, "unauthenticated")
        claims = claims_of(proof, key=self.phone_keys["request"], typ="dpop+jwt")
        body = None if request.body is None else b64u(sha256(request.body))
        assert claims["htm"] == request.method
        assert claims["htu"] == request.url.partition("?")[0]
        assert claims["body"] == body
        if abs(claims["iat"] - self.now) > 60:
            raise Problem(401, "unauthenticated")
        if claims["jti"] in self.seen:
            raise Problem(401, "replayed")
        self.seen.add(claims["jti"])

    def open_transaction(self, kind: str = "sign", **claims: object) -> str:
        """Let something be asked; its id."""
        jti = str(uuid4())
        items = [self.item()] if kind == "sign" else []
        ask = self.ask(kind, jti=jti, items=items, **claims)
        self.transactions[jti] = {"state": "pending", "ask": ask, "list": items}
        self.version += 1
        return jti

    def _phone(self, request: Request, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        parts = path.strip("/").split("/")
        if parts == ["recovery-lock"]:
            self.recovery.append(body["lock"])
            return 204, None
        if parts == ["push-subscription"]:
            self.subscription = body
            return 204, None
        if parts[:2] == ["relying-parties", "stopped"]:
            return self._stopped_parties(request, parts)
        if parts == ["transactions"]:
            return 200, {"version": str(self.version), "transactions": self._pending()}
        transaction = self.transactions.get(parts[1])
        if transaction is None:
            raise Problem(404, "not-found")
        if request.method == "GET":
            return 200, {name: transaction[name] for name in ("state", "ask", "list")} | {
                "ks": public(self.ks),
                "keys": self.keys,
                "lock": self._lock(),
            }
        return self._answered(transaction, parts[2], body)

    def _stopped_parties(self, request: Request, parts: list[str]) -> tuple[int, Any]:
        if request.method == "DELETE":
            self.stopped.pop(parts[2], None)
            return 204, None
        told = [
            {"id": party, "name": name, "stopped_at": "2026-11-21T12:00:00Z"}
            for party, name in self.stopped.items()
        ]
        return 200, {"relying_parties": told}

    def _pending(self) -> list[dict[str, str]]:
        return [
            {"id": jti, "kind": "sign", "expires_at": "2026-11-21T12:05:00Z"}
            for jti, transaction in self.transactions.items()
            if transaction["state"] == "pending"
        ]

    def _lock(self) -> str:
        keys = self.phone_keys
        return self.device_lock(unlock=public(keys["unlock"]), kid=thumbprint(keys["approval"]))

    def _answered(
        self, transaction: dict[str, Any], what: str, body: dict[str, Any]
    ) -> tuple[int, Any]:
        if transaction.setdefault(what, body) != body:
            raise Problem(409, "conflict")
        transaction["state"] = {"approval": "approved", "refusal": "rejected"}[what]
        return 200, {"state": transaction["state"]}


def instantly(_seconds: float) -> None:
    """A pause that takes no time."""


def local_time() -> float:
    """The phone's own time, where it agrees with the service's."""
    return NOW
