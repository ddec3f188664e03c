"""What the SAM does by itself: every minute it destroys the keys of hours that are over."""

import logging
from threading import Event
from typing import Final

from backend.errors import CellkeyError
from backend.sam.module import Sam

log = logging.getLogger(__name__)

HOUSEKEEPING_SECONDS: Final = 60


def keep_house(sam: Sam, stop: Event) -> None:
    """Go on until told to stop; a token that is out now is asked again later."""
    while not stop.wait(HOUSEKEEPING_SECONDS):
        try:
            sam.destroy_finished_hours()
        except CellkeyError:
            log.exception("the keys of finished hours are not destroyed yet")
