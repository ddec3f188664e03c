"""A policy changes: a code may stand for the phone, once the phone has said so, or no longer.

To ask (``open_amendment``):

1. the record is ours, has its certificate and a phone, and knows what the method needs: the number
   that is handed in, or a seed of this cell. The bounds that are handed in go into the ask;
2. an authenticator shows a first code of the seed: three tries, and the step is used up (T-15); of
   one that counts the ask says from where on;
3. the password opens the cell's lock, counted with all other tries of it. The lock is sealed anew,
   of purpose ``sign``: worth nothing while the record does not allow the method.

To believe (``amend``):

4. the ask is ours, of kind ``amend``, and the SAM's clock is before ``use_by``;
5. the record is ours, of the ask's cell and of its very epoch: an approval amends once, and brings
   nothing back that was taken away since;
6. a phone of that record approved this very ask, with user verification: no code loosens a policy;
7. what it sealed opens this cell. Then the record's next epoch: one method more, and the bounds
   that the signer read.

To tighten, for which nobody has to consent:

8. the record is ours and allows the method, and another one is left. The bounds of codes and the
   seed go with what they were for; the password lock stays, and opens for less.
"""

from typing import Any, Final, final
from uuid import UUID

import msgspec

from backend.errors import (
    AmendmentRefused,
    CellUnopened,
    MalformedMessage,
    RecordRefused,
    WrongCode,
    WrongPassword,
)
from backend.protocol.ask import AskClaims, VerifiedAsk
from backend.protocol.encoding import Octets32, b64u, read_octets
from backend.protocol.known_types import known
from backend.protocol.record import AmountCap, Caps, CellRecord, HotpState, Method, Policy
from backend.sam.amending import (
    Amend,
    Amended,
    MadeSeed,
    MakeSeed,
    OpenAmendment,
    OpenedAmendment,
    Tighten,
)
from backend.sam.asks import Asks
from backend.sam.codes import TRIES
from backend.sam.consents import unsealed, verify_consent
from backend.sam.hotp import HotpSeeds
from backend.sam.hours import TransactionKeys
from backend.sam.locks import PasswordSeals
from backend.sam.records import ServiceVoice
from backend.sam.seeds import seed_hash
from backend.sam.totp import TotpSeeds
from backend.sam.transactions import OpenTransaction
from backend.sam.tries import PASSWORD_WINDOW_SECONDS, Tries

NUMBER_END: Final = 4


@final
class _Allowed(msgspec.Struct, frozen=True, kw_only=True):
    """What an ask of kind ``amend`` allows, out of its fields."""

    delay: int
    totp: Octets32 | None = None
    hotp: Octets32 | None = None
    counter: int = 0
    amounts: tuple[AmountCap, ...] = ()

    def method(self) -> Method:
        """Which method it allows."""
        if self.hotp is not None:
            return "password+hotp"
        return "password+sms" if self.totp is None else "password+totp"

    def counted(self) -> HotpState | None:
        """The app that counts, after its first code."""
        return None if self.hotp is None else HotpState(seed=self.hotp, counter=self.counter)


@final
class _First(msgspec.Struct, frozen=True, kw_only=True):
    """A first code that was right: its step, or the counter after it."""

    step: int | None = None
    counter: int | None = None


