"""backend/garbage.py, in a process of its own: what is frozen stays so."""

import subprocess
import sys

SETTING = """
import gc
from backend.garbage import YOUNG_OBJECTS, keep_what_is_loaded
before = gc.get_threshold()
keep_what_is_loaded()
assert gc.isenabled()
assert gc.get_threshold() == (YOUNG_OBJECTS, *before[1:])
assert gc.get_freeze_count() > 1000
assert len(gc.get_objects()) < 1000
"""
LOADING = """
import gc
from backend.garbage import loading
looks = []
with loading():
    gc.callbacks.append(lambda phase, info: looks.append(phase))
    import asyncio
    kept = [[] for _ in range(100_000)]
assert not looks
assert gc.isenabled()
assert gc.get_freeze_count() > 100_000
assert len(gc.get_objects()) < 1000
gc.disable()
with loading():
    pass
assert not gc.isenabled()
"""


def test_what_is_loaded_is_looked_at_no_more_and_what_comes_is() -> None:
    subprocess.run([sys.executable, "-c", SETTING], check=True)


def test_nothing_is_looked_at_while_modules_are_loaded_nor_what_they_leave() -> None:
    subprocess.run([sys.executable, "-c", LOADING], check=True)
