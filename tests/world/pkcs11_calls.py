"""Counts a module's own calls: what reaches the token, whatever layers lie above it."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

POINTERS_BEFORE = {"C_SignInit": 42, "C_UnwrapKey": 61}
"""Functions that stand before one of them in CK_FUNCTION_LIST (PKCS #11 2.40, pkcs11f.h)."""
# Every function has integers and pointers for arguments: eight words are enough for each.
_CALL = ctypes.CFUNCTYPE(ctypes.c_ulong, *[ctypes.c_size_t] * 8)


@dataclass
class Count:
    """How often a function was called."""

    calls: int = 0


@contextmanager
def counted(module: Path, function: str) -> Iterator[Count]:
    """Count the calls of a function by everybody in this process, until the block ends.

    The binding keeps a pointer to the module's own list of functions, so that its entry is changed.
    """
    functions = ctypes.c_void_p()
    ctypes.CDLL(str(module)).C_GetFunctionList(ctypes.byref(functions))
    width = ctypes.sizeof(ctypes.c_void_p)
    assert functions.value is not None
    place = functions.value + width * (1 + POINTERS_BEFORE[function])
    entry = ctypes.c_void_p.from_address(place)
    before = entry.value
    assert before is not None
    original, count = _CALL(before), Count()

    def call(*arguments: int) -> int:
        count.calls += 1
        return int(original(*arguments))

    replacement = _CALL(call)
    entry.value = ctypes.cast(replacement, ctypes.c_void_p).value
    try:
        yield count
    finally:
        entry.value = before
