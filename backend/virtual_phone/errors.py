"""What can go wrong in the phone. Messages are for the person who holds it, and hold no secret."""

from collections.abc import Mapping


class PhoneError(Exception):
    """Every error that the phone raises on purpose."""


class MessageRefused(PhoneError):
    """Something that came from outside is not what docs/phone-protocol.md says it must be."""


class NotPaired(PhoneError):
    """The state file holds no paired phone, or already holds one where a new one is wanted."""


class StateUnusable(PhoneError):
    """The state file is damaged, or not the phone's own."""


class CannotAnswer(PhoneError):
    """The phone must not give this answer: too late, no number, a further phone not compared."""


class Unreachable(PhoneError):
    """No answer came, however often the same bytes were sent."""


class ConnectionLost(PhoneError):
    """One attempt brought no answer; whether it arrived is not known."""


class ServerRefused(PhoneError):
    """The service answered with a problem document (RFC 9457; section 8.1).

    Attributes:
        name: last part of ``urn:cellkey:problem:<name>``; ``unknown`` where there was none.
        status: HTTP status.
        members: further members of the document, as ``tries_left`` and ``state``.
    """

    def __init__(
        self, *, name: str, status: int, detail: str, members: Mapping[str, object]
    ) -> None:
        """Say what the service said."""
        super().__init__(f"{name} ({status}): {detail}" if detail else f"{name} ({status})")
        self.name = name
        self.status = status
        self.members = members
