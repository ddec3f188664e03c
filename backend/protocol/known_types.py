"""Types of messages, learnt before two threads read the first one at once.

msgspec looks at a Struct's members when it first reads one, and lets another thread use what it has
seen half: with msgspec 0.22.0 that is a segmentation fault. It meets a process that has just begun
and is asked for much, as after a crash. So what threads read is learnt here first, one at a time.
"""

import threading
from typing import Final, TypeVar

import msgspec

Kind = TypeVar("Kind", bound=msgspec.Struct)

_KNOWN: Final[set[type[msgspec.Struct]]] = set()
_LOCK: Final = threading.Lock()


def known(kind: type[Kind]) -> type[Kind]:
    """Give a type that any number of threads may read."""
    if kind not in _KNOWN:
        with _LOCK:
            msgspec.json.Decoder(kind)
            _KNOWN.add(kind)
    return kind
