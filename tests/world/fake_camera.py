"""A phone's camera for Chromium: it sees what a test holds before it, a QR code as a rule.

Chromium reads the film anew whenever a page turns the camera on (``SWITCHES``), so one browser sees
many codes.
"""

from pathlib import Path
from typing import Final

import segno

WIDTH: Final = 640
HEIGHT: Final = 480
QUIET_MODULES: Final = 4
FRAMES: Final = 2
LIGHT: Final = b"\xeb"
DARK: Final = b"\x10"
COLOURLESS: Final = b"\x80"


class FakeCamera:
    """The camera of one browser. Before anything is held before it, it sees a white wall."""

    def __init__(self, film: Path) -> None:
        self._film = film
        self._show(LIGHT * WIDTH * HEIGHT)

    @property
    def switches(self) -> tuple[str, ...]:
        """Chromium's switches that make it the only camera, which every page may use."""
        return (
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-video-capture={self._film}",
        )

    def hold_before_it(self, text: str) -> None:
        """Hold a QR code before it; a page sees it when it turns the camera on the next time."""
        self._show(_picture(text))

    def _show(self, luma: bytes) -> None:
        """Write a film of one picture (YUV4MPEG2, 4:2:0)."""
        frame = b"FRAME\n" + luma + COLOURLESS * (WIDTH * HEIGHT // 2)
        header = f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F10:1 Ip A1:1 C420jpeg\n".encode()
        beside = self._film.with_suffix(".new")
        beside.write_bytes(header + frame * FRAMES)
        beside.replace(self._film)


def _picture(text: str) -> bytes:
    """A QR code in the middle of a white page, as large as fits."""
    code = segno.make(text, error="m", micro=False)
    scale = HEIGHT // code.symbol_size(border=QUIET_MODULES)[1]
    rows = [
        b"".join(DARK if module else LIGHT for module in row)
        for row in code.matrix_iter(scale=scale, border=QUIET_MODULES)
    ]
    left = LIGHT * ((WIDTH - len(rows[0])) // 2)
    right = LIGHT * (WIDTH - len(rows[0]) - len(left))
    above = LIGHT * WIDTH * ((HEIGHT - len(rows)) // 2)
    page = above + b"".join(left + row + right for row in rows)
    return page + LIGHT * (WIDTH * HEIGHT - len(page))
