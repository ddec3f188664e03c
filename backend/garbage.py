"""What a server loaded stays: the collector need not look at it again and again."""

import gc
from typing import Final

YOUNG_OBJECTS: Final = 10_000
"""So many come, beyond those that go, before the collector looks for cycles among them.

Python's own number, 700, comes several times in one request."""


def keep_what_is_loaded() -> None:
    """Set the collector for a process that is loaded and begins to answer."""
    gc.collect()
    gc.freeze()
    _, middle, old = gc.get_threshold()
    gc.set_threshold(YOUNG_OBJECTS, middle, old)
