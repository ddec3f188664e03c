"""What became of one claimed message."""

from datetime import datetime
from typing import final

import msgspec

from backend.delivery.claiming import ClaimedMessage


@final
class Taken(msgspec.Struct, frozen=True):
    """The push service or gateway has it."""

    references: tuple[str, ...] = ()
    """What the gateway calls the parts of a text, where it reports by that."""


@final
class NotNow(msgspec.Struct, frozen=True):
    """To be tried again."""

    reason: str
    retry_after_seconds: int | None
    answered: bool
    """Whether somebody spoke at all; who does not may be down for everybody."""
    perhaps_taken: bool = False
    """Nobody knows whether it, or a part of it, was taken all the same."""


@final
class Never(msgspec.Struct, frozen=True):
    """Another attempt would end the same."""

    reason: str


@final
class Gone(msgspec.Struct, frozen=True):
    """The phone is not there any more."""

    reason: str
    unverified_endpoint: str


@final
class NoPlace(msgspec.Struct, frozen=True):
    """It was not tried, for its destination has no place free; this costs it no attempt."""

    until: datetime | None
    """When the destination is tried again; ``None``: as soon as a place is free."""


Outcome = Taken | NotNow | Never | Gone | NoPlace


@final
class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """A message that this process is done with, not yet on record."""

    message: ClaimedMessage
    outcome: Outcome
