"""The certificate request: the signer's first approval, and no exception to the door.

The inner part of the request (RFC 2986, CertificationRequestInfo) is built here twice: when the
signer is asked, and again at the door. So a ``csr`` item never signs anything else: not another
name, not another key, not a contract's hash.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

from asn1crypto.csr import CertificationRequest, CertificationRequestInfo
from asn1crypto.keys import PublicKeyInfo
from asn1crypto.x509 import Name

from backend.algorithms import REQUEST_SCHEMES, SignatureScheme
from backend.errors import MalformedMessage
from backend.protocol.ask import AskClaims
from backend.protocol.encoding import Octets, sha256, unb64u
from backend.protocol.record import CellRecord
from backend.protocol.tree import Item

LONGEST_NAME: Final = 2048
LABEL: Final = "PKCS #10"
SIGNATURE_NAMES: Final[dict[SignatureScheme, str]] = {
    SignatureScheme.ECDSA: "sha256_ecdsa",
    SignatureScheme.RSA_PKCS1: "sha256_rsa",
    SignatureScheme.EDDSA: "ed25519",
}
"""How a request names the scheme by which it is signed."""


def registered_subject(fields: dict[str, object], record: CellRecord) -> bytes:
    """The DER Name in an ask's fields, if it is the registered one.

    Raises:
        MalformedMessage: it is another, or none.
    """
    unverified = fields.get("subject")
    if not isinstance(unverified, str) or len(unverified) > LONGEST_NAME:
        raise MalformedMessage("a certificate request without a name")
    subject = unb64u(unverified)
    if sha256(subject) != record.subject:
        raise MalformedMessage("another name than the registered one")
    return subject


def request_info(subject: bytes, spki: bytes) -> bytes:
    """CertificationRequestInfo, DER: version 1, the name, the key, no attributes."""
    info = CertificationRequestInfo(
        {
            "version": "v1",
            "subject": Name.load(subject),
            "subject_pk_info": PublicKeyInfo.load(spki),
            "attributes": [],
        }
    )
    return bytes(info.dump())


def request_item(fields: dict[str, object], record: CellRecord) -> Item:
    """The one item of a certificate request's list.

    Raises:
        MalformedMessage: the name is not the registered one.
    """
    info = request_info(registered_subject(fields, record), record.spki)
    return Item(label=LABEL, type="csr", hash=Octets(hashlib.sha256(info).digest()))


def check_items(items: Sequence[Item], *, claims: AskClaims, record: CellRecord) -> None:
    """Check that items may stand in an ask of this kind.

    Raises:
        MalformedMessage: a type is another's, or it is not the request of this cell.
    """
    if claims.kind == "sign":
        others = {item.type for item in items} - {"dtbsr"}
        if others:
            raise MalformedMessage(f"an item of type {others.pop()} in an ask to sign")
    elif tuple(items) != (request_item(claims.fields, record),):
        raise MalformedMessage("not the certificate request of this cell")


def signed_request(subject: bytes, *, record: CellRecord, signature: bytes) -> bytes:
    """The whole request (PKCS #10), DER."""
    algorithm = {"algorithm": SIGNATURE_NAMES[REQUEST_SCHEMES[record.alg]]}
    request = CertificationRequest(
        {
            "certification_request_info": CertificationRequestInfo.load(
                request_info(subject, record.spki)
            ),
            "signature_algorithm": algorithm,
            "signature": signature,
        }
    )
    return bytes(request.dump())
