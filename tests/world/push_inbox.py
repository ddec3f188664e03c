"""What a push service keeps for a phone."""

import asyncio
import base64
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Message:
    """What waits for a phone; nobody here can read it."""

    id: str
    body: bytes
    topic: str | None
    expires_at: float

    @property
    def data(self) -> str:
        """The body in base64url, as browsers are given it."""
        return base64.urlsafe_b64encode(self.body).rstrip(b"=").decode()


@dataclass(frozen=True)
class Received:
    """What an application sent, accepted or not."""

    token: str
    headers: dict[str, str]
    """By their names in lower case."""
    body: bytes
    peer: object = None
    """Which connection it came by."""


@dataclass
class Subscription:
    """One phone at this service."""

    token: str
    secret: str
    key: str
    gone: bool = False
    waiting: int = 0
    messages: list[Message] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def fresh(self, now: float) -> list[Message]:
        """Forget what is too old; give the rest."""
        self.messages = [message for message in self.messages if message.expires_at > now]
        return self.messages

    def keep(self, message: Message) -> None:
        """Keep a message for the phone; it replaces one of the same topic (RFC 8030, 5.4)."""
        kept = [
            other
            for other in self.messages
            if message.topic is None or other.topic != message.topic
        ]
        self.messages = [*kept, message]
        self.changed.set()