@final
class PolicyAmendments:
    """Keeps the eight rules."""

    def __init__(
        self,
        *,
        voice: ServiceVoice,
        keys: TransactionKeys,
        asks: Asks,
        passwords: PasswordSeals,
        password_tries: Tries,
        totp: TotpSeeds,
        hotp: HotpSeeds,
    ) -> None:
        """Keep what the rules are checked with."""
        self._voice = voice
        self._keys = keys
        self._asks = asks
        self._passwords = passwords
        self._password_tries = password_tries
        self._totp = totp
        self._hotp = hotp
        self._first_codes = Tries(allowed=TRIES)

    def make_seed(self, unverified: MakeSeed) -> MadeSeed:
        """See ``Amendments``."""
        record = self._voice.verified_record(unverified.record)
        seeds = self._totp if unverified.method == "password+totp" else self._hotp
        seed, sealed = seeds.make(record.cell)
        return MadeSeed(seed=seed, sealed=sealed, seed_hash=bytes(seed_hash(sealed)))

    # --- to ask -----------------------------------------------------------------

    def open(self, unverified: OpenAmendment, *, now: int) -> OpenedAmendment:
        """Keep rules 1 to 3; the errors are those of ``Amendments.open_amendment``."""
        # (1) The record is ours, and there is something to allow, by a phone.
        record = self._record_to_amend(unverified)

        # (2) The authenticator has the seed.
        first = self._first_code(unverified, record, now=now)

        # (3) The password opens the lock, which is sealed anew.
        lock = self._sealed_to_sign(unverified, record, now=now)

        request = OpenTransaction(
            record=unverified.record,
            kind="amend",
            rp=unverified.rp,
            lang=unverified.lang,
            zone=unverified.zone,
            fields=_fields(unverified, first),
            items=(),
            hash_alg=None,
            exp=unverified.exp,
            use_by=unverified.use_by,
            number_asked=True,
        )
        opened = self._asks.open(request, now=now)
        return OpenedAmendment(opened=opened, lock=lock, step=first.step)

    def _record_to_amend(self, unverified: OpenAmendment) -> CellRecord:
        """Rule 1."""
        try:
            record = self._voice.verified_record(unverified.record)
        except RecordRefused as error:
            raise AmendmentRefused(1, str(error)) from error
        if not record.confirmed or not record.devices:
            raise AmendmentRefused(1, "a policy is loosened on a paired phone")
        if unverified.method == "password+sms":
            number = unverified.number or ""
            if self._passwords.number_mac(record.cell, number) != record.sms:
                raise AmendmentRefused(1, "the number is not the one that was verified")
        return record

    def _first_code(self, unverified: OpenAmendment, record: CellRecord, *, now: int) -> _First:
        """Rule 2."""
        if unverified.method == "password+sms":
            return _First()
        sealed, code, cell = unverified.seed or "", unverified.code or "", record.cell
        try:
            key = seed_hash(sealed)
            left = self._first_codes.count(key, until=now + PASSWORD_WINDOW_SECONDS, now=now)
            if unverified.method == "password+hotp":
                counter = self._hotp.first_counter(code, cell=cell, sealed=sealed)
                first = None if counter is None else _First(counter=counter)
            else:
                first = self._first_step(code, cell=cell, sealed=sealed, now=now)
        except MalformedMessage as error:
            raise AmendmentRefused(1, "the seed is not this cell's") from error
        if first is None:
            raise WrongCode(left)
        return first

    def _first_step(self, code: str, *, cell: UUID, sealed: str, now: int) -> _First | None:
        step = self._totp.find_step(code, cell=cell, sealed=sealed, now=now)
        if step is None or not self._totp.use_up(step, cell=cell, used_step=None, now=now):
            return None
        return _First(step=step)

    def _sealed_to_sign(self, unverified: OpenAmendment, record: CellRecord, *, now: int) -> str:
        """Rule 3."""
        signer, password = record.signer, unverified.password_hash
        until = now + PASSWORD_WINDOW_SECONDS
        self._password_tries.count(signer, until=until, now=now)
        try:
            secret = self._passwords.open(unverified.lock, record=record, password_hash=password)
        except MalformedMessage as error:
            raise WrongPassword("the password is wrong") from error
        self._password_tries.forget(signer)
        methods = _with(record.policy, unverified.method)
        loosened = msgspec.structs.replace(
            record, policy=msgspec.structs.replace(record.policy, methods=methods)
        )
        return self._passwords.seal(secret, record=loosened, password_hash=password)

    # --- to believe -------------------------------------------------------------

    def amend(self, unverified: Amend, *, now: int) -> Amended:
        """Keep rules 4 to 7; the errors are those of ``Amendments.amend``."""
        # (4) The ask is ours and still runs. (5) The record is ours and of this cell.
        ask = self._asked(unverified.ask, now=now)
        record = self._believed(unverified.record, ask)

        # (6) A phone of that record approved this very ask.
        try:
            consent = verify_consent(unverified.approval, ask=ask, record=record)
        except MalformedMessage as error:
            raise AmendmentRefused(6, str(error)) from error

        # (7) The phone's seal gives the cell's secret, which opens this cell.
        try:
            unsealed(
                consent, unverified_sealed=unverified.sealed, blob=unverified.blob, keys=self._keys
            )
        except (MalformedMessage, CellUnopened) as error:
            raise AmendmentRefused(7, str(error)) from error
        return self._loosened(unverified.record, record, ask.claims)

    # --- to tighten -------------------------------------------------------------

    def tighten(self, unverified: Tighten) -> Amended:
        """Keep rule 8; the errors are those of ``Amendments.tighten``."""
        try:
            record = self._voice.verified_record(unverified.record)
        except RecordRefused as error:
            raise AmendmentRefused(8, str(error)) from error
        held, caps = record.policy.methods, record.policy.caps
        left = tuple(method for method in held if method != unverified.method)
        if left == held or not left:
            raise AmendmentRefused(8, "the method is not allowed, or is the only one")
        if left == ("app",):
            caps = Caps(multisign=caps.multisign, kinds=caps.kinds, confirm=caps.confirm)
        return self._following(
            unverified.record,
            Policy(methods=left, caps=caps),
            totp=record.totp if "password+totp" in left else None,
            hotp=record.hotp if "password+hotp" in left else None,
        )

    def _asked(self, unverified_ask: str, *, now: int) -> VerifiedAsk:
        """Rule 4."""
        try:
            ask = self._voice.verified_ask(unverified_ask)
        except MalformedMessage as error:
            raise AmendmentRefused(4, str(error)) from error
        if ask.claims.kind != "amend":
            raise AmendmentRefused(4, f"an ask of kind {ask.claims.kind} amends nothing")
        if now >= ask.claims.use_by:
            raise AmendmentRefused(4, "it is after use_by")
        return ask

    def _believed(self, unverified_record: str, ask: VerifiedAsk) -> CellRecord:
        """Rule 5."""
        try:
            record = self._voice.verified_record(unverified_record)
        except RecordRefused as error:
            raise AmendmentRefused(5, str(error)) from error
        if record.cell != ask.claims.cell or record.epoch != ask.claims.epoch:
            raise AmendmentRefused(5, "the record of another cell, or another than was asked for")
        return record

    def _loosened(self, text: str, record: CellRecord, claims: AskClaims) -> Amended:
        members = {name: value for name, value in claims.fields.items() if name in _MEMBERS}
        allowed = msgspec.convert(members, type=known(_Allowed), dec_hook=read_octets)
        caps = msgspec.structs.replace(
            record.policy.caps, amounts=allowed.amounts, sms_delay=allowed.delay
        )
        policy = Policy(methods=_with(record.policy, allowed.method()), caps=caps)
        totp, hotp = allowed.totp or record.totp, allowed.counted() or record.hotp
        return self._following(text, policy, totp=totp, hotp=hotp)

    def _following(
        self, text: str, policy: Policy, *, totp: Octets32 | None, hotp: HotpState | None
    ) -> Amended:
        following, record = self._voice.next_record(text, policy=policy, totp=totp, hotp=hotp)
        return Amended(
            record=following,
            epoch=record.epoch,
            cell=record.cell,
            methods=policy.methods,
            totp=None if totp is None else bytes(totp),
            hotp=None if hotp is None else bytes(hotp.seed),
        )


_MEMBERS: Final = frozenset({"delay", "totp", "hotp", "counter", "amounts"})


def _fields(unverified: OpenAmendment, first: _First) -> dict[str, Any]:
    """What the phone shows, and what of it becomes the record's."""
    fields: dict[str, Any] = {
        "type": "amend",
        "name": unverified.name,
        "delay": unverified.sms_delay,
    }
    if unverified.method == "password+sms":
        fields["number_end"] = str(unverified.number)[-NUMBER_END:]
    else:
        name = unverified.method.removeprefix("password+")
        fields[name] = b64u(seed_hash(str(unverified.seed)))
    if first.counter is not None:
        fields["counter"] = first.counter
    if unverified.amounts:
        fields["amounts"] = [msgspec.structs.asdict(cap) for cap in unverified.amounts]
    return fields


def _with(policy: Policy, method: Method) -> tuple[Method, ...]:
    """Add a method, once."""
    return policy.methods if method in policy.methods else (*policy.methods, method)
