"""What a process loaded stays: the collector need not look at it, neither meanwhile nor later.

Modules leave a hundred thousand objects and next to no garbage; to look at all of them once takes
a tenth of a start.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

YOUNG_OBJECTS: Final = 10_000
"""So many come, beyond those that go, before the collector looks for cycles among them.

Python's own number, 700, comes several times in one request."""


@contextmanager
def loading() -> Iterator[None]:
    """Load modules: the collector sees nothing of them, and then goes on as it did before."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collects:
            gc.enable()


def keep_what_is_loaded() -> None:
    """Set the collector for a process that is loaded and begins to answer."""
    gc.freeze()
    _, middle, old = gc.get_threshold()
    gc.set_threshold(YOUNG_OBJECTS, middle, old)
