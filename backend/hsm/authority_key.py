"""The CA's key in the HSM, in the shape that ``cryptography`` builds certificates with."""

import hashlib
from typing import NoReturn, final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    KeySerializationEncryption,
    PrivateFormat,
    load_der_public_key,
)

from backend.errors import HsmNotReady
from backend.hsm.protocol import Hsm, SigningServiceKey


@final
class AuthorityKey(ec.EllipticCurvePrivateKey):
    """Signs certificates by the HSM; everything else that a private key can do, it refuses."""

    def __init__(self, hsm: Hsm) -> None:
        """Read the public half.

        Raises:
            HsmNotReady: the CA's key is not an elliptic curve's.
        """
        public = load_der_public_key(hsm.public_key(SigningServiceKey.AUTHORITY))
        if not isinstance(public, ec.EllipticCurvePublicKey):
            raise HsmNotReady("the CA's key is not on an elliptic curve")
        self._hsm = hsm
        self._public = public

    @property
    def curve(self) -> ec.EllipticCurve:
        """The key's curve."""
        return self._public.curve

    @property
    def key_size(self) -> int:
        """Bits of the curve."""
        return self._public.key_size

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The public half."""
        return self._public

    def sign(
        self,
        data: bytes | bytearray | memoryview,
        signature_algorithm: ec.EllipticCurveSignatureAlgorithm,
    ) -> bytes:
        """Sign by ECDSA with SHA-256; a DER ECDSA-Sig-Value."""
        algorithm = signature_algorithm.algorithm
        if not (isinstance(signature_algorithm, ec.ECDSA) and isinstance(algorithm, SHA256)):
            raise TypeError("the CA signs by ECDSA with SHA-256")
        return self._hsm.sign(SigningServiceKey.AUTHORITY, hashlib.sha256(data).digest())

    def exchange(
        self,
        algorithm: ec.ECDH,  # noqa: ARG002  # the base class has it
        peer_public_key: ec.EllipticCurvePublicKey,  # noqa: ARG002  # the base class has it
    ) -> NoReturn:
        """Refuse: the key signs."""
        raise TypeError("the CA's key only signs")

    def private_numbers(self) -> NoReturn:
        """Refuse: the key stays in the HSM."""
        raise TypeError("the CA's key stays in the HSM")

    def private_bytes(
        self,
        encoding: Encoding,  # noqa: ARG002  # the base class has it
        format: PrivateFormat,  # noqa: A002, ARG002  # the base class has it, by this name
        encryption_algorithm: KeySerializationEncryption,  # noqa: ARG002  # the base class has it
    ) -> NoReturn:
        """Refuse: the key stays in the HSM."""
        self.private_numbers()

    def __copy__(self) -> NoReturn:
        """Refuse: there is one."""
        raise TypeError("the CA's key is not copied")

    def __deepcopy__(self, memo: dict[int, object]) -> NoReturn:
        """Refuse: there is one."""
        self.__copy__()
