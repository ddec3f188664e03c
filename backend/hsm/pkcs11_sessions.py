"""Sessions of one token in one process, and what is done when they fail.

Rules:

- One session logs in, once for the process, and is never closed: closing it would log the others
  out. Each thread at work has a session of its own, from a pool.
- A session in which something failed is closed, and its session objects go with it.
- The ladder: a lost session or login is opened again; a token that fails has the module
  initialised again, with growing pauses; then :class:`HsmUnavailable`, and for a while nobody
  tries.
- A PIN that was refused is not tried again by this process: a few more tries would lock the token.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final, TypeVar

from pkcs11 import (
    Attribute,
    DeviceError,
    DeviceRemoved,
    FunctionFailed,
    GeneralError,
    KeyHandleInvalid,
    NoSuchKey,
    NoSuchToken,
    Object,
    ObjectHandleInvalid,
    PinIncorrect,
    PinInvalid,
    PinLenRange,
    PinLocked,
    PKCS11Error,
    Session,
    SessionClosed,
    SessionHandleInvalid,
    SlotIDInvalid,
    Token,
    TokenNotPresent,
    TokenNotRecognised,
    UserAlreadyLoggedIn,
    UserNotLoggedIn,
)

from backend.errors import HsmNotReady, HsmUnavailable
from backend.hsm.pkcs11_binding import Module
from backend.hsm.pkcs11_templates import Template

T = TypeVar("T")

_logger = logging.getLogger(__name__)
_SESSION_LOST: Final = (
    KeyHandleInvalid,
    ObjectHandleInvalid,
    SessionClosed,
    SessionHandleInvalid,
    UserNotLoggedIn,
)
_TOKEN_LOST: Final = (
    DeviceError,
    DeviceRemoved,
    FunctionFailed,
    GeneralError,
    NoSuchKey,  # so it looks when a token was pulled out and put back
    NoSuchToken,
    SlotIDInvalid,
    TokenNotPresent,
    TokenNotRecognised,
)
_PIN_REFUSED: Final = (PinIncorrect, PinInvalid, PinLenRange, PinLocked)


class TokenSession:
    """A session, and the token's keys that were found in it (a key belongs to its session)."""

    def __init__(self, session: Session, *, login: int) -> None:
        """Hold a session of the process's ``login``-th login."""
        self.session = session
        self.login = login
        self._found: dict[str, Object] = {}
        self._recent: dict[str, tuple[int, Object]] = {}

    def key(self, template: Template, label: str) -> Object:
        """A key that stays, found once in each session.

        Raises:
            pkcs11.NoSuchKey: it is not there.
            HsmNotReady: there are several, so somebody made one beside ours.
        """
        if label not in self._found:
            self._found[label] = self.search(template, label)
        return self._found[label]

    def recent(self, template: Template, label: str, *, since: int) -> Object:
        """As :meth:`key`, of a key that may be destroyed: looked for again when ``since`` changes.

        Where somebody else destroyed it, its use fails; :meth:`forget` then.
        """
        known = self._recent.get(label)
        if known is None or known[0] != since:
            known = (since, self.search(template, label))
            self._recent[label] = known
        return known[1]

    def forget(self, label: str) -> None:
        """Look for a key again at its next use."""
        self._recent.pop(label, None)

    def search(self, template: Template, label: str) -> Object:
        """As :meth:`key`, but always asks the token."""
        found = list(self.session.get_objects({**template, Attribute.LABEL: label}))
        if not found:
            raise NoSuchKey(label)
        if len(found) > 1:
            raise HsmNotReady(f"the token has {len(found)} keys named {label}")
        return found[0]


