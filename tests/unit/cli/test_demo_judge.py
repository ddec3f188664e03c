"""The demo's judge is pdfsig, and a demo whose PDF it does not call good fails."""

from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from asn1crypto import keys
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import signers
from pyhanko_certvalidator.registry import SimpleCertificateStore

from backend.cli.demo_installation import Stage
from backend.cli.demo_judge import judge
from backend.cli.demo_processes import Processes, StepFailed
from backend.cli.demo_telling import Teller
from backend.cli.demo_words import demo_words
from tests.world.relying_party import make_pdf


class Authority:
    """A certification authority that signs PDF files itself."""

    def __init__(self, folder: Path, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        self._certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.root = folder / f"{name}.pem"
        self.root.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def sign(self, document: bytes) -> bytes:
        private = self._key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        der = self._certificate.public_bytes(serialization.Encoding.DER)
        signer = signers.SimpleSigner(
            signing_cert=asn1_x509.Certificate.load(der),
            signing_key=keys.PrivateKeyInfo.load(private),
            cert_registry=SimpleCertificateStore(),  # type: ignore[no-untyped-call]  # pyHanko's
        )
        signed: BytesIO = signers.sign_pdf(
            IncrementalPdfFileWriter(BytesIO(document)),
            signers.PdfSignatureMetadata(field_name="Signature"),
            signer=signer,
        )
        return signed.getvalue()


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    (tmp_path / "data").mkdir()
    return Authority(tmp_path / "data", "root")


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(
        tell=Teller(demo_words(), "en", verbose=False),
        processes=Processes(tmp_path, cwd=tmp_path),
        folder=tmp_path,
        settings={"CELLKEY_DATA_DIR": str(tmp_path / "data")},
    )


def judged(stage: Stage, document: bytes) -> None:
    pdf = stage.folder / "signed.pdf"
    pdf.write_bytes(document)
    judge(stage, pdf)


def test_a_good_pdf_is_called_good_in_pdfsigs_own_words(
    stage: Stage, ours: Authority, capsys: pytest.CaptureFixture[str]
) -> None:
    judged(stage, ours.sign(make_pdf("contract")))
    said = capsys.readouterr().out
    assert "- Signature Validation: Signature is Valid." in said
    assert "- Certificate Validation: Certificate is Trusted." in said


def test_a_pdf_that_was_changed_after_signing_fails(stage: Stage, ours: Authority) -> None:
    changed = ours.sign(make_pdf("contract")).replace(b"(contract)", b"(Contract)")
    with pytest.raises(StepFailed, match="Signature is Valid"):
        judged(stage, changed)


@pytest.mark.usefixtures("ours")
def test_a_pdf_that_another_authority_signed_fails(stage: Stage, tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="Certificate is Trusted"):
        judged(stage, Authority(tmp_path, "other").sign(make_pdf("contract")))


@pytest.mark.usefixtures("ours")
def test_a_pdf_that_nobody_signed_fails(stage: Stage) -> None:
    with pytest.raises(StepFailed, match="does not contain any signatures"):
        judged(stage, make_pdf("contract"))
