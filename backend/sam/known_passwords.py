"""Passwords that a verifier knows: checked, and changed. What is wrong is counted first (T-16)."""

from typing import final
from uuid import UUID

from backend.errors import EnrolmentRefused, MalformedMessage, RecordRefused, RequestRefused
from backend.protocol.password_proof import PasswordProofClaims
from backend.protocol.record import CellRecord
from backend.sam.cells import ChangedPassword, ChangePassword, CheckPassword, PasswordChecked
from backend.sam.locks import PasswordSeals
from backend.sam.records import ServiceVoice
from backend.sam.tries import PASSWORD_WINDOW_SECONDS, Tries


@final
class KnownPasswords:
    """Checks and changes them."""

    def __init__(self, *, voice: ServiceVoice, passwords: PasswordSeals, tries: Tries) -> None:
        """Keep what they are checked with, and where tries are counted."""
        self._voice = voice
        self._passwords = passwords
        self._tries = tries

    def check(self, request: CheckPassword, *, now: int) -> PasswordChecked:
        """Check one; the errors are those of ``Cells.check_password``."""
        self._check(request.signer, request.password_hash, request.verifier, now=now)
        if request.ask is None:
            return PasswordChecked(proof=None)
        try:
            ask = self._voice.verified_ask(request.ask)
        except MalformedMessage as error:
            raise EnrolmentRefused(1, str(error)) from error
        claims = PasswordProofClaims(
            signer=request.signer, tx_hash=ask.tx_hash, exp=ask.claims.use_by
        )
        return PasswordChecked(proof=self._voice.password_proof(claims))

    def change(self, request: ChangePassword, *, now: int) -> ChangedPassword:
        """Change one; the errors are those of ``Cells.change_password``."""
        self._check(request.signer, request.old_password_hash, request.verifier, now=now)
        locks = []
        for held in request.locks:
            record = self._voice.verified_record(held.record)
            if record.signer != request.signer:
                raise RecordRefused("the cell of another signer")
            locks.append(self._sealed_again(held.lock, record, request))
        verifier = self._passwords.verifier(request.signer, request.new_password_hash)
        return ChangedPassword(verifier=verifier, locks=tuple(locks))

    def _sealed_again(self, lock: str, record: CellRecord, request: ChangePassword) -> str:
        try:
            secret = self._passwords.open(
                lock, record=record, password_hash=request.old_password_hash
            )
        except MalformedMessage as error:
            raise RequestRefused("a password lock does not open") from error
        return self._passwords.seal(secret, record=record, password_hash=request.new_password_hash)

    def _check(self, signer: UUID, password_hash: bytes, verifier: bytes, *, now: int) -> None:
        self._tries.count(signer, until=now + PASSWORD_WINDOW_SECONDS, now=now)
        self._passwords.check(signer=signer, password_hash=password_hash, verifier=verifier)
        self._tries.forget(signer)
