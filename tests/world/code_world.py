"""A signer who approves by password and code, a relying party, a real SAM, and a database."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.model.tables import OutboxMessage, Signer, Transaction, TransactionState
from backend.protocol.record import Policy
from backend.protocol.sms import open_sms
from backend.settings import SmsGatewayKind
from backend.signers.password import argon2_hash
from backend.signing.approval_by_code import WaysOut, approve_by_code, send_sms, ways_out
from tests.world.clock import SettableClock
from tests.world.code_cell import CODE_POLICY, CodeSigner, code_in
from tests.world.paired_cell import make_cell
from tests.world.sam import SamWorld
from tests.world.signing_world import SETTINGS, SigningWorld, world_of

PASSWORD = "ein Pferd frisst Gurken"
SALT = bytes(16)
WITH_SMS = msgspec.structs.replace(SETTINGS, sms_gateway=SmsGatewayKind.CONSOLE)


@cache
def password_hash() -> bytes:
    """A of the signer's password; it takes a tenth of a second to make."""
    return argon2_hash(PASSWORD, SALT)


@dataclass(kw_only=True)
class CodeWorld:
    """Each step of an approval by code as one call, in a session of its own."""

    world: SigningWorld
    signer: CodeSigner

    @property
    def id(self) -> UUID:
        """Whose page it is."""
        return self.signer.cell.signer

    @property
    def clock(self) -> SettableClock:
        """The clock that all share."""
        return self.world.clock

    def texts(self, transaction: UUID) -> list[str]:
        """The texts that lie in the outbox, the oldest first."""
        with self.world.sessions() as session:
            sealed = session.scalars(
                select(OutboxMessage.sealed_sms)
                .where(OutboxMessage.transaction_id == transaction, OutboxMessage.channel == "sms")
                .order_by(OutboxMessage.due_at)
            ).all()
        key = self.world.sam.worker_key
        return [open_sms(each, key).text for each in sealed if each is not None]

    def code(self, transaction: UUID) -> str:
        """The code in the newest text."""
        return code_in(self.texts(transaction)[-1])

    def wait_for_sms(self) -> None:
        """Let the phone have its time."""
        self.clock.advance(seconds=CODE_POLICY.caps.sms_delay)

    def ways(self, transaction: UUID) -> WaysOut:
        """What the page offers."""
        with self.world.sessions() as session:
            return ways_out(
                session,
                transaction=transaction,
                signer=self.id,
                now=self.clock(),
                public_keys=self.world.sam.public_keys,
            )

    def send(self, transaction: UUID) -> datetime:
        """Let the SMS be sent again."""
        with self.world.sessions() as session:
            return send_sms(
                session,
                self.world.sam.sam,
                transaction=transaction,
                signer=self.id,
                now=self.clock(),
            )

    def approve(
        self,
        transaction: UUID,
        code: str | None = None,
        **members: Any,  # noqa: ANN401  # arguments of approve_by_code
    ) -> TransactionState:
        """Type password and code."""
        given: dict[str, Any] = {
            "transaction": transaction,
            "signer": self.id,
            "method": "password+sms",
            "unverified_password": PASSWORD,
            "unverified_code": self.code(transaction) if code is None else code,
            "now": self.clock(),
        }
        sam = members.pop("sam", self.world.sam.sam)
        with self.world.sessions() as session:
            return approve_by_code(session, sam, **(given | members))

    def row(self, transaction: UUID) -> Transaction:
        """The transaction's row."""
        return self.world.transaction(transaction)

    def tries_of_day(self) -> int:
        """Wrong codes of the day, as the database has them."""
        with self.world.sessions() as session:
            return session.get_one(Signer, self.id).code_tries


def open_code_world(
    sam: SamWorld,
    sessions: sessionmaker[Session],
    clock: SettableClock,
    *,
    phone: bool,
    policy: Policy = CODE_POLICY,
    certified: bool = True,
    login: str = "anna",
) -> CodeWorld:
    """A signer who may approve by SMS, with a phone or without one."""
    signer = CodeSigner(cell=make_cell(sam, policy=policy, password_hash=password_hash()))
    if phone:
        signer.cell.pair()
    not_after = None
    if certified:
        issued = signer.cell.certify() if phone else signer.certify()
        not_after = datetime.fromtimestamp(issued.not_after, UTC)
    world = world_of(sam, sessions, clock, cell=signer.cell, not_after=not_after, login=login)
    return CodeWorld(world=replace(world, settings=WITH_SMS), signer=signer)
