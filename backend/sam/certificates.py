"""The embedded authority: issues a signer's certificate after the first approval.

Serial and times come from the ask, so the same approved request always gives the same certificate
but for the signature: a crash between issuing and storing leaves no second serial in the world.
"""

from datetime import UTC, datetime, timedelta
from typing import Final, final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from backend.errors import DoorRefused, HsmNotReady, MalformedMessage
from backend.protocol.encoding import sha256
from backend.sam.approvals import VerifiedApproval
from backend.sam.certificate_request import check_items, registered_subject, signed_request

VALIDITY: Final = timedelta(days=456)
"""Fifteen months."""
SERIAL_PURPOSE: Final = b"cell-serial-v1\0"
SERIAL_BYTES: Final = 19
"""RFC 5280, 4.1.2.2: at most 20 octets, positive."""


@final
class Authority:
    """The root, and its key in the HSM."""

    def __init__(self, *, key: ec.EllipticCurvePrivateKey, root: bytes) -> None:
        """Check that the certificate is the key's.

        Raises:
            HsmNotReady: it belongs to another key.
        """
        self._key = key
        self.root = root
        self._root = x509.load_der_x509_certificate(root)
        if _spki(self._root.public_key()) != _spki(key.public_key()):
            raise HsmNotReady(
                "the root certificate is not the HSM's CA key's: run `cellkey hsm init`"
            )

    def issue(self, approval: VerifiedApproval, signature: bytes) -> x509.Certificate:
        """Issue the certificate that a signer approved.

        Args:
            approval: of the certificate request.
            signature: over the request's inner part, by the cell's key.

        Raises:
            DoorRefused: the request is not this cell's, or its signature is not valid (rule 7).
        """
        request = _approved_request(approval, signature)
        start = datetime.fromtimestamp(approval.ask.claims.iat, UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(request.subject)
            .issuer_name(self._root.subject)
            .public_key(request.public_key())
            .serial_number(_serial(approval.ask.tx_hash))
            .not_valid_before(start)
            .not_valid_after(start + VALIDITY)
        )
        for extension, critical in self._extensions(request):
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(self._key, SHA256())

    def _extensions(
        self, request: x509.CertificateSigningRequest
    ) -> list[tuple[x509.ExtensionType, bool]]:
        """What a signer's certificate says of its key (RFC 5280, 4.2; ETSI EN 319 412-2)."""
        usage = x509.KeyUsage(
            digital_signature=True,
            content_commitment=True,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=False,
            crl_sign=False,
            encipher_only=False,
            decipher_only=False,
        )
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (usage, True),
            (x509.SubjectKeyIdentifier.from_public_key(request.public_key()), False),
            (issuer, False),
        ]


def _approved_request(
    approval: VerifiedApproval, signature: bytes
) -> x509.CertificateSigningRequest:
    """Build the approved request again, with the signature that it got."""
    claims, record = approval.ask.claims, approval.record
    try:
        check_items(approval.items, claims=claims, record=record)
        subject = registered_subject(claims.fields, record)
    except MalformedMessage as error:
        raise DoorRefused(5, str(error)) from error
    try:
        request = x509.load_der_x509_csr(
            signed_request(subject, record=record, signature=signature)
        )
    except ValueError as error:
        raise DoorRefused(5, "the registered name is not DER") from error
    if not request.is_signature_valid or request.subject.public_bytes() != subject:
        raise DoorRefused(7, "not the request for the registered name, signed by the cell's key")
    return request


def _serial(tx_hash: bytes) -> int:
    return int.from_bytes(sha256(SERIAL_PURPOSE + tx_hash)[:SERIAL_BYTES], "big") | 1


def _spki(key: object) -> bytes:
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return b""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
