"""When garbage is looked for: among what is new, often; among everything, only when much is held.

1. Ten thousand who wait are 600 000 objects. To look at all of them takes a third of a second and
   more, in which nobody is told anything. Python did so every ten or fifteen seconds, and found
   nothing.
2. Counted references free nearly all. A request leaves no cycle. A connection that ends leaves a
   small one (of asyncio's transport); one that does not speak HTTP leaves a larger one, with what
   it sent (of an exception's frames).
3. What is new is looked at a few times a second, each object once. That frees what comes and goes.
4. Everything is looked at when the process holds so much more than after the last such look. So
   cycles of what grew old pile up to that and no further, whoever makes them.
"""

import asyncio
import gc
from pathlib import Path
from resource import getpagesize
from sys import getallocatedblocks
from typing import Final, final

import msgspec

NEW_SECONDS: Final = 0.2
_STATM: Final = Path("/proc/self/statm")


@final
class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What the process holds, or how much more than before."""

    blocks: int
    """Small objects, by Python's own count; exact, also when their memory is not given back."""
    memory_bytes: int
    """All that is in memory; large buffers are no blocks."""

    def exceeds(self, before: "Held", *, growth: "Held") -> bool:
        """Tell whether it is beyond what was held before, by more than this growth."""
        return (
            self.blocks > before.blocks + growth.blocks
            or self.memory_bytes > before.memory_bytes + growth.memory_bytes
        )

    def or_less(self, other: "Held") -> "Held":
        """Give the lesser of both."""
        return Held(
            blocks=min(self.blocks, other.blocks),
            memory_bytes=min(self.memory_bytes, other.memory_bytes),
        )


GROWTH: Final = Held(blocks=1_500_000, memory_bytes=256 * 2**20)
"""More than 10 000 who wait take: that they come brings no such look."""


def held_now() -> Held:
    """Count. It takes a tenth of a millisecond."""
    pages = int(_STATM.read_bytes().split()[1])
    return Held(blocks=getallocatedblocks(), memory_bytes=pages * getpagesize())


async def collect(*, new_seconds: float = NEW_SECONDS, growth: Held = GROWTH) -> None:
    """Look for garbage until cancelled; meanwhile Python does not by itself.

    Args:
        new_seconds: between two looks at what is new.
        growth: so much more than after the last look at everything brings the next.
    """
    by_itself = gc.isenabled()
    gc.disable()
    try:
        least = held_now()
        while True:
            await asyncio.sleep(new_seconds)
            gc.collect(0)
            held = held_now()
            if held.exceeds(least, growth=growth):
                gc.collect()
                held = least = held_now()
            least = least.or_less(held)
    finally:
        if by_itself:
            gc.enable()
