"""Waiting where it holds nobody's thread (section 8.4): the address that the list names.

It is asked for one bit, without a proof, and is not trusted: its clock is not taken over, an answer
that cannot be had or read is no answer, and at most one call a second waits there.
"""

import time
from collections.abc import Callable
from urllib.parse import urlencode

import msgspec

from backend.virtual_phone.encoding import read_json
from backend.virtual_phone.errors import MessageRefused, ServerRefused, Unreachable
from backend.virtual_phone.transport import ANSWER_SECONDS, Caller, Clock, Http, Watch

HELD_SECONDS = 25
PACE_SECONDS = 1.0


class WaitAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether the list may be another, and since when to wait next."""

    changed: bool
    cursor: str


class WaitCalls:
    """The one call of section 8.4."""

    def __init__(
        self,
        http: Http,
        *,
        sleep: Callable[[float], None] = time.sleep,
        watch: Watch | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Call by ``http``, with a clock that sets nobody else's."""
        self._caller = Caller(http, clock=Clock(), sleep=sleep, watch=watch)
        self._sleep = sleep
        self._monotonic = monotonic
        self._waited_at: float | None = None

    def ask(self, address: str, *, cursor: str | None) -> WaitAnswer | None:
        """Ask for a cursor, or wait for a change after it; ``None`` if there is no answer."""
        if cursor is not None:
            self._keep_pace()
            address = f"{address}?{urlencode({'cursor': cursor})}"
        try:
            answer = self._caller.exchange(
                "GET", address, timeout_seconds=ANSWER_SECONDS + HELD_SECONDS, attempts=1
            )
            return read_json(answer.body, WaitAnswer)
        except (Unreachable, ServerRefused, MessageRefused):
            return None

    def _keep_pace(self) -> None:
        now = self._monotonic()
        if self._waited_at is not None and now < self._waited_at + PACE_SECONDS:
            self._sleep(self._waited_at + PACE_SECONDS - now)
        self._waited_at = self._monotonic()
