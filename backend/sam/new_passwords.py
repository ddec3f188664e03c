"""A new password in place of a forgotten one: what has to be shown to the SAM.

1. the ask is ours, of kind ``set_password``, and the SAM's clock is before ``use_by``;
2. the record is ours, of the ask's cell and not below the ask's epoch;
3. a phone of that record approved this very ask, with the number that it wants and with user
   verification;
4. who brings the password began it: the ask's ``fields.session`` is the hash of what only that
   browser has;
5. the approval's seal gives the cell's secret;
6. the secret opens this cell. Then the verifier, and the cell's lock under the new password.

The ask cannot bind the password itself: it is typed only after the approval. So whoever writes
rows sets none with another's approval (rule 4).
"""

import hmac
from typing import final

from backend.errors import CellUnopened, MalformedMessage, NewPasswordRefused, RecordRefused
from backend.protocol.ask import VerifiedAsk
from backend.protocol.encoding import b64u, sha256
from backend.protocol.record import CellRecord
from backend.sam.cells import PasswordSeal, SetPassword
from backend.sam.consents import unsealed, verify_consent
from backend.sam.hours import TransactionKeys
from backend.sam.locks import PasswordSeals
from backend.sam.records import ServiceVoice


@final
class NewPasswords:
    """Keeps the six rules."""

    def __init__(
        self, *, voice: ServiceVoice, keys: TransactionKeys, passwords: PasswordSeals
    ) -> None:
        """Keep what the rules are checked with."""
        self._voice = voice
        self._keys = keys
        self._passwords = passwords

    def set(self, unverified: SetPassword, *, now: int) -> PasswordSeal:
        """Take a new password; the errors are those of ``Cells.set_password``."""
        # (1) The ask is ours and still runs. (2) The record is ours and of this cell.
        ask = self._asked(unverified.ask, now=now)
        record = self._believed(unverified.record, ask)

        # (3) A phone of that record approved this very ask.
        try:
            consent = verify_consent(unverified.approval, ask=ask, record=record)
        except MalformedMessage as error:
            raise NewPasswordRefused(3, str(error)) from error

        # (4) The browser that began it brings the password.
        expected = str(ask.claims.fields.get("session")).encode()
        if not hmac.compare_digest(b64u(sha256(unverified.session)).encode(), expected):
            raise NewPasswordRefused(4, "another session than the one that began it")

        # (5) The phone's seal gives the cell's secret. (6) The secret opens this cell.
        try:
            secret = unsealed(
                consent, unverified_sealed=unverified.sealed, blob=unverified.blob, keys=self._keys
            )
        except MalformedMessage as error:
            raise NewPasswordRefused(5, str(error)) from error
        except CellUnopened as error:
            raise NewPasswordRefused(6, str(error)) from error
        return PasswordSeal(
            verifier=self._passwords.verifier(record.signer, unverified.password_hash),
            lock=self._passwords.seal(
                secret, record=record, password_hash=unverified.password_hash
            ),
        )

    def _asked(self, unverified_ask: str, *, now: int) -> VerifiedAsk:
        """Rule 1."""
        try:
            ask = self._voice.verified_ask(unverified_ask)
        except MalformedMessage as error:
            raise NewPasswordRefused(1, str(error)) from error
        if ask.claims.kind != "set_password":
            raise NewPasswordRefused(1, f"an ask of kind {ask.claims.kind} sets no password")
        if now >= ask.claims.use_by:
            raise NewPasswordRefused(1, "it is after use_by")
        return ask

    def _believed(self, unverified_record: str, ask: VerifiedAsk) -> CellRecord:
        """Rule 2."""
        try:
            record = self._voice.verified_record(unverified_record)
        except RecordRefused as error:
            raise NewPasswordRefused(2, str(error)) from error
        if record.cell != ask.claims.cell or record.epoch < ask.claims.epoch:
            raise NewPasswordRefused(2, "the record of another cell, or older than the ask")
        return record
