"""Approving by password and code: the SAM approves in the signer's name, by these rules.

1. the ask is ours (KS), of kind ``sign`` or ``certificate_request``, and the SAM's own clock is not
   after ``exp``;
2. the cell record is ours, of this ask's cell and not below its epoch; an unconfirmed record allows
   only ``certificate_request``;
3. the record allows the method for what is asked (``code_policy.py``), and names the number, or the
   seed, that is handed in; a paired phone has had its time before an SMS counts (T-24);
4. the code is counted, then judged: three for an ask, ten wrong ones of a cell in a day (T-15). A
   right one of an authenticator is used up: one that goes by time in this process's memory and by
   the caller's rows, one that counts in the record, too;
5. the password lock opens, which is of purpose ``sign``: that gives the cell's secret;
6. the secret is sealed to the transaction's key, as a phone does it, and KS signs the approval,
   and the record's next epoch where it has a counter (docs/decisions/0030).

So nobody without the code can try a password here. The approval opens nothing by itself: the door
(``door.py``) asks it for everything again. It is the service's word, and says so by its type.
"""

import hmac
from collections.abc import Callable
from typing import Final, final
from uuid import UUID

import msgspec

from backend.errors import (
    CodeRefused,
    HourKeyMissing,
    MalformedMessage,
    RecordRefused,
    SummaryRefused,
    WrongCode,
    WrongPassword,
)
from backend.protocol.approval import CodeApprovalClaims
from backend.protocol.ask import VerifiedAsk
from backend.protocol.jose import PublicJwk, unverified_seal
from backend.protocol.record import CellRecord, HotpState
from backend.protocol.sealed import TYP, seal_secret, sealed_hash
from backend.sam.code_policy import check_code_allowed
from backend.sam.codes import TRIES, SmsCodes
from backend.sam.hotp import HotpSeeds
from backend.sam.hours import TransactionKeys
from backend.sam.locks import PasswordSeals
from backend.sam.records import ServiceVoice
from backend.sam.seeds import seed_hash
from backend.sam.sms_texts import SmsTexts
from backend.sam.totp import TotpSeeds
from backend.sam.transactions import (
    ApproveByCode,
    ApprovedByCode,
    CodeSms,
    CountedOn,
    RenderSms,
)
from backend.sam.tries import Tries

TRIES_A_DAY: Final = 10
"""In a day that begins with the first of them: in any 24 hours at most twice as many."""
DAY_SECONDS: Final = 24 * 3600


@final
class _Right(msgspec.Struct, frozen=True, kw_only=True):
    """A code that was right, and what of an authenticator it used up."""

    step: int | None = None
    hotp: HotpState | None = None


