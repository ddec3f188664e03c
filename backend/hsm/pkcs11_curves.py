"""Elliptic curves, as a token and as ``cryptography`` name them."""

from typing import Final, NamedTuple, final

from cryptography.hazmat.primitives.asymmetric import ec

from backend.algorithms import KeyAlgorithm
from backend.hsm import pkcs11_templates as templates


@final
class Curve(NamedTuple):
    """A curve of ECDSA."""

    parameters: bytes
    """CKA_EC_PARAMS."""
    curve: ec.EllipticCurve
    point_bytes: int

    def public_key(self, point: bytes) -> ec.EllipticCurvePublicKey:
        """Read CKA_EC_POINT, which some tokens wrap in a DER OCTET STRING and others do not."""
        encoded = point[-self.point_bytes :]
        return ec.EllipticCurvePublicKey.from_encoded_point(self.curve, encoded)


P256: Final = Curve(templates.P256, ec.SECP256R1(), 65)
CURVES: Final[dict[KeyAlgorithm, Curve]] = {
    KeyAlgorithm.P256: P256,
    KeyAlgorithm.P384: Curve(templates.P384, ec.SECP384R1(), 97),
}
