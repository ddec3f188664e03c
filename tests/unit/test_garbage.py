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


def test_what_is_loaded_is_looked_at_no_more_and_what_comes_is() -> None:
    subprocess.run([sys.executable, "-c", SETTING], check=True)
