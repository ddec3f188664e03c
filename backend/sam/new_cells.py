"""A new cell: a key pair, the record that says so, and the locks that keep its secret."""

from typing import Final, final
from uuid import uuid4

from backend.algorithms import KeyAlgorithm
from backend.errors import RequestRefused
from backend.hsm.protocol import Hsm
from backend.protocol.encoding import Octets, Octets32
from backend.protocol.record import CellRecord
from backend.sam.cells import MadeCell, MakeCell, PasswordSeal
from backend.sam.locks import ENVELOPE_SECRET_BYTES, PasswordSeals, make_envelope, wrap_outer
from backend.sam.records import ServiceVoice

SECRET_BYTES: Final = 32


@final
class NewCells:
    """Makes them."""

    def __init__(self, *, hsm: Hsm, voice: ServiceVoice, passwords: PasswordSeals) -> None:
        """Keep what they are made with, and see what the HSM can keep."""
        self._hsm = hsm
        self._voice = voice
        self._passwords = passwords
        self._offered = hsm.offered()

    @property
    def algorithms(self) -> tuple[KeyAlgorithm, ...]:
        """Of keys that the HSM can keep in cells, as it showed when the SAM started."""
        return tuple(algorithm for algorithm in KeyAlgorithm if algorithm in self._offered)

    def make(self, request: MakeCell) -> MadeCell:
        """Make one; the errors are those of ``Cells.make_cell``."""
        self._check_offered(request.algorithm)
        cell, secret = uuid4(), self._hsm.random(SECRET_BYTES)
        wrapped = self._hsm.generate(request.algorithm)
        record = CellRecord(
            cell=cell,
            signer=request.signer,
            subject=Octets32(request.subject),
            epoch=1,
            prev=None,
            origin="generated",
            alg=request.algorithm,
            spki=Octets(wrapped.spki),
            kw=wrapped.kw,
            certificate=None,
            confirmed=False,
            devices=(),
            sms=self._passwords.number_mac(cell, request.number) if request.number else None,
            totp=None,
            policy=request.policy,
        )
        return MadeCell(
            cell=cell,
            spki=wrapped.spki,
            blob=wrap_outer(wrapped, secret=secret, cell=cell, algorithm=record.alg),
            record=self._voice.record(record),
            envelope=make_envelope(
                entropy=self._hsm.random(ENVELOPE_SECRET_BYTES),
                secret=secret,
                cell=cell,
                ks=self._voice.ks,
            ),
            password=self._password_seal(request.password_hash, secret=secret, record=record),
        )

    def _check_offered(self, algorithm: KeyAlgorithm) -> None:
        if algorithm not in self._offered:
            keeps = ", ".join(self.algorithms)
            raise RequestRefused(f"the HSM cannot keep {algorithm} keys in cells; it keeps {keeps}")

    def _password_seal(
        self, password_hash: bytes | None, *, secret: bytes, record: CellRecord
    ) -> PasswordSeal | None:
        if password_hash is None:
            return None
        return PasswordSeal(
            verifier=self._passwords.verifier(record.signer, password_hash),
            lock=self._passwords.seal(secret, record=record, password_hash=password_hash),
        )
