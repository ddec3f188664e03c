"""backend/waiting/garbage.py: what is new is looked at often, everything only when much is held."""

import asyncio
import gc
import sys
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from backend.waiting.garbage import GROWTH, Held, collect, held_now

MANY = 10**9
NEVER = Held(blocks=MANY, memory_bytes=MANY * 1000)
ROUNDS = 20


class Knot:
    """Holds itself: no reference count frees it."""

    def __init__(self, *, old: bool) -> None:
        self.itself = self
        if old:
            gc.collect(0)


def tie(*, old: bool = False) -> weakref.ref[Knot]:
    """Leave a cycle behind; an old one has been looked at while it was in use."""
    return weakref.ref(Knot(old=old))


@asynccontextmanager
async def collecting(growth: Held) -> AsyncIterator[None]:
    """Look at what is new as often as the loop turns."""
    task = asyncio.create_task(collect(new_seconds=0, growth=growth))
    await asyncio.sleep(0)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_a_new_cycle_is_freed_though_little_is_held() -> None:
    async def leave() -> None:
        async with collecting(NEVER):
            knot = tie()
            for _ in range(ROUNDS):
                await asyncio.sleep(0)
            assert knot() is None

    asyncio.run(leave())


@pytest.mark.parametrize("small", [True, False])
def test_an_old_cycle_is_freed_once_much_more_is_held(*, small: bool) -> None:
    growth = Held(blocks=10_000, memory_bytes=NEVER.memory_bytes)
    if not small:
        growth = Held(blocks=NEVER.blocks, memory_bytes=32 * 2**20)

    async def leave() -> None:
        async with collecting(growth):
            knot, kept = tie(old=True), list[object]()
            for _ in range(ROUNDS):
                # Small objects, or a large one that is none of Python's blocks.
                kept += [object() for _ in range(5000)] if small else [b"\x01" * (8 * 2**20)]
                await asyncio.sleep(0)
            assert knot() is None

    asyncio.run(leave())


def test_without_growth_nobody_waits_for_a_look_at_everything() -> None:
    generations: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            generations.append(info["generation"])

    async def live() -> None:
        async with collecting(NEVER):
            knot = tie(old=True)
            generations.clear()
            for _ in range(ROUNDS):
                # More than Python's own number of new objects, several times.
                assert [[number] for number in range(10_000)]
                await asyncio.sleep(0)
            assert knot() is not None

    gc.callbacks.append(note)
    try:
        asyncio.run(live())
    finally:
        gc.callbacks.remove(note)
    assert len(generations) >= ROUNDS - 1
    assert set(generations) == {0}


def test_what_is_held_less_meanwhile_is_where_growth_begins() -> None:
    before, now = Held(blocks=100, memory_bytes=70), Held(blocks=80, memory_bytes=90)
    assert before.or_less(now) == Held(blocks=80, memory_bytes=70)
    growth = Held(blocks=10, memory_bytes=10)
    assert not Held(blocks=90, memory_bytes=80).exceeds(before.or_less(now), growth=growth)
    assert Held(blocks=91, memory_bytes=0).exceeds(before.or_less(now), growth=growth)
    assert Held(blocks=0, memory_bytes=81).exceeds(before.or_less(now), growth=growth)


def test_afterwards_python_looks_by_itself_as_before() -> None:
    async def begin() -> None:
        async with collecting(GROWTH):
            assert not gc.isenabled()

    was = gc.isenabled()
    try:
        for enabled in (True, False):
            (gc.enable if enabled else gc.disable)()
            asyncio.run(begin())
            assert gc.isenabled() is enabled
    finally:
        (gc.enable if was else gc.disable)()


def test_what_is_held_is_counted() -> None:
    held = held_now()
    assert 0 < held.blocks <= sys.maxsize
    assert held.memory_bytes > 2**20
