"""Sends text messages. The text was rendered and sealed by the SAM; only the worker can open it.

1. A gateway is whoever takes a number and a text. One that takes it twice under one message id, or
   under one reference of its parts, may know that it is the same.
2. A text is sent only with its place in the budgets (:class:`CountedSms`).
3. Number and text are in no log, no error and no ``repr``.
"""

import asyncio
from datetime import datetime
from enum import IntEnum
from typing import Final, Protocol, TextIO, final
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from backend.delivery.segmenter import Segment, segments
from backend.protocol.sms import open_sms

SECONDS: Final = 20.0
"""Longest time that a gateway may take for a text; shorter than a lease."""


class Reports(IntEnum):
    """Of what a gateway reports whether it was delivered."""

    NOTHING = 0
    TEXTS = 1
    PARTS = 2


@final
class OutgoingSms(msgspec.Struct, frozen=True, kw_only=True):
    """A text that was opened, to be sent at once; it is kept nowhere."""

    message_id: UUID
    number: str
    """E.164."""
    text: str
    parts: tuple[Segment, ...]
    expires_at: datetime

    def __repr__(self) -> str:
        """Name it, and say nothing of it."""
        return f"OutgoingSms({self.message_id})"


@final
class CountedSms(msgspec.Struct, frozen=True, kw_only=True):
    """Proof that a text has its place in the budgets; made by ``sms_budgets.count_texts`` alone."""

    sealed_sms: str


class SmsGateway(Protocol):
    """Takes text messages to phones; used in one event loop."""

    @property
    def reports(self) -> Reports:
        """Of what it reports."""

    async def open(self) -> None:
        """Begin to reach it, and to hear its reports; failures are its own business."""

    async def send(self, sms: OutgoingSms) -> tuple[str, ...]:
        """Send a text; give what the gateway calls its parts, where it reports by that.

        Raises:
            DeliveryFailed: it was not taken now.
            SmsRefused: it never will be.
        """

    async def close(self) -> None:
        """Leave it."""


class SilentGateway:
    """What a gateway needs that keeps nothing open and reports nothing."""

    reports: Reports = Reports.NOTHING

    async def open(self) -> None:
        """Nothing is kept open."""

    async def close(self) -> None:
        """Nothing is kept open."""


@final
class ConsoleGateway(SilentGateway):
    """Writes each message as one readable block: its stream is as secret as the phones."""

    def __init__(self, stream: TextIO) -> None:
        """Write to ``stream``."""
        self._stream = stream

    async def send(self, sms: OutgoingSms) -> tuple[str, ...]:
        """Write the block in one piece; a terminal may block."""
        lines = "".join(f"| {line}\n" for line in sms.text.splitlines())
        block = f"+-- SMS to {sms.number} ({sms.message_id})\n{lines}+--\n"
        await asyncio.to_thread(self._write, block)
        return ()

    def _write(self, block: str) -> None:
        self._stream.write(block)
        self._stream.flush()


def open_text(
    sealed_sms: str,
    *,
    message_id: UUID,
    expires_at: datetime,
    private_key: ec.EllipticCurvePrivateKey,
) -> OutgoingSms:
    """Open a sealed text and cut it.

    The parts' reference follows from the message id: what is sent again has the same one.

    Raises:
        MalformedMessage: it was not sealed to this key.
        SmsRefused: it has too many parts.
    """
    sms = open_sms(sealed_sms, private_key)
    return OutgoingSms(
        message_id=message_id,
        number=sms.number,
        text=sms.text,
        parts=segments(sms.text, reference=message_id.bytes[-1]),
        expires_at=expires_at,
    )
