"""What is under way in one event loop: the turns at the desk, and the messages between them."""

import asyncio
import logging
from concurrent.futures import Executor
from contextlib import suppress
from typing import Final, final

from backend.delivery.claiming import ClaimedMessage
from backend.delivery.desk import Desk
from backend.delivery.dispatch import Channels, Clock, Parcel, Sender, pack
from backend.delivery.lanes import LARGEST_CLAIM, NO_ROOM, Lanes, Room
from backend.delivery.outcomes import Ended, Never, NotNow

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.25
"""How often an idle worker looks, where nobody wakes it; and looks whether to stop."""
FIRST_REST_SECONDS: Final = 0.04
"""How soon it looks again when it has just become idle; twice as late each time."""
GATHER_SECONDS: Final = 0.04
"""For so long a busy worker collects what ends and what comes, for one commit."""
LAST_TRIES: Final = 5
"""How often, told to stop, it tries to write down what it sent."""


@final
class Shift:
    """One run of the loop; all but :meth:`wake` is called in its event loop."""

    def __init__(  # what a worker works with
        self,
        *,
        desk: Desk,
        database: Executor,
        sender: Sender,
        channels: Channels,
        lanes: Lanes,
        clock: Clock,
    ) -> None:
        """Begin with nothing under way. ``database``: where the desk's turns run, one thread."""
        self.taken_up = 0
        self.turns = 0
        self._desk = desk
        self._database = database
        self._sender = sender
        self._channels = channels
        self._lanes = lanes
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._stir = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()
        self._ended: list[Ended] = []
        self._claimed = 0
        self._rest_seconds = 0.0

    def wake(self) -> None:
        """End a rest. From any thread."""
        with suppress(RuntimeError):  # the loop has just ended
            self._loop.call_soon_threadsafe(self._stir.set)

    async def turn(self) -> None:
        """Write down what ended, claim what there is room for, and begin to send it.

        Raises:
            Exception: of the database; what could not be written down is kept for the next turn.
        """
        room = self._lanes.room(now=self._clock())
        claimed = await self._at_the_desk(room)
        self.turns += 1
        self._claimed = len(claimed)
        begun = sum([self._begin(message) for message in claimed])
        if begun == LARGEST_CLAIM:
            self._rest_seconds = 0.0
        elif begun:
            self._rest_seconds = GATHER_SECONDS
        else:
            self._rest_seconds = min(POLL_SECONDS, 2 * self._rest_seconds or FIRST_REST_SECONDS)

    async def rest(self) -> None:
        """Wait until something ends or somebody wakes us, longer the longer nothing happens."""
        if not self._rest_seconds:
            return
        await self.wait_for_an_end(seconds=self._rest_seconds)
        if self._ended:
            # Others will end now too: one commit for all.
            await asyncio.sleep(GATHER_SECONDS)

    async def wait_for_an_end(self, *, seconds: float | None = None) -> None:
        """Wait until something ends or somebody wakes us, at most so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stir.wait()
        self._stir.clear()

    def is_over(self) -> bool:
        """Say whether nothing was due, and nothing is under way or to be written down."""
        return not (self._claimed or self._under_way or self._ended)

    async def finish(self) -> None:
        """Let what is under way end, and write it down; what cannot be is sent again later."""
        tries = LAST_TRIES
        while tries and (self._under_way or self._ended):
            if not self._ended:
                await self.wait_for_an_end()
            try:
                await self._at_the_desk(NO_ROOM)
            except Exception:
                log.exception("recording failed")
                tries -= 1
                await asyncio.sleep(POLL_SECONDS)

    async def _at_the_desk(self, room: Room) -> list[ClaimedMessage]:
        ended, self._ended = self._ended, []
        try:
            return await self._loop.run_in_executor(self._database, self._desk.turn, ended, room)
        except BaseException:
            self._ended += self._desk.still_ours(ended)
            raise

    def _begin(self, message: ClaimedMessage) -> bool:
        """Start to send; ``False`` if there was no place for it."""
        parcel = pack(message, self._channels)
        if isinstance(parcel, Never):
            self._end(Ended(message=message, outcome=parcel))
            self.taken_up += 1
            return True
        no_place = self._lanes.enter(parcel.destination, now=self._clock())
        if no_place is not None:
            self._end(Ended(message=message, outcome=no_place))
            return False
        self.taken_up += 1
        task = self._loop.create_task(self._deliver(parcel))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return True

    async def _deliver(self, parcel: Parcel) -> None:
        answered = False
        try:
            outcome = await self._sender.send(parcel)
            answered = not isinstance(outcome, NotNow) or outcome.answered
            self._ended.append(Ended(message=parcel.message, outcome=outcome))
        except Exception:
            # Its lease ends it.
            log.exception("delivering failed")
        finally:
            self._lanes.leave(parcel.destination, answered=answered, now=self._clock())
            self._stir.set()

    def _end(self, ended: Ended) -> None:
        self._ended.append(ended)
        self._stir.set()
