"""What works for relying parties and signers stands on: settings, the SAM, public keys, the clock.

No web framework is loaded here: operators' commands have none.
"""

from threading import Event
from typing import final

import msgspec

from backend.clock import Clock, utc_now
from backend.protocol.public_keys import PublicKeys
from backend.public_keys_file import read_public_keys_file
from backend.sam.connect import Capabilities, connect
from backend.settings import Settings


@final
class Services(msgspec.Struct, frozen=True, kw_only=True):
    """What the application, or a command, stands on."""

    settings: Settings
    sam: Capabilities
    public_keys: PublicKeys
    """What phones believe; a SAM of other keys is not ready."""
    clock: Clock
    stop: Event = msgspec.field(default_factory=Event)
    """Ends what waits."""


def open_services(settings: Settings) -> Services:
    """Open what the settings name.

    Raises:
        HsmNotReady: keys or files of ``cellkey hsm init`` are missing.
        HsmUnavailable: the token does not open.
    """
    return Services(
        settings=settings,
        sam=connect(settings),
        public_keys=read_public_keys_file(settings),
        clock=utc_now,
    )
