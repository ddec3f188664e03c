"""A phone and a relying party as lean as a load generator must be; every answer is checked.

The phone's messages are made by the functions of the reference client, with keys that were read
once. It learns from the database what a push would have told it: a transaction's id.
"""

import base64
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import psycopg
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from backend.virtual_phone.answers import approval, request_proof, seal_secret
from backend.virtual_phone.asks import check_documents, read_ask, trust
from backend.virtual_phone.calls import TransactionAnswer
from backend.virtual_phone.encoding import read_json
from backend.virtual_phone.jose import jwk_of, new_key
from backend.virtual_phone.keystore import Keystore
from backend.virtual_phone.locks import open_device_lock
from backend.virtual_phone.phone_keys import approval_key, request_key, unlock
from tests.bench.cost import SIDE_DOOR

OID_SHA256: Final = "2.16.840.1.101.3.4.2.1"
OID_ECDSA_SHA256: Final = "1.2.840.10045.4.3.2"
STEPS: Final = ("authorize", "fetch", "approve", "authorizeCheck", "signHash")
TIMEOUT_SECONDS: Final = 60
REST_SECONDS: Final = 10

Times = dict[str, float]
"""Milliseconds by step, and of the whole ``flow``."""


class AnswerRefused(Exception):
    """An answer is not what it must be."""


class Caller:
    """One connection that is kept."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self.address = address
        self._host, self._port = str(parts.hostname), parts.port
        self._connection = self._connect()
        self._rests_since = time.monotonic()

    def call(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None = None
    ) -> tuple[int, bytes]:
        """Call once; a connection that rested so long that the server may close it is a new one."""
        if time.monotonic() - self._rests_since > REST_SECONDS:
            self._connection.close()
        self._connection.request(method, path, body=body, headers=headers)
        answer = self._connection.getresponse()
        told = answer.status, answer.read()
        self._rests_since = time.monotonic()
        return told

    def _connect(self) -> HTTPConnection:
        return HTTPConnection(self._host, self._port, timeout=TIMEOUT_SECONDS)


class Phone:
    """A paired phone of kind ``virtual``, with its keys at hand."""

    def __init__(self, state: Path) -> None:
        device = Keystore(state).load().device
        assert device is not None
        self.device = device
        self._caller = Caller(device.mobile_api)
        self._approval = approval_key(device.keys)
        self._kid = jwk_of(self._approval).thumbprint()
        self._request = request_key(device.keys)
        self._cell = UUID(device.cell).bytes
        self._unlock = unlock(device.keys, cell=self._cell, challenge=b"").key

    def fetch(self, transaction: str) -> TransactionAnswer:
        """Fetch what is asked."""
        return read_json(self._call("GET", f"/transactions/{transaction}"), TransactionAnswer)

    def answer(self, shown: TransactionAnswer, transaction: str) -> bytes:
        """Check the ask and its list as the reference client does, open the lock, approve."""
        signed = read_ask(shown.ask, ks=shown.ks)
        pin = self.device.ks.thumbprint()
        trusted = trust(signed, pin=pin, pinned=self.device.ks, keys=shown.keys)
        checked = check_documents(trusted, shown.list)
        ephemeral = new_key()
        assert shown.lock is not None
        sealed = seal_secret(
            open_device_lock(shown.lock, cell=self._cell, kid=self._kid, unlock=self._unlock),
            sam=checked.ask.sam,
            ephemeral=ephemeral,
            approval_key=self._kid,
            tx_hash=checked.tx_hash,
        )
        message = approval(
            key=self._approval,
            tx=transaction,
            tx_hash=checked.tx_hash,
            sealed=sealed,
            number=None,
            webauthn=None,
            now=int(time.time()),
            jti=uuid4(),
        )
        return json.dumps({"approval": message, "sealed": sealed.compact}).encode()

    def approve(self, transaction: str, body: bytes) -> None:
        """Send an approval."""
        answer = json.loads(self._call("PUT", f"/transactions/{transaction}/approval", body))
        if answer != {"state": "approved"}:
            raise AnswerRefused(f"approval: {answer}")

    def _call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        proof = request_proof(
            key=self._request,
            method=method,
            url=self._caller.address + path,
            body=body,
            now=int(time.time()),
            jti=uuid4(),
        )
        headers = {"Authorization": f"DPoP {proof}", "Content-Type": "application/json"}
        status, answer = self._caller.call(method, path, headers, body)
        if status != 200:
            raise AnswerRefused(f"{method} {path}: {status} {answer[:300]!r}")
        return answer


class RelyingParty:
    """Who asks and collects, over CSC v2."""

    def __init__(self, address: str, token: str) -> None:
        self._caller = Caller(address)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def call(self, method: str, body: dict[str, Any], *, expected: int = 200) -> Any:  # noqa: ANN401  # CSC's JSON
        """Call a method that must succeed."""
        path = f"/csc/v2/{method}"
        status, answer = self._caller.call("POST", path, self._headers, json.dumps(body).encode())
        if status != expected:
            raise AnswerRefused(f"{method}: {status} {answer[:300]!r}")
        return json.loads(answer)

    def certified_key(self, credential: UUID) -> ec.EllipticCurvePublicKey:
        """The key that the credential's certificate vouches for."""
        told = self.call("credentials/info", {"credentialID": str(credential)})
        der = base64.b64decode(told["cert"]["certificates"][0])
        key = x509.load_der_x509_certificate(der).public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        return key


