"""The signer's number: SMS arrive here."""

import re
from dataclasses import dataclass, field

from backend.delivery.sms import OutgoingSms, SilentGateway

_CODE = re.compile(r"\b([0-9]{8})\b")


@dataclass(frozen=True)
class Sms:
    """A message that arrived."""

    number: str
    text: str

    @property
    def code(self) -> str:
        """The eight digits in it."""
        found = _CODE.search(self.text)
        assert found is not None
        return found[1]


@dataclass
class Inbox(SilentGateway):
    """An SMS gateway, and the phone on which its messages arrive."""

    arrived: list[Sms] = field(default_factory=list)

    async def send(self, sms: OutgoingSms) -> tuple[str, ...]:
        """Take a message."""
        self.arrived.append(Sms(sms.number, sms.text))
        return ()
