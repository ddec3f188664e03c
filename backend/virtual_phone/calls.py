"""The calls of section 8, typed. An answer with unknown or missing members is refused."""

from collections.abc import Mapping, Sequence
from typing import Literal
from urllib.parse import quote, urlencode
from uuid import uuid4

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from backend.virtual_phone.answers import request_proof
from backend.virtual_phone.encoding import b64u, compact_json, read_json
from backend.virtual_phone.errors import ServerRefused
from backend.virtual_phone.jose import Jwk, jwk_of
from backend.virtual_phone.transport import ANSWER_SECONDS, Caller, Response

LONGEST_WAIT_SECONDS = 25
PairingState = Literal["printed", "enrolled", "confirmed", "frozen"]
Confirmation = Literal["sms", "operator"]


class Ticket(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answer of ``POST A/pairing/tickets``."""

    ticket: str
    expires_at: str


class PairingAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answer of ``GET M/pairing``; a new cell has an envelope lock, an existing one the others."""

    state: PairingState
    ask: str | None
    ks: Jwk | None
    keys: tuple[str, ...]
    confirmation: tuple[Confirmation, ...]
    envelope_lock: str | None = None
    recovery_lock: str | None = None
    password_recovery: bool | None = None


class Enrolled(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answer of ``PUT M/pairing/enrolment``."""

    state: PairingState
    twelve: str


class TriesLeft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answer of ``POST A/pairing/code``."""

    tries_left: int


class StateAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where something stands now."""

    state: str


class Info(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answer of ``GET M/info``."""

    ca: str
    authorization_server: str
    push_key: str


class Pending(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One transaction that waits for an answer."""

    id: str
    kind: str
    expires_at: str


class PendingList(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answer of ``GET M/transactions``; ``version`` is opaque to the phone."""

    version: str | int
    transactions: tuple[Pending, ...]
    wait: str | None = None
    """Where to wait for another list (section 8.4)."""


class TransactionAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answer of ``GET M/transactions/<id>``."""

    state: str
    ask: str
    ks: Jwk
    keys: tuple[str, ...]
    list: tuple[str, ...]
    lock: str | None


class FurtherAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answer of ``POST M/further-phone``."""

    state: Literal["waiting", "confirmed", "over"]
    ask: str
    ks: Jwk
    keys: tuple[str, ...]
    lock: str | None
    pin: str | None


class AskedFurther(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answer of ``POST A/further-phones``."""

    transaction: str
    expires_at: str


class LockAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answer of ``GET M/lock``."""

    lock: str


class StoppedParty(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A relying party that may not ask this signer."""

    id: str
    name: str
    stopped_at: str


class StoppedParties(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answer of ``GET M/relying-parties/stopped``."""

    relying_parties: tuple[StoppedParty, ...]


class PairingCalls:
    """Section 8.2: a phone that is not paired yet, known by its ticket."""

    def __init__(self, caller: Caller, *, authorization_server: str, mobile_api: str) -> None:
        """Call the two servers of QR 1."""
        self._caller = caller
        self._a = authorization_server
        self._m = mobile_api

    def ticket(self, *, login: str, password: str, new_password: str | None, pairing: str) -> str:
        """Step 1: prove login and password, choose a new one; the ticket."""
        body = {"login": login, "password": password, "pairing": pairing}
        if new_password is not None:
            body["new_password"] = new_password
        answer = self._caller.exchange(
            "POST", f"{self._a}/pairing/tickets", body=compact_json(body)
        )
        return read_json(answer.body, Ticket).ticket

    def pairing(self, ticket: str) -> PairingAnswer:
        """Step 2: the enrol ask with what belongs to it."""
        return read_json(self._call("GET", f"{self._m}/pairing", ticket).body, PairingAnswer)

    def enrol(self, ticket: str, *, enrolment: str, sealed: str | None) -> Enrolled:
        """Step 2: hand in the enrolment."""
        body = {"enrolment": enrolment, "sealed": sealed}
        answer = self._call("PUT", f"{self._m}/pairing/enrolment", ticket, body)
        return read_json(answer.body, Enrolled)

    def send_code(self, ticket: str) -> int:
        """Step 3: have the code sent; how many times that can be asked for again."""
        answer = self._call("POST", f"{self._a}/pairing/code", ticket, {})
        return read_json(answer.body, TriesLeft).tries_left

    def confirm(self, ticket: str, *, code: str, password: str | None = None) -> str:
        """Step 3: hand in the code, and the password where it brings CS; the state it led to."""
        body = {"code": code} if password is None else {"code": code, "password": password}
        answer = self._call("POST", f"{self._a}/pairing/confirmation", ticket, body)
        return read_json(answer.body, StateAnswer).state

    def _call(
        self, method: str, url: str, ticket: str, body: Mapping[str, object] | None = None
    ) -> Response:
        return self._caller.exchange(
            method,
            url,
            body=None if body is None else compact_json(body),
            prove=lambda *_request: f"Bearer {ticket}",
        )


class NamedSecurityKey(msgspec.Struct, frozen=True, kw_only=True):
    """A security key that counts."""

    id: str


class SecurityKeys(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of ``GET M/security-keys``."""

    record: str
    """Hash of the cell's newest record."""
    security_keys: tuple[NamedSecurityKey, ...]


class PhoneCalls:
    """Section 8.3: a paired phone, known by its request key."""

    def __init__(
        self, caller: Caller, *, mobile_api: str, request_key: ec.EllipticCurvePrivateKey
    ) -> None:
        """Call the mobile API with proofs by the request key."""
        self._caller = caller
        self._m = mobile_api
        self._request_key = request_key

    def info(self) -> Info:
        """Whose service this is, and its key for push messages."""
        return read_json(self._caller.exchange("GET", f"{self._m}/info").body, Info)

    def pending(self, *, version: str | int | None, wait_seconds: int) -> PendingList:
        """The pending transactions; with ``wait_seconds`` once they are no more ``version``."""
        query: dict[str, str | int] = {}
        if wait_seconds and version is not None:
            query = {"wait": wait_seconds, "version": version}
        path = f"transactions?{urlencode(query)}" if query else "transactions"
        answer = self.call("GET", path, timeout_seconds=ANSWER_SECONDS + wait_seconds)
        return read_json(answer.body, PendingList)

    def transaction(self, transaction: str) -> TransactionAnswer:
        """A transaction as the service gives it to this phone."""
        return read_json(self.call("GET", f"transactions/{transaction}").body, TransactionAnswer)

    def approve(self, transaction: str, *, approval: str, sealed: str) -> str:
        """Hand in an approval; the state it led to."""
        body = {"approval": approval, "sealed": sealed}
        answer = self.call("PUT", f"transactions/{transaction}/approval", body)
        return read_json(answer.body, StateAnswer).state

    def refuse(self, transaction: str, *, refusal: str) -> str:
        """Hand in a refusal; the state it led to."""
        answer = self.call("PUT", f"transactions/{transaction}/refusal", {"refusal": refusal})
        return read_json(answer.body, StateAnswer).state

    def stopped(self) -> StoppedParties:
        """Whom the signer has stopped by ``not_me``."""
        return read_json(self.call("GET", "relying-parties/stopped").body, StoppedParties)

    def allow(self, relying_party: str) -> None:
        """Let a relying party, named as in an ask's ``rp``, ask again."""
        self.call("DELETE", f"relying-parties/stopped/{quote(relying_party, safe='')}")

    def subscribe(self, *, endpoint: str, p256dh: str, auth: str) -> None:
        """Name the address and keys that push messages go to."""
        keys = {"p256dh": p256dh, "auth": auth}
        self.call("PUT", "push-subscription", {"endpoint": endpoint, "keys": keys})

    def keep_recovery_lock(self, lock: str) -> None:
        """Hand in the lock of a recovery code."""
        self.call("PUT", "recovery-lock", {"lock": lock})

    def lock(self) -> str:
        """This phone's device lock."""
        return read_json(self.call("GET", "lock").body, LockAnswer).lock

    def ask_further(self, prints: Sequence[bytes], *, authorization_server: str) -> str:
        """Ask to add the phone of these three thumbprints; the transaction to approve."""
        names = ("approval", "request", "unlock")
        keys = {name: b64u(print_) for name, print_ in zip(names, prints, strict=True)}
        answer = self.call("POST", "further-phones", {"keys": keys}, server=authorization_server)
        return read_json(answer.body, AskedFurther).transaction

    def further(self) -> FurtherAnswer | None:
        """How far another phone has added this one; ``None`` while it was not asked to."""
        key = jwk_of(self._request_key).members()
        try:
            answer = self.call("POST", "further-phone", {"request": key})
        except ServerRefused as refusal:
            if refusal.name == "not-found":
                return None
            raise
        return read_json(answer.body, FurtherAnswer)

    def enrol_further(self, enrolment: str) -> str:
        """Hand in the enrolment of a phone that another one adds; the state it led to."""
        answer = self.call("PUT", "further-phone/enrolment", {"enrolment": enrolment})
        return read_json(answer.body, StateAnswer).state

    def security_keys(self) -> SecurityKeys:
        """The security keys of this phone that count, and what a further one is made for."""
        return read_json(self.call("GET", "security-keys").body, SecurityKeys)

    def add_security_key(self, message: str, *, authorization_server: str) -> None:
        """Have a security key count."""
        self.call("POST", "security-keys", {"security_key": message}, server=authorization_server)

    def remove_security_key(self, credential: str, *, authorization_server: str) -> None:
        """Have a security key count no more."""
        self.call("DELETE", f"security-keys/{credential}", server=authorization_server)

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        server: str | None = None,
        timeout_seconds: float = ANSWER_SECONDS,
    ) -> Response:
        """Any call with a proof; at the mobile API, where no other ``server`` is named.

        A proof that the service does not take is made again once: it was seen before (its answer
        was lost), or the clock has only now been set from ``Date``.

        Raises:
            ServerRefused: a problem document.
            Unreachable: no answer.
        """
        sent = None if body is None else compact_json(body)

        def once() -> Response:
            return self._caller.exchange(
                method,
                f"{server or self._m}/{path}",
                body=sent,
                prove=self._proof,
                timeout_seconds=timeout_seconds,
            )

        try:
            return once()
        except ServerRefused as error:
            if error.name not in ("replayed", "unauthenticated"):
                raise
        return once()

    def _proof(self, method: str, url: str, body: bytes | None) -> str:
        proof = request_proof(
            key=self._request_key,
            method=method,
            url=url,
            body=body,
            now=self._caller.clock.now(),
            jti=uuid4(),
        )
        return f"DPoP {proof}"
