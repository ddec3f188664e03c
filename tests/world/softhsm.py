"""SoftHSM 2: a PKCS#11 HSM in software, with tokens that are made for one test.

SoftHSM reads ``SOFTHSM2_CONF`` when it is initialised, which happens once in a process. So all
tests of a process share one store, :func:`softhsm`; a test that wants to be alone takes a token of
its own from it. A process that a test starts gets :attr:`Token.environment`.
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pkcs11
import pytest

from backend.hsm.pkcs11 import PAUSES_SECONDS, REST_SECONDS, Pkcs11Hsm
from backend.hsm.pkcs11_binding import TemplateMapper, load_module
from backend.hsm.pkcs11_provision import make_wrapping_key, provision

MODULE = Path(os.environ.get("SOFTHSM2_MODULE", "/usr/lib/softhsm/libsofthsm2.so"))
_MEMORY = Path("/dev/shm")  # noqa: S108  # SoftHSM syncs each object: 20 times as fast in memory
SO_PIN = "so-pin-of-tests"
PIN = "pin-of-tests"


class Token(NamedTuple):
    """A token with Cellkey's service keys."""

    label: str
    pin_file: Path
    folder: Path
    """Where SoftHSM keeps it: moving this folder away is pulling the token out."""
    conf: Path

    def hsm(
        self,
        *,
        pauses_seconds: tuple[float, ...] = PAUSES_SECONDS,
        rest_seconds: float = REST_SECONDS,
    ) -> Pkcs11Hsm:
        """The token, as Cellkey uses it."""
        return Pkcs11Hsm(
            module=MODULE,
            token=self.label,
            read_pin=self.pin_file.read_text().strip,
            pauses_seconds=pauses_seconds,
            rest_seconds=rest_seconds,
        )

    def attacker(self) -> pkcs11.Session:
        """A live session beside Cellkey's, in the same process: it may do all that the user may."""
        token = load_module(MODULE).token(self.label)
        try:
            return token.open(rw=True, user_pin=PIN)
        except pkcs11.UserAlreadyLoggedIn:
            return token.open(rw=True)

    @contextmanager
    def security_officer(self) -> Iterator[pkcs11.Session]:
        """A session of the security officer; everybody else of this process is logged out."""
        log_everybody_out()
        token = load_module(MODULE).token(self.label)
        with token.open(rw=True, so_pin=SO_PIN, attribute_mapper=TemplateMapper()) as session:
            yield session

    def initialise(self) -> None:
        """Make the service keys, as ``cellkey hsm init`` does."""
        log_everybody_out()
        provision(module=MODULE, token=self.label, so_pin=SO_PIN, pin=PIN)

    def add_wrapping_key(self, kw: str) -> None:
        """Make a further wrapping key."""
        with self.security_officer() as session:
            make_wrapping_key(session, kw)

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to use the token."""
        return {
            "SOFTHSM2_CONF": str(self.conf),
            "CELLKEY_HSM": "pkcs11",
            "CELLKEY_PKCS11_MODULE": str(MODULE),
            "CELLKEY_PKCS11_TOKEN": self.label,
            "CELLKEY_PKCS11_PIN_FILE": str(self.pin_file),
        }


class SoftHsm:
    """A store of tokens."""

    def __init__(self, folder: Path) -> None:
        """Make an empty store and its configuration."""
        self.tokens = folder / "tokens"
        self.tokens.mkdir()
        self.conf = folder / "softhsm2.conf"
        self.conf.write_text(
            f"directories.tokendir = {self.tokens}\n"
            "objectstore.backend = file\n"
            "log.level = ERROR\n"
            "slots.removable = false\n"
        )
        self.pin_file = folder / "pin"
        self.pin_file.write_text(PIN + "\n")
        self._numbers = count(1)

    def new_label(self) -> str:
        """A label that no token has yet."""
        return f"cellkey-{next(self._numbers)}"

    def new_token(self) -> Token:
        """Make a token and its service keys, as ``cellkey hsm init`` does."""
        label = self.new_label()
        before = set(self.tokens.iterdir())
        provision(module=MODULE, token=label, so_pin=SO_PIN, pin=PIN)
        (folder,) = set(self.tokens.iterdir()) - before
        return Token(label=label, pin_file=self.pin_file, folder=folder, conf=self.conf)


def log_everybody_out() -> None:
    """Finalise and initialise the module: sessions, logins and session objects are gone."""
    module = load_module(MODULE)
    module.reinitialise(module.started())


@cache
def softhsm() -> SoftHsm:
    """The store of this process; it is gone when the process ends."""
    if not MODULE.exists():
        pytest.skip("SoftHSM 2 is not installed")
    folder = Path(
        tempfile.mkdtemp(prefix="cellkey-softhsm-", dir=_MEMORY if _MEMORY.is_dir() else None)
    )
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    store = SoftHsm(folder)
    os.environ["SOFTHSM2_CONF"] = str(store.conf)
    return store
