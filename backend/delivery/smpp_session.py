"""One connection to an SMS centre (SMPP 3.4), from bind to its end.

1. At most ``WINDOW`` texts wait for their answer at a time. An answer is awaited for
   ``ANSWER_SECONDS``; what comes later is not missed by anybody.
2. Who says nothing for ``QUIET_SECONDS`` is asked (``enquire_link``); who does not answer is gone.
3. A report is answered when it is written down, and not before: else the centre says it again.
4. When the connection ends, whoever waits for an answer is told that nobody knows.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, final

from backend.delivery.smpp_address import Streams
from backend.delivery.smpp_pdus import (
    HEADER_BYTES,
    MOST_SEQUENCE,
    OK,
    REFUSED,
    THROTTLED,
    TRY_AGAIN,
    UNKNOWN,
    Header,
    PartReport,
    bind,
    name_of,
    plain,
    read_header,
    read_reference,
    read_report,
)
from backend.errors import DeliveryFailed, MalformedMessage, NotAnswered, SmsRefused

log = logging.getLogger(__name__)

WINDOW: Final = 10
REPORTS_AT_ONCE: Final = 10
ANSWER_SECONDS: Final = 10.0
QUIET_SECONDS: Final = 30.0
THROTTLED_SECONDS: Final = 5

TakeReport = Callable[[PartReport], Awaitable[bool]]
"""Writes a report down; ``False``: it is to come again."""


class Throttled(DeliveryFailed):
    """The SMS centre has more than it can take now."""


class NotKnown(NotAnswered):
    """The SMS centre does not let us in."""


@final
class SmppSession:
    """Used in one event loop."""

    def __init__(
        self,
        streams: Streams,
        *,
        take_report: TakeReport,
        quiet_seconds: float = QUIET_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        """Speak over a connection that was made; nothing is said yet."""
        self._reader, self._writer = streams
        self._take_report = take_report
        self._quiet_seconds = quiet_seconds
        self._answer_seconds = answer_seconds
        self._sequence = 0
        self._waiting: dict[int, asyncio.Future[tuple[Header, bytes]]] = {}
        self._window = asyncio.Semaphore(WINDOW)
        self._report_places = asyncio.Semaphore(REPORTS_AT_ONCE)
        self._reports: set[asyncio.Task[None]] = set()

    async def sign_in(self, *, user: str, password: str) -> None:
        """Bind as a transceiver.

        Raises:
            NotKnown: it does not let us in.
            NotAnswered: it does not answer in time and form.
        """
        sequence = self._next_sequence()
        await self._write(bind(user=user, password=password, sequence=sequence))
        try:
            async with asyncio.timeout(self._answer_seconds):
                header, _ = await self._read()
        except (OSError, EOFError, MalformedMessage) as error:
            raise NotAnswered("the SMS centre does not answer a bind") from error
        if header.status in UNKNOWN:
            raise NotKnown(f"the SMS centre does not know us: status {header.status}")
        if header.status != OK or name_of(header) != "bind_transceiver_resp":
            raise NotAnswered(f"the SMS centre answered a bind with status {header.status}")

    async def submit(self, write: Callable[[int], bytes]) -> str:
        """Send a part, and give what the centre calls it.

        Args:
            write: makes the PDU of a sequence number.

        Raises:
            Throttled: it takes no more now.
            SmsRefused: it never takes this one.
            DeliveryFailed: it did not take it now.
            NotAnswered: nobody knows.
        """
        async with self._window:
            header, octets = await self._ask(write)
        if header.status in THROTTLED:
            raise Throttled("the SMS centre takes no more now", THROTTLED_SECONDS)
        if header.status in REFUSED:
            raise SmsRefused(f"the SMS centre refused the text: status {header.status}")
        if header.status != OK:
            raise DeliveryFailed(f"the SMS centre answered status {header.status}")
        try:
            return read_reference(octets)
        except MalformedMessage as error:
            raise DeliveryFailed(str(error), perhaps_taken=True) from error

    async def run(self) -> None:
        """Hear what the centre says, until the connection ends."""
        try:
            while await self._hear():
                pass
        except (OSError, EOFError, MalformedMessage) as error:
            log.info("the SMS centre is gone", extra={"reason": type(error).__name__})
        finally:
            await self._end()

    async def leave(self) -> None:
        """Unbind, as far as the centre listens; :meth:`run` ends with the connection."""
        with suppress(OSError, NotAnswered):
            async with asyncio.timeout(1.0):
                await self._ask(lambda sequence: plain("unbind", sequence=sequence))
        self.close()

    def close(self) -> None:
        """Cut the connection off."""
        self._writer.close()

    # --- asking -------------------------------------------------------------------

    async def _ask(self, write: Callable[[int], bytes]) -> tuple[Header, bytes]:
        sequence = self._next_sequence()
        answer: asyncio.Future[tuple[Header, bytes]] = asyncio.get_running_loop().create_future()
        self._waiting[sequence] = answer
        try:
            await self._write(write(sequence))
            async with asyncio.timeout(self._answer_seconds):
                return await answer
        except OSError as error:
            raise NotAnswered("the SMS centre did not answer", perhaps_taken=True) from error
        finally:
            del self._waiting[sequence]

    async def _write(self, octets: bytes) -> None:
        self._writer.write(octets)
        await self._writer.drain()

    def _next_sequence(self) -> int:
        self._sequence = self._sequence % MOST_SEQUENCE + 1
        return self._sequence

    # --- hearing ------------------------------------------------------------------

    async def _hear(self) -> bool:
        """Take one PDU; ``False`` when the centre leaves."""
        try:
            async with asyncio.timeout(self._quiet_seconds):
                head = await self._reader.readexactly(HEADER_BYTES)
        except TimeoutError:
            await self._write(plain("enquire_link", sequence=self._next_sequence()))
            async with asyncio.timeout(self._answer_seconds):
                head = await self._reader.readexactly(HEADER_BYTES)
        header, octets = await self._rest_of(head)
        match name_of(header):
            case "deliver_sm":
                await self._report_places.acquire()
                task = asyncio.create_task(self._report(header, octets))
                self._reports.add(task)
                task.add_done_callback(self._reports.discard)
            case "enquire_link":
                await self._write(plain("enquire_link_resp", sequence=header.sequence))
            case "unbind":
                await self._write(plain("unbind_resp", sequence=header.sequence))
                return False
            case "unbind_resp":
                self._answered(header, octets)
                return False
            case _:
                self._answered(header, octets)
        return True

    async def _read(self) -> tuple[Header, bytes]:
        return await self._rest_of(await self._reader.readexactly(HEADER_BYTES))

    async def _rest_of(self, head: bytes) -> tuple[Header, bytes]:
        header = read_header(head)
        async with asyncio.timeout(self._answer_seconds):
            rest = await self._reader.readexactly(header.length - HEADER_BYTES)
        return header, head + rest

    def _answered(self, header: Header, octets: bytes) -> None:
        """Wake who waits; what nobody waits for was given up."""
        waiting = self._waiting.get(header.sequence)
        if waiting is not None and not waiting.done():
            waiting.set_result((header, octets))

    async def _report(self, header: Header, octets: bytes) -> None:
        status = TRY_AGAIN
        try:
            report = read_report(octets)
            if report is None or await self._take_report(report):
                status = OK
        except MalformedMessage:
            log.warning("a report of the SMS centre cannot be read")
            status = OK  # nor could it the next time
        except Exception:
            log.exception("a report could not be written down")
        finally:
            self._report_places.release()
        with suppress(OSError):
            await self._write(plain("deliver_sm_resp", sequence=header.sequence, status=status))

    async def _end(self) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(
                    NotAnswered("the connection to the SMS centre ended", perhaps_taken=True)
                )
        for task in self._reports:
            task.cancel()
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()
