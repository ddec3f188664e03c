"""What the clients were told while processes died: the service is held to it afterwards."""

from typing import Literal

import msgspec

Decision = Literal["approve", "reject", "ignore"]


class Flow(msgspec.Struct, kw_only=True):
    """What a relying party asked for, and how far it got."""

    label: str
    digest: bytes
    decision: Decision
    """Of the phone."""
    handle: str | None = None
    """The service acknowledged the transaction."""
    repeated: bool = False
    """There may be another transaction of the same hash, whose handle was lost."""
    csc_sad: str | None = None
    signature: bytes | None = None
    over: str | None = None
    """In the service's words, why there is none."""
    seconds: float = 0.0
    slowest_call: float = 0.0
    """Seconds until one call was answered, with its repetitions."""


class PhoneAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An approval or a refusal of which the phone was told that it counts."""

    transaction: str
    label: str
    said: str
    """The state that it led to."""
    message: str | None
    """The approval's bytes."""


class Ledger(msgspec.Struct, kw_only=True):
    """Of some clients."""

    flows: list[Flow] = []
    answers: list[PhoneAnswer] = []
    wrong: list[str] = []
    """What a client saw that it should not have seen."""

    def add(self, other: "Ledger") -> None:
        """Take over what others were told."""
        self.flows += other.flows
        self.answers += other.answers
        self.wrong += other.wrong
