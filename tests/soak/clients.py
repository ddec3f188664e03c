"""Relying parties and phones that do not give up, and take down what they were told.

A relying party repeats ``credentials/authorize`` only where it got no answer: then there may be two
transactions of one hash, and of one of them nobody has the handle. ``authorizeCheck`` and
``signHash`` are repeated until they are answered. A phone repeats the same bytes. Both sometimes
repeat what was answered, as if the answer had been lost.
"""

import base64
import hashlib
from itertools import count
from pathlib import Path
from random import Random
from time import monotonic, sleep, time
from typing import Any, NamedTuple

import requests
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from backend.virtual_phone.errors import CannotAnswer, PhoneError, ServerRefused, Unreachable
from backend.virtual_phone.phone import VirtualPhone
from backend.virtual_phone.transactions import Shown
from tests.soak.installation import TRANSACTION_SECONDS, USE_SECONDS
from tests.soak.ledger import Decision, Flow, Ledger, PhoneAnswer

ANSWER_SECONDS = 30
LOST_SECONDS = 0.1
BUSY_SECONDS = 0.5
POLL_SECONDS = 0.1
PATIENCE_SECONDS = 150
"""How long a call is repeated; longer than any recovery may take."""
BUSY = {429, 503}
ACCEPTED = 202
OK = 200
SHA256_OID = "2.16.840.1.101.3.4.2.1"
ECDSA_SHA256_OID = "1.2.840.10045.4.3.2"
REFUSED = "The signer refused"
TOO_LATE = {"Authorization request expired", "SAD expired"}


class Lane(NamedTuple):
    """A signer with a phone, and the relying party that asks; one flow after the other."""

    name: str
    seed: str
    service: str
    """Address of the authorisation server."""
    token: str
    """The relying party's."""
    credential: str
    public_key: bytes
    """SPKI, DER, as the certificate has it."""
    phone: Path
    """The phone's state."""


class Unanswered(Exception):
    """However often it was repeated."""


def decision_of(label: str, seed: str) -> Decision:
    """What the phone does: most is approved, some refused, some never answered."""
    drawn = Random(seed + label).random()  # noqa: S311  # a seed repeats a run
    if drawn < 0.04:
        return "ignore"
    return "reject" if drawn < 0.14 else "approve"


def run_lane(lane: Lane, *, until: float, interval_seconds: float) -> Ledger:
    """Begin a flow in each interval until that moment (Unix seconds).

    On a slow machine everything may be killed before it has signed: then until something is signed.
    """
    client, number = Client(lane), 0
    sleep(client.chance.random() * interval_seconds)
    while time() < until or (not client.has_signed and time() < until + PATIENCE_SECONDS):
        next_at = time() + interval_seconds
        client.run(number)
        number += 1
        sleep(max(0.0, next_at - time()))
    return client.ledger


