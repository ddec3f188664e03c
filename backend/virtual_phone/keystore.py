"""The phone's memory: one JSON file, readable by its owner alone.

A change is written to a new file, synced, and put in the old one's place, so a crash leaves the old
state or the new. A lock beside the file makes changes of two processes follow each other. What is
sent once is stored before it is sent.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from backend.virtual_phone.answers import PhoneKind
from backend.virtual_phone.authenticator import Passkey
from backend.virtual_phone.encoding import read_json
from backend.virtual_phone.errors import MessageRefused, StateUnusable
from backend.virtual_phone.jose import Jwk

STATE_LIMIT = 1 << 24
OWNER_ONLY = 0o600
OWNER_ONLY_FOLDER = 0o700


class SecurityKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A further passkey, on a token of its own, and the unlock key under its PRF output."""

    passkey: Passkey
    wrapped: str


class Keys(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The phone's three keys."""

    approval: str
    request: str
    unlock: str
    """In a browser wrapped under the passkey's PRF output."""
    passkey: Passkey | None = None
    """What the operating system would keep; only in a browser."""
    security_keys: tuple[SecurityKey, ...] = ()


class Recovery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The recovery code until it has been shown, and its lock until it is uploaded."""

    code: str
    lock: str


class Enrolment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The bytes that answer one enrol ask."""

    tx_hash: str
    enrolment: str
    sealed: str | None
    """``None`` where the password brings CS."""
    recovery: Recovery | None


class Pairing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A pairing that has begun. Its keys stay the same until it is over."""

    pairing: str
    """UUID; derived from the envelope's secret, which is not kept."""
    cell: str
    ks: Jwk
    authorization_server: str
    mobile_api: str
    ticket: str
    keys: Keys
    enrolment: Enrolment


class FurtherEnrolment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The bytes that answer the ask by which another phone adds this one."""

    tx_hash: str
    cell: str
    enrolment: str


class Further(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A phone that shows its QR code until another one has added it. Its keys stay the same."""

    authorization_server: str
    mobile_api: str
    app: str
    keys: Keys
    enrolment: FurtherEnrolment | None = None


class Device(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A paired phone."""

    cell: str
    ks: Jwk
    """The service's key: the pin that later asks are verified under."""
    authorization_server: str
    mobile_api: str
    keys: Keys


class Approval(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The bytes that answer one transaction; repeated until an answer comes."""

    tx_hash: str
    approval: str
    sealed: str
    exp: int


class Subscription(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A subscription at a push service and the keys of RFC 8291 for it."""

    endpoint: str
    inbox: str
    private_key: str
    auth: str


class State(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that one phone knows."""

    version: Literal[1] = 1
    kind: PhoneKind = "virtual"
    pairing: Pairing | None = None
    further: Further | None = None
    device: Device | None = None
    recovery: Recovery | None = None
    approvals: tuple[Approval, ...] = ()
    subscription: Subscription | None = None


class Keystore:
    """A phone's state file."""

    def __init__(self, path: Path) -> None:
        """Use the file at ``path``; it need not exist yet."""
        self.path = path

    def load(self) -> State:
        """The state; a fresh one where there is no file.

        Raises:
            StateUnusable: the file is damaged, not private, or of another program.
        """
        try:
            with self.path.open("rb") as file:
                private = not os.fstat(file.fileno()).st_mode & 0o077
                data = file.read(STATE_LIMIT)
        except FileNotFoundError:
            return State()
        except OSError as error:
            raise StateUnusable(f"{self.path}: {error.strerror}") from error
        if not private:
            raise StateUnusable(f"{self.path} can be read by others: chmod 600 it")
        try:
            return read_json(data, State)
        except MessageRefused as error:
            raise StateUnusable(f"{self.path} is not a phone's state: {error}") from error

    def change(self, step: Callable[[State], State]) -> State:
        """Read the state, let ``step`` make the next one, and store it.

        Raises:
            StateUnusable: as :meth:`load`, or it cannot be written.
        """
        with self._locked():
            state = step(self.load())
            self._replace(msgspec.json.format(msgspec.json.encode(state), indent=1))
        return state

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.path.parent.mkdir(mode=OWNER_ONLY_FOLDER, parents=True, exist_ok=True)
            lock = os.open(self._beside(".lock"), os.O_RDWR | os.O_CREAT, OWNER_ONLY)
        except OSError as error:
            raise StateUnusable(f"{self.path}: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _replace(self, data: bytes) -> None:
        new = self._beside(".new")
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)
