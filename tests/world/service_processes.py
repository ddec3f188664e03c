"""SAM and worker as the service has them, but on a clock of ours."""

import warnings
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy.orm import Session, sessionmaker

from backend.cli.worker import JOBS
from backend.delivery.dispatch import Channels
from backend.delivery.endpoints import parse_push_hosts, parse_webhook_pins
from backend.delivery.web_push import vapid_identity
from backend.delivery.worker import Worker
from backend.delivery.worker_keys import (
    make_worker_keys,
    read_sms_key,
    read_vapid_key,
    read_worker_public_key,
)
from backend.hsm.software import SoftwareCellsWarning, SoftwareHsm
from backend.sam.module import Sam
from backend.settings import Environment, Settings
from backend.wiring import Clock
from tests.world.sam import DOMAIN, root_certificate, software_hsm
from tests.world.sms_inbox import Inbox
from tests.world.worker import UNBOUNDED


def open_sam(settings: Settings, clock: Clock) -> Sam:
    """As ``backend.sam.connect.open_sam``, on our clock."""
    vault = settings.software_vault_path
    hsm = _reopened(vault) if vault.exists() else software_hsm(vault)
    path = settings.root_certificate_path
    if not path.exists():
        root = x509.load_der_x509_certificate(root_certificate(hsm))
        path.write_bytes(root.public_bytes(Encoding.PEM))
    make_worker_keys(settings, if_missing=True)
    return Sam(
        hsm=hsm,
        root=x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER),
        issuer=settings.ca_name,
        rp_id=settings.rp_id,
        origin=settings.app_url,
        worker_key=read_worker_public_key(settings),
        domain=DOMAIN,
        clock=lambda: int(clock().timestamp()),
    )


def _reopened(vault: Path) -> SoftwareHsm:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SoftwareCellsWarning)
        return SoftwareHsm(vault, environment=Environment.DEVELOPMENT)


def make_worker(
    settings: Settings, sessions: sessionmaker[Session], inbox: Inbox, clock: Clock
) -> Worker:
    """As ``backend.cli.worker.make_worker``, with the signer's number for a gateway."""
    channels = Channels(
        allowed_hosts=parse_push_hosts(settings.push_hosts),
        identity=vapid_identity(read_vapid_key(settings), subject=settings.vapid_subject),
        app_url=settings.app_url,
        sms_key=read_sms_key(settings),
        sms_gateway=inbox,
        sms_rules=UNBOUNDED,
        webhook_pins=parse_webhook_pins(settings.webhook_pins),
    )
    return Worker(sessions=sessions, channels=channels, jobs=JOBS, clock=clock)
