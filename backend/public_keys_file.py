"""Which KS and KA to believe: from a file, which no row can replace."""

from backend.errors import HsmNotReady, MalformedMessage
from backend.protocol.public_keys import PublicKeys, read_public_keys
from backend.settings import Settings


def read_public_keys_file(settings: Settings) -> PublicKeys:
    """Read the file.

    Raises:
        HsmNotReady: ``cellkey hsm init`` did not write it.
    """
    path = settings.public_keys_path
    try:
        return read_public_keys(path.read_bytes())
    except (OSError, MalformedMessage) as error:
        raise HsmNotReady(f"no public keys at {path}: run `cellkey hsm init`") from error
