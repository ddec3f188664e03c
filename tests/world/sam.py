"""A real SAM on software cells in a temporary folder, with a clock that tests set."""

import warnings
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from backend.hsm.authority_key import AuthorityKey
from backend.hsm.protocol import Hsm
from backend.hsm.software import SoftwareCellsWarning, SoftwareHsm
from backend.protocol.jose import PublicJwk
from backend.protocol.public_keys import PublicKeys
from backend.sam.module import Sam
from backend.settings import Environment
from tests.world.clock import SettableClock

CA_NAME = "Test CA"
RP_ID = "localhost"
ORIGIN = "http://localhost:8602"
DOMAIN = "sign.test"


@dataclass(frozen=True, kw_only=True)
class SamWorld:
    """The SAM, and what stands around it."""

    sam: Sam
    hsm: Hsm
    worker_key: ec.EllipticCurvePrivateKey
    """Opens the SMS texts that the SAM seals."""
    root: bytes
    clock: SettableClock

    @property
    def public_keys(self) -> PublicKeys:
        """What phones and ``mobile_api`` believe."""
        health = self.sam.health()
        return PublicKeys(ks=health.ks, ka=health.ka, keys=())


def software_hsm(folder: Path) -> SoftwareHsm:
    """A fresh software vault, opened; its warning is expected here."""
    SoftwareHsm.initialise(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SoftwareCellsWarning)
        return SoftwareHsm(folder, environment=Environment.DEVELOPMENT)


def root_certificate(hsm: Hsm) -> bytes:
    """A self-signed root for the HSM's CA key, DER."""
    key = AuthorityKey(hsm)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, CA_NAME)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=7300))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )
    return certificate.public_bytes(Encoding.DER)


def open_sam_world(
    hsm: Hsm,
    clock: SettableClock,
    *,
    worker_key: ec.EllipticCurvePrivateKey | None = None,
) -> SamWorld:
    """A SAM on an HSM; a second one on the same HSM is the SAM after a restart."""
    worker_key = worker_key or ec.generate_private_key(ec.SECP256R1())
    root = root_certificate(hsm)
    sam = Sam(
        hsm=hsm,
        root=root,
        issuer=CA_NAME,
        rp_id=RP_ID,
        origin=ORIGIN,
        worker_key=PublicJwk.of(worker_key.public_key()),
        domain=DOMAIN,
        clock=lambda: int(clock().timestamp()),
    )
    return SamWorld(sam=sam, hsm=hsm, worker_key=worker_key, root=root, clock=clock)


def pem(certificate: bytes) -> bytes:
    """A DER certificate as PEM."""
    return x509.load_der_x509_certificate(certificate).public_bytes(Encoding.PEM)
