"""A worker process that sends by writing lines, and may be killed on the way.

It is the real worker; its gateway writes the id of each message that it takes. It works until none
is left that it may have. Its doom is ``none``, or it kills itself (SIGKILL): at its tenth message
before or after that is sent (``before-sending``, ``after-sending``), or right before or after the
commit that writes down its tenth message (``before-recording``, ``after-recording``).
"""

import os
import signal
from datetime import datetime
from itertools import count
from pathlib import Path
from threading import Lock

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import event
from sqlalchemy.orm import Session, sessionmaker

from backend.delivery.dispatch import Channels
from backend.delivery.sms import OutgoingSms, SilentGateway
from backend.delivery.web_push import vapid_identity
from backend.delivery.worker import Worker
from backend.wiring import make_engine, make_session_factory
from tests.world.worker import UNBOUNDED

# The same in each process.
KEY = ec.derive_private_key(7, ec.SECP256R1())
DOOMED_AT = 10


class LineGateway(SilentGateway):
    """Takes messages by writing their ids into a file, until its doom."""

    def __init__(self, sent: Path, doom: str) -> None:
        self._sent = sent
        self._doom = doom
        self._numbers = count(1)
        self._lock = Lock()
        self.taken = 0

    async def send(self, sms: OutgoingSms) -> tuple[str, ...]:
        with self._lock:
            is_last = next(self._numbers) == DOOMED_AT
            if is_last and self._doom == "before-sending":
                die()
            with self._sent.open("a") as lines:
                lines.write(f"{sms.message_id}\n")
            if is_last and self._doom == "after-sending":
                die()
            self.taken += 1
        return ()


def work(database_url: str, sent: Path, now: datetime, doom: str) -> None:
    """Work until nothing is left, or until killed."""
    sessions = make_session_factory(make_engine(database_url))
    gateway = LineGateway(sent, doom)
    if doom.endswith("-recording"):
        _die_at_a_commit(sessions, gateway, f"{doom.removesuffix('-recording')}_commit")
    channels = Channels(
        allowed_hosts=(),
        identity=vapid_identity(KEY, subject="mailto:admin@example.org"),
        app_url="",
        sms_key=KEY,
        sms_gateway=gateway,
        sms_rules=UNBOUNDED,
    )
    Worker(sessions=sessions, channels=channels, jobs=(), clock=lambda: now).run_once()


def _die_at_a_commit(sessions: sessionmaker[Session], gateway: LineGateway, when: str) -> None:
    def die_in_time(_session: Session) -> None:
        if gateway.taken >= DOOMED_AT:
            die()

    event.listen(sessions, when, die_in_time)


def die() -> None:
    """End as if the machine did it."""
    os.kill(os.getpid(), signal.SIGKILL)
