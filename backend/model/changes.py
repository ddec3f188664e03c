"""Who waits for a row looks again when it has changed.

1. On PostgreSQL the database tells it: a trigger writes the word down in the commit that changes
   the row, ``telling`` passes it on (NOTIFY). One connection of each process listens, whoever waits
   holds none.
2. A word is a random wait id. It comes after the commit, at least once while we listen; after the
   connection was lost, everybody is told to look, as something may have been missed.
3. A word is only a hint. Who waits looks every few seconds anyway: a freeze tells nobody.
4. SQLite tells nothing, so there one looks again and again.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import Event, Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Final, cast, final
from uuid import UUID

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

if TYPE_CHECKING:
    from psycopg import Connection

log = logging.getLogger(__name__)

CHANNEL: Final = "cellkey_changed"
"""On which changes are told; the payload is a wait id."""
LOOKS_PER_SECOND: Final = 4
"""Where nothing is told."""
TICK_SECONDS: Final = 1.0
LOOK_SECONDS: Final = 5.0
"""At least so often who waits looks, told or not."""
PROBE_SECONDS: Final = 10.0
"""So often the connection is asked whether it lives."""
PAUSES_SECONDS: Final = (0.1, 0.5, 1.0, 2.0, 5.0)
"""Between attempts to connect again."""

Watch = Callable[[float], Iterator[bool]]
"""Goes on for so many seconds: ``True`` means look again, ``False`` that a second went by. It ends
early when the process ends."""

Watching = Callable[[UUID], AbstractContextManager[Watch]]
"""Watches a wait id. What changes from the beginning of the block on is not missed."""


def look_often(pause: Callable[[float], object]) -> Watching:
    """Watch without being told anything.

    Args:
        pause: waits so many seconds; what it gives is true when the process ends.
    """

    def watch(seconds: float) -> Iterator[bool]:
        for _ in range(round(seconds * LOOKS_PER_SECOND)):
            if pause(1 / LOOKS_PER_SECOND):
                return
            yield True

    @contextmanager
    def watching(_wait_id: UUID) -> Iterator[Watch]:
        yield watch

    return watching


def watch_changes(engine: Engine, *, stop: Event) -> Watching:
    """Watch as this database allows; ``stop`` ends what waits."""
    if engine.dialect.name == "postgresql":
        return Listener(engine, stop=stop).watching
    return look_often(stop.wait)


@final
class Listener:
    """The connection of one process that listens. It is opened when somebody waits first."""

    def __init__(
        self, engine: Engine, *, stop: Event, pauses_seconds: tuple[float, ...] = PAUSES_SECONDS
    ) -> None:
        """Listen on this database until ``stop``."""
        self._engine = engine
        self._stop = stop
        self._pauses_seconds = pauses_seconds
        self._lock = Lock()
        self._waiting: defaultdict[str, set[Event]] = defaultdict(set)
        self._thread: Thread | None = None

    @contextmanager
    def watching(self, wait_id: UUID) -> Iterator[Watch]:
        """Watch a wait id."""
        told, name = Event(), str(wait_id)
        with self._lock:
            self._waiting[name].add(told)
            self._start()
        try:
            yield lambda seconds: self._rounds(told, seconds)
        finally:
            with self._lock:
                self._waiting[name].discard(told)
                if not self._waiting[name]:
                    del self._waiting[name]

    def join(self) -> None:
        """Wait until the connection is closed, after ``stop``."""
        if self._thread is not None:
            self._thread.join()

    def _start(self) -> None:
        """Begin to listen; not before, because a server may fork after it has loaded us."""
        if self._thread is None:
            self._thread = Thread(target=self._run, name="changes", daemon=True)
            self._thread.start()

    def _rounds(self, told: Event, seconds: float) -> Iterator[bool]:
        began = monotonic()
        looked_at = began
        yield True  # what changed before we were known has been told to nobody
        while not self._stop.is_set() and (left := began + seconds - monotonic()) > 0:
            is_told = told.wait(min(TICK_SECONDS, left))
            told.clear()
            looks = is_told or monotonic() >= looked_at + LOOK_SECONDS
            if looks:
                looked_at = monotonic()
            yield looks

    # --- the connection -----------------------------------------------------------

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                with self._connection() as connection:
                    failures = 0
                    self._tell_everybody()
                    self._listen(connection)
            except (self._engine.dialect.loaded_dbapi.Error, SQLAlchemyError):
                log.warning("the database tells no changes now", exc_info=True)
            pause = self._pauses_seconds[min(failures, len(self._pauses_seconds) - 1)]
            failures += 1
            self._stop.wait(pause)

    @contextmanager
    def _connection(self) -> Iterator["Connection"]:
        """A connection that listens. It is taken out of the pool, which stays as large."""
        pooled = self._engine.raw_connection()
        connection = cast("Connection", pooled.driver_connection)
        pooled.detach()
        try:
            connection.rollback()
            connection.autocommit = True
            connection.execute(f"LISTEN {CHANNEL}")
            yield connection
        finally:
            connection.close()

    def _listen(self, connection: "Connection") -> None:
        probed_at = monotonic()
        while not self._stop.is_set():
            for notice in connection.notifies(timeout=TICK_SECONDS):
                self._tell(notice.payload)
            if monotonic() >= probed_at + PROBE_SECONDS:
                connection.execute("SELECT 1")
                probed_at = monotonic()

    def _tell(self, name: str) -> None:
        with self._lock:
            for told in self._waiting.get(name, ()):
                told.set()

    def _tell_everybody(self) -> None:
        with self._lock:
            for one in self._waiting.values():
                for told in one:
                    told.set()
