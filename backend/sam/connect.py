"""Gives the SAM to the processes that may have it: in this process, or behind its socket."""

import time
from typing import Protocol
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from backend.errors import HsmNotReady, MalformedMessage
from backend.hsm.open import open_hsm
from backend.protocol.encoding import read_message
from backend.protocol.jose import PublicJwk
from backend.sam.amending import Amendments
from backend.sam.cells import Cells
from backend.sam.client import SamClient
from backend.sam.module import Sam
from backend.sam.releases import Releases
from backend.sam.service_keys import ServiceKeys
from backend.sam.transactions import Transactions
from backend.settings import Settings


class Capabilities(Cells, Transactions, Amendments, Releases, ServiceKeys, Protocol):
    """All that the SAM can do; each part is handed on as its own type."""


def connect(settings: Settings) -> Capabilities:
    """The SAM as the settings say.

    Raises:
        HsmNotReady: keys or files of ``cellkey hsm init`` are missing.
        HsmUnavailable: the token does not open.
    """
    if settings.sam_socket is not None:
        return SamClient(settings.sam_socket)
    return open_sam(settings)


def open_sam(settings: Settings) -> Sam:
    """The SAM in this process.

    Raises:
        HsmNotReady: keys or files of ``cellkey hsm init`` are missing.
        HsmUnavailable: the token does not open.
    """
    return Sam(
        hsm=open_hsm(settings),
        root=_root(settings),
        issuer=settings.ca_name,
        rp_id=settings.rp_id,
        origin=settings.app_url,
        worker_key=_worker_key(settings),
        domain=urlsplit(settings.authorization_server_url).hostname or "",
        clock=lambda: int(time.time()),
    )


def _root(settings: Settings) -> bytes:
    try:
        pem = settings.root_certificate_path.read_bytes()
        return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    except (OSError, ValueError) as error:
        raise HsmNotReady(
            f"no root certificate at {settings.root_certificate_path}: run `cellkey hsm init`"
        ) from error


def _worker_key(settings: Settings) -> PublicJwk:
    path = settings.worker_public_key_path
    try:
        return read_message(path.read_bytes().strip(), PublicJwk)
    except (OSError, MalformedMessage) as error:
        raise HsmNotReady(f"no worker's public key at {path}: run `cellkey worker keys`") from error