def get_token(address: str, client_id: str, client_secret: str) -> str:
    """A relying party's token."""
    basic = base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()
    headers = {
        "Authorization": f"Basic {basic}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    body = b"grant_type=client_credentials"
    status, answer = Caller(address).call("POST", "/oauth2/token", headers, body)
    if status != 200:
        raise AnswerRefused(f"token: {status} {answer[:300]!r}")
    token: str = json.loads(answer)["access_token"]
    return token


class Flow:
    """One relying party, one signer, flow after flow."""

    def __init__(
        self,
        *,
        address: str,
        token: str,
        credential: UUID,
        phone: Path,
        database: psycopg.Connection[tuple[object, ...]],
    ) -> None:
        self._party = RelyingParty(address, token)
        self._phone = Phone(phone)
        self._credential = credential
        self._database = database
        self._key = self._party.certified_key(credential)

    def run(self, seed: str, count: int = 1) -> Times:
        """One flow with so many documents."""
        times: Times = {}
        digests = [hashlib.sha256(f"{seed} {n}".encode()).digest() for n in range(count)]
        hashes = [base64.b64encode(digest).decode() for digest in digests]
        asked = {
            "credentialID": str(self._credential),
            "numSignatures": count,
            "hashes": hashes,
            "hashAlgorithmOID": OID_SHA256,
        }
        begun = time.perf_counter()
        handle = self._timed(
            times,
            "authorize",
            lambda: self._party.call("credentials/authorize", asked, expected=202),
        )["handle"]
        transaction = self._pushed(handle)
        shown = self._timed(times, "fetch", lambda: self._phone.fetch(transaction))
        body = self._phone.answer(shown, transaction)
        self._timed(times, "approve", lambda: self._phone.approve(transaction, body))
        csc_sad = self._timed(
            times,
            "authorizeCheck",
            lambda: self._party.call("credentials/authorizeCheck", {"handle": handle}),
        )["SAD"]
        collected = {
            "credentialID": str(self._credential),
            "SAD": csc_sad,
            "hashes": hashes,
            "signAlgo": OID_ECDSA_SHA256,
        }
        signatures = self._timed(
            times, "signHash", lambda: self._party.call("signatures/signHash", collected)
        )["signatures"]
        times["flow"] = (time.perf_counter() - begun) * 1000
        self._verify(digests, signatures)
        return times

    def _verify(self, digests: Sequence[bytes], signatures: Sequence[str]) -> None:
        """Every one of a small batch, each hundredth of a large one."""
        if len(signatures) != len(digests):
            raise AnswerRefused("not a signature for each hash")
        step = 1 if len(digests) <= 100 else 100
        for digest, signature in list(zip(digests, signatures, strict=True))[::step]:
            self._key.verify(base64.b64decode(signature), digest, ec.ECDSA(Prehashed(SHA256())))

    def _pushed(self, handle: str) -> str:
        """What a push would tell."""
        raw = base64.urlsafe_b64decode(handle + "=" * (-len(handle) % 4))
        row = self._database.execute(f"{SIDE_DOOR} %s", (sha256(raw).digest(),)).fetchone()
        if row is None:
            raise AnswerRefused("the transaction was acknowledged but is not there")
        return str(row[0])

    @staticmethod
    def _timed(times: Times, step: str, work: Callable[[], Any]) -> Any:  # noqa: ANN401  # what the step gives
        begun = time.perf_counter()
        result = work()
        times[step] = (time.perf_counter() - begun) * 1000
        return result