class TokenSessions:
    """The sessions of one token in this process."""

    def __init__(
        self,
        *,
        module: Module,
        token: str,
        read_pin: Callable[[], str],
        check: Callable[[TokenSession], None],
        pauses_seconds: tuple[float, ...],
        rest_seconds: float,
    ) -> None:
        """Name a token; nothing is opened before it is used.

        Args:
            module: the module that has the token.
            token: its label.
            read_pin: gives the user's PIN, which is asked for at each login and not kept.
            check: called after each login; it raises where the token is not fit for use.
            pauses_seconds: the ladder's pause before each further initialisation.
            rest_seconds: how long nobody tries when the ladder is at its end.
        """
        self.writing = threading.Lock()
        self._module = module
        self._label = token
        self._read_pin = read_pin
        self._check = check
        self._pauses_seconds = pauses_seconds
        self._rest_seconds = rest_seconds
        self._rests_until = 0.0
        self._pin_refused = False
        self._lock = threading.Lock()
        self._free: list[TokenSession] = []
        self._token: Token | None = None
        self._login = 0
        self._generation = 0

    def run(self, work: Callable[[TokenSession], T]) -> T:
        """Do ``work`` in a session; after a failure that the ladder mends, do it again."""
        with self.working(work) as result:
            return result

    @contextmanager
    def working(self, work: Callable[[TokenSession], T]) -> Iterator[T]:
        """As :meth:`run`, but the session stays in use until the block ends.

        Raises:
            HsmUnavailable: the ladder ended, or the session failed in the block.
        """
        result, session = self._climb(work)
        with session:
            try:
                yield result
            except PKCS11Error as error:
                raise _unavailable(error) from error

    def _climb(self, work: Callable[[TokenSession], T]) -> tuple[T, ExitStack]:
        """Do ``work``, up the ladder; the session stays in use until the stack is closed."""
        if time.monotonic() < self._rests_until:
            raise HsmUnavailable("the HSM failed a moment ago and is left to rest")
        for pause_seconds in (*self._pauses_seconds, None):
            generation = self._module.started()
            try:
                return self._attempt(work)
            except _SESSION_LOST as error:
                failure: PKCS11Error = error
            except PKCS11Error as error:
                failure = error
                if not _is_token_lost(error) or self._module.is_held_here():
                    raise _unavailable(error) from error
                self._reinitialise(pause_seconds, generation)
        self._rests_until = time.monotonic() + self._rest_seconds
        raise _unavailable(failure) from failure

    def _attempt(self, work: Callable[[TokenSession], T]) -> tuple[T, ExitStack]:
        with ExitStack() as stack:
            session = stack.enter_context(self.borrowed())
            return work(session), stack.pop_all()

    @contextmanager
    def borrowed(self) -> Iterator[TokenSession]:
        """Lend a session without the ladder: what fails in it, fails."""
        with self._module.use() as generation:
            session = self._take(generation)
            unharmed = False
            try:
                yield session
                unharmed = True
            except _SESSION_LOST:
                self._forget(session.login)
                raise
            finally:
                self._give_back(session, unharmed=unharmed)

    def _take(self, generation: int) -> TokenSession:
        with self._lock:
            if self._token is None or self._generation != generation:
                self._token = self._log_in()
                self._generation = generation
            if self._free:
                return self._free.pop()
            return TokenSession(self._token.open(), login=self._login)

    def _give_back(self, session: TokenSession, *, unharmed: bool) -> None:
        with self._lock:
            if unharmed and session.login == self._login:
                self._free.append(session)
                return
        try:
            session.session.close()
        except PKCS11Error as error:
            _logger.info("a session was lost: %s", type(error).__name__)

    def _log_in(self) -> Token:
        """Log the process in, and check that the token is fit for use."""
        if self._pin_refused:
            raise HsmUnavailable("the PIN was refused: correct the PIN's file and start again")
        self._free.clear()  # handles of before may belong to others by now, so nobody closes them
        token = self._module.token(self._label)
        try:
            anchor = token.open(user_pin=self._read_pin())
        except UserAlreadyLoggedIn:
            anchor = token.open()
        except _PIN_REFUSED as error:
            self._pin_refused = True
            raise HsmUnavailable(f"the token refused the PIN ({type(error).__name__})") from error
        self._login += 1
        try:
            self._check(TokenSession(anchor, login=self._login))
        except HsmNotReady:
            anchor.close()
            raise
        return token

    def _forget(self, login: int) -> None:
        """Let the next one log in again, unless somebody did since."""
        with self._lock:
            if self._login == login:
                self._token = None

    def _reinitialise(self, pause_seconds: float | None, generation: int) -> None:
        if pause_seconds is None:
            return
        time.sleep(pause_seconds)
        try:
            self._module.reinitialise(generation)
        except HsmUnavailable as error:
            _logger.warning("%s", error)


def _is_token_lost(error: PKCS11Error) -> bool:
    """Whether initialising the module may help; the binding gives "not initialised" no class."""
    return isinstance(error, _TOKEN_LOST) or type(error) is PKCS11Error


def _unavailable(error: PKCS11Error) -> HsmUnavailable:
    if isinstance(error, NoSuchKey):
        return HsmNotReady(f"the token has no key {error}: run `cellkey hsm init`")
    if isinstance(error, NoSuchToken):
        return HsmNotReady("the token is not there: plug it in, or run `cellkey hsm init`")
    return HsmUnavailable(f"the HSM failed ({type(error).__name__})")
