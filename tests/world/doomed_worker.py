"""A worker process that sends by writing lines, and may be killed on the way.

It takes messages, a few at a time, until none is left that it may have. Its doom is ``none``, or
``before-sending`` or ``after-sending``: then it kills itself (SIGKILL) at its tenth message, before
it is sent or between sending and recording that.
"""

import os
import signal
from datetime import datetime
from itertools import count
from pathlib import Path
from uuid import uuid4

from backend.delivery.outbox import claim, mark_sent
from backend.wiring import make_engine, make_session_factory

LEASE_SECONDS = 30
AT_ONCE = 3
DOOMED_AT = 10


def work(database_url: str, sent: Path, now: datetime, doom: str) -> None:
    """Work until nothing is left, or until killed."""
    sessions = make_session_factory(make_engine(database_url))
    worker, numbers = uuid4(), count(1)
    while True:
        with sessions.begin() as session:
            messages = claim(
                session, worker=worker, now=now, limit=AT_ONCE, lease_seconds=LEASE_SECONDS
            )
        if not messages:
            return
        for message in messages:
            is_last = doom != "none" and next(numbers) == DOOMED_AT
            if is_last and doom == "before-sending":
                os.kill(os.getpid(), signal.SIGKILL)
            with sent.open("a") as lines:
                lines.write(f"{message.id}\n")
            if is_last:
                os.kill(os.getpid(), signal.SIGKILL)
            with sessions.begin() as session:
                mark_sent(session, message, now=now)
