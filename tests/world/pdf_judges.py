"""Two judges of signed PDF files, neither of them ours: pdfsig (poppler, NSS) and pyHanko."""

import subprocess
from io import BytesIO
from pathlib import Path

from asn1crypto import pem, x509
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

GOOD = ("Signature is Valid.", "Certificate is Trusted.")


def trust(root: Path, folder: Path) -> str:
    """An NSS database in which this root certificate is trusted; its name, as NSS wants it."""
    database = f"sql:{folder}"
    folder.mkdir()
    subprocess.run(["certutil", "-N", "-d", database, "--empty-password"], check=True)
    subprocess.run(
        ["certutil", "-A", "-d", database, "-n", "root", "-t", "CT,C,C", "-i", str(root)],
        check=True,
    )
    return database


def pdfsig(document: bytes, *, trusted: str, path: Path) -> str:
    """What pdfsig says of a document, which is written to ``path`` for it."""
    path.write_bytes(document)
    said = subprocess.run(
        ["pdfsig", "-nssdir", trusted, str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    return said.stdout


def pyhanko_trusts(document: bytes, root: Path) -> bool:
    """Whether pyHanko, given the root, trusts the one signature and finds nothing changed."""
    (signature,) = PdfFileReader(BytesIO(document)).embedded_signatures
    _, _, der = pem.unarmor(root.read_bytes())
    context = ValidationContext(trust_roots=[x509.Certificate.load(der)])
    return bool(validate_pdf_signature(signature, context).bottom_line)
