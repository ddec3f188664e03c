"""Sends text messages. The text was rendered and sealed by the SAM; only the worker can open it.

A gateway is whoever takes a number and a text. Here is the one of development: it writes what would
be sent, so the stream it writes to is as secret as the phones.
"""

from typing import Protocol, TextIO, final
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec

from backend.protocol.sms import open_sms


class SmsGateway(Protocol):
    """Takes text messages to phones."""

    def send(self, *, number: str, text: str, message_id: UUID) -> None:
        """Send a text; the same ``message_id`` again is the same message.

        Raises:
            backend.errors.DeliveryFailed: it was not taken now.
        """


@final
class ConsoleGateway:
    """Writes each message as one readable block."""

    def __init__(self, stream: TextIO) -> None:
        """Write to ``stream``."""
        self._stream = stream

    def send(self, *, number: str, text: str, message_id: UUID) -> None:
        """Write the block in one piece, so that threads do not mix their messages."""
        lines = "".join(f"| {line}\n" for line in text.splitlines())
        self._stream.write(f"+-- SMS to {number} ({message_id})\n{lines}+--\n")
        self._stream.flush()


def send_sms(
    sealed_sms: str,
    *,
    message_id: UUID,
    private_key: ec.EllipticCurvePrivateKey,
    gateway: SmsGateway,
) -> None:
    """Open a sealed text and hand it to the gateway; it is kept nowhere.

    Raises:
        MalformedMessage: it was not sealed to this key.
        DeliveryFailed: the gateway did not take it now.
    """
    sms = open_sms(sealed_sms, private_key)
    gateway.send(number=sms.number, text=sms.text, message_id=message_id)
