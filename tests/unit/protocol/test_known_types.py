"""backend/protocol/known_types.py"""

import re
import subprocess
import sys
from pathlib import Path

READ = re.compile(r"msgspec\.(?:json\.decode|convert)\([^\n]*?(?:type=|, (?!type=))([A-Za-z_\[(]+)")
ROOT = Path(__file__).resolve().parents[3]

RACE = """
import sys, threading
from types import ModuleType
from backend.protocol.encoding import read_message
from backend.sam.wire import read_members

SOURCE = '''
import msgspec
class Inner(msgspec.Struct, frozen=True, kw_only=True):
    a: "str"
    b: "int | None" = None
class Outer(msgspec.Struct, frozen=True, kw_only=True):
    x: Inner
    y: "tuple[Inner, ...]"
'''
TEXT = b'{"x":{"a":"1","b":2},"y":[{"a":"2","b":3}]}'
sys.setswitchinterval(1e-6)
for read in (read_message, read_members):
    for number in range(60):
        name = f"fresh_{number}"
        module = sys.modules[name] = ModuleType(name)
        exec(SOURCE, module.__dict__)
        barrier = threading.Barrier(8)
        def first() -> None:
            barrier.wait()
            assert read(TEXT, module.Outer).x.a == "1"
        threads = [threading.Thread(target=first) for _ in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
"""


def test_threads_that_read_the_first_message_of_a_kind_at_once_do_not_end_the_process() -> None:
    """The SAM died of it when it was started under load: a segmentation fault in msgspec."""
    done = subprocess.run([sys.executable, "-c", RACE], capture_output=True, check=False)

    assert (done.returncode, done.stderr) == (0, b"")


def test_what_threads_read_is_known_before() -> None:
    """In the rooms whose processes have threads; a decoder made with its module knows its type."""
    rooms = ("access", "csc", "delivery", "devices", "oauth", "protocol", "sam", "signing")
    code = "".join(
        file.read_text() for room in rooms for file in (ROOT / "backend" / room).rglob("*.py")
    )
    unknown = {kind for kind in READ.findall(code) if not kind.startswith(("known(", "dict["))}

    assert unknown == set()
