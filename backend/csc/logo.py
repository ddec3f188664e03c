"""The service's logo, as CSC's ``info`` wants one: a cell with a keyhole, 128 by 128, PNG."""

import struct
import zlib
from functools import cache
from math import hypot
from typing import Final

SIZE: Final = 128
INK: Final = (30, 64, 120)
PAPER: Final = (255, 255, 255)


@cache
def logo() -> bytes:
    """Draw it."""
    middle = (SIZE - 1) / 2
    rows = (b"\0" + bytes(_shade(x - middle, y - middle) for x in range(SIZE)) for y in range(SIZE))
    palette = bytes(
        round(paper + (ink - paper) * level / 255)
        for level in range(256)
        for ink, paper in zip(INK, PAPER, strict=True)
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [
            # 8 bits of a palette for each pixel (PNG, 11.2.2)
            _chunk(b"IHDR", struct.pack(">IIBBBBB", SIZE, SIZE, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", palette),
            _chunk(b"IDAT", zlib.compress(b"".join(rows), 9)),
            _chunk(b"IEND", b""),
        ]
    )


def _shade(x: float, y: float) -> int:
    """How much ink a point has, 0 to 255; an edge is one pixel wide."""
    cell = 56 - max(abs(y) * 0.866 + abs(x) * 0.5, abs(x))
    hole = 16 - hypot(x, y + 10)
    slot = min(32 - y, y + 10, 3 + (y + 10) * 0.2 - abs(x))
    ink = min(cell, -max(hole, slot))
    return round(255 * min(max(ink + 0.5, 0), 1))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
