"""The one connection to the database, which listens and reads no row.

While it is broken nobody is told anything; once it listens again everybody is told to look. A
connection that seems to live is asked every few seconds whether it does.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, final

import psycopg
from sqlalchemy import make_url

from backend.model.changes import CHANNEL

log = logging.getLogger(__name__)

PROBE_SECONDS: Final = 5.0
PATIENCE_SECONDS: Final = 5.0
"""How long connecting, and an answer to the probe, may take."""
PAUSES_SECONDS: Final = (0.1, 0.5, 1.0, 2.0, 5.0)
"""Between attempts to connect again."""

Connection = psycopg.AsyncConnection[tuple[Any, ...]]


@final
class Listening:
    """Hears what the database tells."""

    def __init__(
        self,
        database_url: str,
        *,
        tell: Callable[[str], None],
        tell_everybody: Callable[[], Awaitable[None]],
        pauses_seconds: tuple[float, ...] = PAUSES_SECONDS,
    ) -> None:
        """Listen on a database.

        Args:
            database_url: SQLAlchemy's URL of it.
            tell: is called with each wait id that changed.
            tell_everybody: is called when something may have been missed.
            pauses_seconds: between attempts to connect.
        """
        url = make_url(database_url)
        _, self._parameters = url.get_dialect()().create_connect_args(url)
        self._tell = tell
        self._tell_everybody = tell_everybody
        self._pauses_seconds = pauses_seconds
        self.listens = False
        """Whether it hears now."""

    async def run(self) -> None:
        """Listen until cancelled."""
        failures = 0
        while True:
            try:
                async with await self._connect() as connection:
                    await connection.execute(f"LISTEN {CHANNEL}")
                    failures, self.listens = 0, True
                    log.info("listening to the database")
                    await self._tell_everybody()
                    await self._hear(connection)
            except (psycopg.Error, OSError):  # a TimeoutError is one
                log.warning("the database tells no changes now", exc_info=True)
            finally:
                self.listens = False
            await asyncio.sleep(self._pauses_seconds[min(failures, len(self._pauses_seconds) - 1)])
            failures += 1

    async def _connect(self) -> Connection:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await psycopg.AsyncConnection.connect(
                **self._parameters, autocommit=True, application_name="cellkey wait"
            )

    async def _hear(self, connection: Connection) -> None:
        while True:
            async for notice in connection.notifies(timeout=PROBE_SECONDS):
                self._tell(notice.payload)
            async with asyncio.timeout(PATIENCE_SECONDS):
                await connection.execute("SELECT 1")
