"""The public half of the service's keys: what phones, verifiers and ``mobile_api`` believe.

Written by ``cellkey hsm init``, read once at start. It comes from a file and never from the
database, so that whoever writes rows cannot plant a KS.
"""

from typing import Annotated, final

import msgspec

from backend.protocol.encoding import read_message
from backend.protocol.jose import LONGEST_MESSAGE, PublicJwk
from backend.protocol.key_history import LONGEST_HISTORY


@final
class PublicKeys(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """KS, KA, and how KS changed."""

    ks: PublicJwk
    ka: PublicJwk
    keys: Annotated[
        tuple[Annotated[str, msgspec.Meta(max_length=LONGEST_MESSAGE)], ...],
        msgspec.Meta(max_length=LONGEST_HISTORY),
    ]
    """``cell-keys+jwt``, oldest first."""


def read_public_keys(unverified: bytes) -> PublicKeys:
    """Read the file's content.

    Raises:
        MalformedMessage: it is not what ``cellkey hsm init`` writes.
    """
    return read_message(unverified, PublicKeys)
