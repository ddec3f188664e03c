"""A QR code as the terminal shows it: on paper, or to another phone."""

from typing import Final

import click
import segno

QUIET_ZONE: Final = 4
"""Modules on each side (ISO/IEC 18004, 5.3.8)."""
INK: Final = {
    (False, False): " ",
    (True, False): "▀",
    (False, True): "▄",
    (True, True): "█",
}
"""A character by its upper and its lower module, where dark is true."""


def qr_code(text: str) -> str:
    """Draw a QR code, two rows of modules a line, with the quiet zone that scanners want.

    Black on white: on paper by its ink, in a terminal by its colours, whatever its theme is.
    """
    rows = [list(row) for row in segno.make_qr(text, error="m").matrix_iter(border=QUIET_ZONE)]
    rows.append([0] * len(rows[0]))  # a code has an odd number of rows
    lines = (
        "".join(INK[bool(upper), bool(lower)] for upper, lower in zip(*pair, strict=True))
        for pair in zip(rows[::2], rows[1::2], strict=True)
    )
    return "\n".join(click.style(line, fg="black", bg="bright_white") for line in lines)
