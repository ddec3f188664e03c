"""The cell's secret on its way: a JWE of 32 bytes to the transaction's key (``cell-secret``)."""

from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from backend.errors import MalformedMessage
from backend.protocol.encoding import Octets32, ascii_bytes, sha256
from backend.protocol.jose import (
    LONGEST_MESSAGE,
    PublicJwk,
    UnverifiedSeal,
    make_seal,
    open_seal,
    unverified_seal,
)

TYP: Final = "cell-secret"
SECRET_BYTES: Final = 32


def sealed_hash(unverified_sealed: str) -> Octets32:
    """The hash by which an approval or enrolment names its seal."""
    return sha256(ascii_bytes(unverified_sealed, longest=LONGEST_MESSAGE))


def check_sealed(
    unverified_sealed: str,
    *,
    expected_hash: bytes,
    expected_epk: bytes,
    expected_sender: bytes,
    expected_tx_hash: bytes,
) -> UnverifiedSeal:
    """Check that this is the seal that an approval (or enrolment) names, and for which ask.

    Args:
        unverified_sealed: the compact JWE.
        expected_hash: SHA-256 of it, from the signed message.
        expected_epk: thumbprint of its ephemeral key, from the signed message.
        expected_sender: thumbprint of the approval key: its ``apu``.
        expected_tx_hash: hash of the ask: its ``apv``.

    Raises:
        MalformedMessage: one of them differs.
    """
    seal = unverified_seal(unverified_sealed, expected_typ=TYP, with_sender=True)
    if sealed_hash(unverified_sealed) != expected_hash:
        raise MalformedMessage("sealed: not the one that was signed for")
    if seal.epk.thumbprint() != expected_epk:
        raise MalformedMessage("sealed: another ephemeral key than was signed for")
    if seal.apu != expected_sender or seal.apv != expected_tx_hash:
        raise MalformedMessage("sealed: of another phone or for another ask")
    return seal


def seal_secret(secret: bytes, *, sam: PublicJwk, sender: bytes, tx_hash: bytes) -> str:
    """Seal the cell's secret to a transaction's key, as a phone does.

    Args:
        secret: of the cell.
        sam: the transaction's key, from the ask.
        sender: thumbprint of the key that signs the approval.
        tx_hash: hash of the ask.
    """
    return make_seal(secret, typ=TYP, recipient=sam, apu=sender, apv=tx_hash)


def open_sealed(sealed: str, transaction_key: ec.EllipticCurvePrivateKey) -> bytes:
    """Open a seal that :func:`check_sealed` passed; the cell's secret.

    Raises:
        MalformedMessage: it is not sealed to this key, or holds no secret.
    """
    unverified_seal(sealed, expected_typ=TYP, with_sender=True)
    secret = open_seal(sealed, transaction_key)
    if len(secret) != SECRET_BYTES:
        raise MalformedMessage("sealed: holds no cell secret")
    return secret
