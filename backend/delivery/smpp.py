"""The SMS gateway that speaks SMPP: keeps a connection, and sends over it part after part.

1. A connection that ends is made again, after a pause that grows to ``LONGEST_PAUSE_SECONDS``.
   While there is none, a text waits ``CONNECTION_SECONDS`` for one and is then given back.
2. What the centre has no room for (throttling, a full queue) is given back and tried later; all
   texts pause meanwhile. A part that follows one which was taken is not given back but waits:
   the whole text would be sent, and paid for, again.
3. A report may be faster than the commit that writes down what its part is called: what was sent
   from here is known by that name at once. A report of another's text, or of nobody's, is
   asked for once more; when it comes again it is nobody's.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Final, Protocol, TypeVar, final
from uuid import UUID

from backend.delivery.back_off import pause_seconds
from backend.delivery.segmenter import Segment
from backend.delivery.smpp_address import SmppAddress, connect
from backend.delivery.smpp_pdus import PartReport, submit
from backend.delivery.smpp_session import (
    THROTTLED_SECONDS,
    NotKnown,
    SmppSession,
    Throttled,
)
from backend.delivery.sms import OutgoingSms, Reports
from backend.errors import CellkeyError, DeliveryFailed, NotAnswered

log = logging.getLogger(__name__)

CONNECTION_SECONDS: Final = 5.0
LONGEST_PAUSE_SECONDS: Final = 30.0
LATER_PART_SECONDS: Final = 1.0
MOST_REMEMBERED: Final = 10_000

Clock = Callable[[], datetime]
Thing = TypeVar("Thing")


class TakeReport(Protocol):
    """Writes down what is reported of a part."""

    async def __call__(self, report: PartReport, *, part: tuple[UUID, int] | None) -> bool:
        """Take one; ``part``: whose it is, where that is known here. ``False``: of nobody's."""


@final
class SmppGateway:
    """One connection of one worker."""

    reports = Reports.PARTS

    def __init__(  # where, who, and who takes reports
        self,
        address: SmppAddress,
        *,
        user: str,
        password: str,
        sender: str,
        take_report: TakeReport,
        clock: Clock,
        connection_seconds: float = CONNECTION_SECONDS,
    ) -> None:
        """Reach the centre at ``address``; nothing is connected yet."""
        self._address = address
        self._user, self._password, self._sender = user, password, sender
        self._take_report = take_report
        self._clock = clock
        self._connection_seconds = connection_seconds
        self._session: asyncio.Future[SmppSession] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._paused_until = 0.0
        self._sent: OrderedDict[str, tuple[UUID, int]] = OrderedDict()
        self._strangers: OrderedDict[str, None] = OrderedDict()

    async def open(self) -> None:
        """Connect, in the background, and stay connected: reports come at any time."""
        self._session = asyncio.get_running_loop().create_future()
        self._keeping = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Unbind and end the connection."""
        if self._keeping is None or self._session is None:
            return
        if self._session.done():
            await self._session.result().leave()
        self._keeping.cancel()
        with suppress(asyncio.CancelledError):
            await self._keeping
        self._keeping = None

    async def send(self, sms: OutgoingSms) -> tuple[str, ...]:
        """Send part after part; give what the centre calls them.

        Raises:
            DeliveryFailed: the centre did not take it now.
            SmsRefused: it never will.
        """
        session = await self._connected()
        references: list[str] = []
        for number, part in enumerate(sms.parts, 1):
            try:
                reference = await self._send_part(session, sms, part, is_first=number == 1)
            except DeliveryFailed as error:
                error.perhaps_taken |= number > 1
                raise
            references.append(reference)
            _remember(self._sent, reference, (sms.message_id, number))
        return tuple(references)

    async def _connected(self) -> SmppSession:
        if self._session is None:
            raise NotAnswered("the SMS gateway is not open")
        try:
            async with asyncio.timeout(self._connection_seconds):
                return await asyncio.shield(self._session)
        except TimeoutError as error:
            raise NotAnswered("there is no connection to the SMS centre") from error

    async def _send_part(
        self, session: SmppSession, sms: OutgoingSms, part: Segment, *, is_first: bool
    ) -> str:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(max(0.0, self._paused_until - loop.time()))
            left = sms.expires_at - self._clock()
            if left.total_seconds() <= 0:
                raise DeliveryFailed("too late")
            try:
                return await session.submit(
                    lambda sequence: submit(
                        part,
                        number=sms.number,
                        sender=self._sender,
                        valid_for=left,  # noqa: B023  # used before it changes
                        sequence=sequence,
                    )
                )
            except Throttled:
                if is_first:
                    self._paused_until = loop.time() + THROTTLED_SECONDS
                    raise
                self._paused_until = loop.time() + LATER_PART_SECONDS

    # --- the connection -----------------------------------------------------------

    async def _keep(self) -> None:
        failures = 0
        while True:
            try:
                session = await self._new_session()
            except (CellkeyError, OSError) as error:
                failures += 1
                if isinstance(error, NotKnown):
                    log.exception(
                        "the SMS gateway does not know us: no text leaves",
                        extra={"event_name": "sms_gateway_refused"},
                    )
                else:
                    log.warning("no connection to the SMS centre", exc_info=True)
            else:
                failures = 0
                await self._use(session)
            pause = pause_seconds(failures + 1, jitter=0.0, retry_after_seconds=None)
            await asyncio.sleep(min(pause, LONGEST_PAUSE_SECONDS))

    async def _new_session(self) -> SmppSession:
        session = SmppSession(await connect(self._address), take_report=self._report)
        try:
            await session.sign_in(user=self._user, password=self._password)
        except BaseException:
            session.close()
            raise
        return session

    async def _use(self, session: SmppSession) -> None:
        """Lend it to who sends, until it ends."""
        lent = self._session
        if lent is not None and not lent.done():
            lent.set_result(session)
        try:
            await session.run()
        finally:
            self._session = asyncio.get_running_loop().create_future()

    async def _report(self, report: PartReport) -> bool:
        if await self._take_report(report, part=self._sent.get(report.reference)):
            return True
        is_stranger = report.reference in self._strangers
        _remember(self._strangers, report.reference, None)
        return is_stranger


def _remember(things: OrderedDict[str, Thing], name: str, thing: Thing) -> None:
    things[name] = thing
    while len(things) > MOST_REMEMBERED:
        things.popitem(last=False)