class Client:
    """Both sides of a lane."""

    def __init__(self, lane: Lane) -> None:
        """Nothing is asked yet."""
        self.ledger = Ledger()
        self._lane = lane
        self.chance = Random(lane.seed)  # noqa: S311  # a seed repeats a run
        self._phone = VirtualPhone(lane.phone)
        self._left_alone: set[str] = set()
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {lane.token}"
        key = load_der_public_key(lane.public_key)
        assert isinstance(key, ec.EllipticCurvePublicKey)
        self._key = key

    @property
    def has_signed(self) -> bool:
        """Whether a flow came to a signature."""
        return any(flow.signature for flow in self.ledger.flows)

    def run(self, number: int) -> None:
        """One flow, as far as it gets."""
        label = f"{self._lane.name} {number}"
        flow = Flow(
            label=label,
            digest=hashlib.sha256(f"{self._lane.seed} {label}".encode()).digest(),
            decision=decision_of(label, self._lane.seed),
        )
        self.ledger.flows.append(flow)
        begun = monotonic()
        try:
            self._flow(flow)
        except Unanswered as error:
            self._saw(flow, f"no answer to {error}")
        except (PhoneError, requests.RequestException) as error:
            self._saw(flow, f"{type(error).__name__}: {error}")
        flow.seconds = monotonic() - begun

    def _flow(self, flow: Flow) -> None:
        asked_at = time()
        answer = self._call(flow, "credentials/authorize", self._wish(flow))
        if answer.status_code != ACCEPTED:
            self._saw(flow, f"authorize answered {answer.status_code}: {answer.text}")
            return
        flow.handle = answer.json()["handle"]
        self._answer_by_phone(flow)
        if flow.decision != "ignore":
            self._wait(flow)
        if flow.csc_sad is not None:
            self._collect(flow)
        if flow.over in TOO_LATE and time() < asked_at + TRANSACTION_SECONDS - 1:
            self._saw(flow, f"too early for: {flow.over}")

    # --- the relying party ------------------------------------------------------

    def _wish(self, flow: Flow) -> dict[str, object]:
        return {
            "credentialID": self._lane.credential,
            "numSignatures": 1,
            "hashes": [base64.b64encode(flow.digest).decode()],
            "hashAlgorithmOID": SHA256_OID,
            "labels": [flow.label],
        }

    def _wait(self, flow: Flow) -> None:
        """Poll for the SAD, while the phone goes on to answer what there is."""
        until = monotonic() + TRANSACTION_SECONDS + USE_SECONDS + PATIENCE_SECONDS
        while monotonic() < until:
            was_told = {answer.label for answer in self.ledger.answers}
            answer = self._call(flow, "credentials/authorizeCheck", {"handle": flow.handle})
            if answer.status_code == OK:
                flow.csc_sad = answer.json()["SAD"]
                return
            if answer.status_code != ACCEPTED:
                self._over(flow, answer)
                return
            if flow.label in was_told and not flow.repeated:
                self._saw(flow, "an answer that was acknowledged to the phone is not there")
            sleep(POLL_SECONDS)
            self._answer_by_phone(flow)
        self._saw(flow, "neither signed nor over")

    def _collect(self, flow: Flow) -> None:
        body = {
            "credentialID": self._lane.credential,
            "SAD": flow.csc_sad,
            "hashes": [base64.b64encode(flow.digest).decode()],
            "signAlgo": ECDSA_SHA256_OID,
        }
        for _ in range(1 + self._sometimes()):
            answer = self._call(flow, "signatures/signHash", body)
            if answer.status_code != OK:
                self._over(flow, answer)
                return
            self._take(flow, base64.b64decode(answer.json()["signatures"][0]))

    def _over(self, flow: Flow, answer: requests.Response) -> None:
        flow.over = _words(answer)
        refused = flow.decision == "reject" and flow.over == REFUSED
        if not refused and flow.over not in TOO_LATE:
            self._saw(flow, f"over, because: {flow.over}")

    def _take(self, flow: Flow, signature: bytes) -> None:
        if flow.signature not in {None, signature}:
            self._saw(flow, "a second signature was handed out")
        flow.signature = signature
        try:
            self._key.verify(signature, flow.digest, ec.ECDSA(Prehashed(SHA256())))
        except InvalidSignature:
            self._saw(flow, "the signature is not of this hash")

    def _call(self, flow: Flow, method: str, body: dict[str, Any]) -> requests.Response:
        """Repeat a call until it is answered.

        Raises:
            Unanswered: it is not.
        """
        begun = monotonic()
        for attempt in count(1):
            if monotonic() > begun + PATIENCE_SECONDS:
                break
            answer = self._once(method, body)
            if answer is not None and answer.status_code not in BUSY:
                flow.repeated |= attempt > 1 and flow.handle is None
                flow.slowest_call = max(flow.slowest_call, monotonic() - begun)
                if answer.status_code >= 500:
                    self._saw(flow, f"{method} answered {answer.status_code}: {answer.text}")
                return answer
            sleep(LOST_SECONDS if answer is None else BUSY_SECONDS)
        raise Unanswered(method)

    def _once(self, method: str, body: dict[str, Any]) -> requests.Response | None:
        url = f"{self._lane.service}/csc/v2/{method}"
        try:
            return self._session.post(url, json=body, timeout=ANSWER_SECONDS)
        except requests.RequestException:
            return None

    # --- the phone --------------------------------------------------------------

    def _answer_by_phone(self, flow: Flow) -> None:
        """Answer everything that waits; an outage is for the next time."""
        try:
            for listed in self._phone.pending().transactions:
                if listed.id not in self._left_alone:
                    self._answer(self._phone.show(listed.id))
        except (Unreachable, CannotAnswer):
            return
        except ServerRefused as refusal:
            if refusal.name != "over":
                self._saw(flow, f"the phone was refused: {refusal}")

    def _answer(self, shown: Shown) -> None:
        label = shown.checked.items[0].label
        decision = decision_of(label, self._lane.seed)
        if decision == "ignore":
            self._left_alone.add(shown.id)
            return
        if decision == "reject":
            self._told(shown, label, self._phone.reject(shown), message=None)
            return
        for _ in range(1 + self._sometimes()):
            said = self._phone.approve(shown)
            self._told(shown, label, said, message=self._stored_approval(shown))

    def _told(self, shown: Shown, label: str, said: str, *, message: str | None) -> None:
        self.ledger.answers.append(
            PhoneAnswer(transaction=shown.id, label=label, said=said, message=message)
        )

    def _stored_approval(self, shown: Shown) -> str:
        tx_hash = base64.urlsafe_b64encode(shown.checked.tx_hash).rstrip(b"=").decode()
        made = self._phone.keystore.load().approvals
        return next(one.approval for one in made if one.tx_hash == tx_hash)

    # --- both -------------------------------------------------------------------

    def _sometimes(self) -> bool:
        return self.chance.random() < 0.2

    def _saw(self, flow: Flow, what: str) -> None:
        self.ledger.wrong.append(f"{flow.label}: {what}")


def _words(answer: requests.Response) -> str:
    try:
        return str(answer.json()["error_description"])
    except (ValueError, KeyError):
        return f"{answer.status_code} {answer.text}"