@final
class CodeApprovals:
    """Keeps the six rules."""

    def __init__(
        self,
        *,
        voice: ServiceVoice,
        keys: TransactionKeys,
        passwords: PasswordSeals,
        sms_codes: SmsCodes,
        totp: TotpSeeds,
        hotp: HotpSeeds,
        new_id: Callable[[], UUID],
    ) -> None:
        """Keep what the rules are checked with."""
        self._voice = voice
        self._keys = keys
        self._passwords = passwords
        self._sms_codes = sms_codes
        self._totp = totp
        self._hotp = hotp
        self._new_id = new_id
        self._of_ask = Tries(allowed=TRIES)
        self._of_day = Tries(allowed=TRIES_A_DAY)

    def approve(self, unverified: ApproveByCode, *, now: int) -> ApprovedByCode:
        """Keep the rules in their order; errors as in ``Transactions.approve_by_code``."""
        # (1) The ask is ours, may be approved by code, and it is not too late.
        # (2) The record is ours, of this cell, not older than the ask.
        ask, record = self.asked(unverified.ask, unverified.record, now=now)

        # (3) The record allows the method for this.
        self._check_allowed(unverified, ask=ask, record=record, now=now)

        # (4) The code was counted before it was looked at.
        right = self._judged(unverified, ask=ask, record=record, now=now)

        # (5) The password gives the secret.
        secret = self._secret(unverified, record)
        self._of_day.give_back(record.cell)

        # (6) What a phone would make of it.
        approved = self._approved(
            unverified, ask=ask, record=record, secret=secret, now=now, right=right
        )
        if right.hotp is None:
            return approved
        text, following = self._voice.next_record(unverified.record, hotp=right.hotp)
        counted = CountedOn(record=text, epoch=following.epoch)
        return msgspec.structs.replace(approved, counted=counted)

    def render_sms(self, unverified: RenderSms, *, texts: SmsTexts, now: int) -> CodeSms:
        """Keep rules 1 to 3, and write the SMS anew; errors as in ``Transactions.render_sms``."""
        ask, record = self.asked(unverified.ask, unverified.record, now=now)
        return texts.again(
            ask,
            unverified.items,
            record=record,
            address=unverified.address,
            zone=unverified.zone,
            now=now,
        )

    def asked(
        self, unverified_ask: str, unverified_record: str, *, now: int
    ) -> tuple[VerifiedAsk, CellRecord]:
        """Rules 1 and 2.

        Raises:
            CodeRefused: one is not kept.
        """
        try:
            ask = self._voice.verified_ask(unverified_ask)
        except MalformedMessage as error:
            raise CodeRefused(1, str(error)) from error
        if ask.claims.kind not in {"sign", "certificate_request"}:
            raise CodeRefused(1, f"an ask of kind {ask.claims.kind} is approved on a phone")
        if now > ask.claims.exp:
            raise CodeRefused(1, "it is too late to approve")
        try:
            record = self._voice.verified_record(unverified_record)
        except RecordRefused as error:
            raise CodeRefused(2, str(error)) from error
        if record.cell != ask.claims.cell or record.epoch < ask.claims.epoch:
            raise CodeRefused(2, "the record of another cell, or older than the ask")
        if not record.confirmed and ask.claims.kind != "certificate_request":
            raise CodeRefused(2, "the cell has no certificate yet")
        return ask, record

    def _check_allowed(
        self, unverified: ApproveByCode, *, ask: VerifiedAsk, record: CellRecord, now: int
    ) -> None:
        """Rule 3."""
        claims = ask.claims
        try:
            check_code_allowed(record, unverified.method, kind=claims.kind, fields=claims.fields)
            seed = seed_hash(unverified.seed or "")
        except (MalformedMessage, RecordRefused, SummaryRefused) as error:
            raise CodeRefused(3, str(error)) from error
        if unverified.method != "password+sms":
            if seed != record.seed(unverified.method):
                raise CodeRefused(3, "the seed is not the one that the record names")
            return
        if self._passwords.number_mac(record.cell, unverified.number or "") != record.sms:
            raise CodeRefused(3, "the number is not the one that was verified")
        if record.devices and now < claims.iat + record.policy.caps.sms_delay:
            raise CodeRefused(3, "a phone is paired: it is asked first")

    def _judged(
        self, unverified: ApproveByCode, *, ask: VerifiedAsk, record: CellRecord, now: int
    ) -> _Right:
        """Rule 4."""
        left = self._of_ask.count(ask.tx_hash, until=ask.claims.use_by, now=now)
        self._of_day.count(record.cell, until=now + DAY_SECONDS, now=now)
        if unverified.method == "password+sms":
            given, wanted = unverified.code, self._sms_codes.code(ask.tx_hash)
            if not hmac.compare_digest(given.encode("utf-8"), wanted.encode("ascii")):
                raise WrongCode(left)
            return _Right()
        try:
            right = self._of_authenticator(unverified, record, now=now)
        except MalformedMessage as error:
            raise CodeRefused(3, str(error)) from error
        if right is None:
            raise WrongCode(left)
        return right

    def _of_authenticator(
        self, unverified: ApproveByCode, record: CellRecord, *, now: int
    ) -> _Right | None:
        """Use up a code of an authenticator; ``None``: it is wrong, or was used."""
        code, cell, sealed = unverified.code, record.cell, unverified.seed or ""
        held = record.hotp
        if unverified.method == "password+hotp" and held is not None:
            after = self._hotp.use_up(code, cell=cell, sealed=sealed, counter=held.counter)
            return None if after is None else _Right(hotp=HotpState(seed=held.seed, counter=after))
        used = unverified.used_step
        step = self._totp.find_step(code, cell=cell, sealed=sealed, now=now)
        if step is None or not self._totp.use_up(step, cell=cell, used_step=used, now=now):
            return None
        return _Right(step=step)

    def _secret(self, unverified: ApproveByCode, record: CellRecord) -> bytes:
        """Rule 5."""
        try:
            return self._passwords.open(
                unverified.lock, record=record, password_hash=unverified.password_hash
            )
        except MalformedMessage as error:
            raise WrongPassword("the password is wrong") from error

    def _approved(
        self,
        unverified: ApproveByCode,
        *,
        ask: VerifiedAsk,
        record: CellRecord,
        secret: bytes,
        now: int,
        right: _Right,
    ) -> ApprovedByCode:
        """Rule 6."""
        claims, sender = ask.claims, self._voice.ks.thumbprint()
        try:
            key = self._keys.existing(use_by=claims.use_by, jti=claims.jti)
        except HourKeyMissing as error:
            raise CodeRefused(1, str(error)) from error
        sam = PublicJwk.of(key.public_key())
        sealed = seal_secret(secret, sam=sam, sender=sender, tx_hash=ask.tx_hash)
        approval = CodeApprovalClaims(
            tx=claims.jti,
            tx_hash=ask.tx_hash,
            sealed=sealed_hash(sealed),
            epk=unverified_seal(sealed, expected_typ=TYP, with_sender=True).epk.thumbprint(),
            iat=now,
            jti=self._new_id(),
            method=unverified.method,
            number_hash=record.sms if unverified.method == "password+sms" else None,
            hotp=msgspec.UNSET if right.hotp is None else right.hotp,
        )
        return ApprovedByCode(
            approval=self._voice.code_approval(approval),
            sealed=sealed,
            kid=bytes(sender),
            step=right.step,
        )
