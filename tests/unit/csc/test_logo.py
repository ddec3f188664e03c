"""backend/csc/logo.py"""

import zlib

from backend.csc.logo import SIZE, logo


def test_csc_15_the_logo_is_a_whole_png_of_128_pixels() -> None:
    """Each chunk's checksum, and as many bytes as pixels (PNG, 5.3 and 11.2.2)."""
    drawn = logo()
    place, chunks = 8, {}
    while place < len(drawn):
        length = int.from_bytes(drawn[place : place + 4])
        kind, data = drawn[place + 4 : place + 8], drawn[place + 8 : place + 8 + length]
        checksum = int.from_bytes(drawn[place + 8 + length : place + 12 + length])
        assert checksum == zlib.crc32(kind + data)
        chunks[kind] = data
        place += length + 12

    assert list(chunks) == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]
    assert chunks[b"IHDR"] == SIZE.to_bytes(4) * 2 + b"\x08\x03\0\0\0"
    assert len(chunks[b"PLTE"]) == 256 * 3
    pixels = zlib.decompress(chunks[b"IDAT"])
    assert len(pixels) == SIZE * (SIZE + 1)
    assert len(set(pixels)) > 50
