"""The outbox of one transaction, a commit for each step."""

from uuid import UUID, uuid4

from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from backend.delivery.claiming import NOTHING_FULL, ClaimedMessage, Full, bury, claim
from backend.delivery.outbox import enqueue_push, enqueue_sms
from backend.delivery.outcomes import Ended, NotNow, Outcome
from backend.delivery.recording import record
from backend.model.tables import OutboxMessage, Transaction, TransactionState
from tests.world.clock import SettableClock
from tests.world.woken_phones import LIFE

WORKER, OTHER_WORKER = uuid4(), uuid4()
Sessions = sessionmaker[Session]


class Outbox:
    """The outbox of one transaction, a commit for each step."""

    def __init__(
        self, sessions: Sessions, *, transaction: UUID, cell: UUID, clock: SettableClock
    ) -> None:
        self.sessions = sessions
        self.transaction = transaction
        self.cell = cell
        self.clock = clock

    def push(self) -> None:
        with self.sessions.begin() as session:
            enqueue_push(
                session,
                transaction=self.transaction,
                cell=self.cell,
                now=self.clock(),
                expires_at=self.clock() + LIFE,
            )

    def text(self, sealed_sms: str = "sealed") -> None:
        with self.sessions.begin() as session:
            enqueue_sms(
                session,
                transaction=self.transaction,
                sealed_sms=sealed_sms,
                now=self.clock(),
                expires_at=self.clock() + LIFE,
            )

    def claim(
        self, worker: UUID = WORKER, *, limit: int = 100, full: Full = NOTHING_FULL
    ) -> list[ClaimedMessage]:
        with self.sessions.begin() as session:
            return claim(
                session,
                worker=worker,
                now=self.clock(),
                limit=limit,
                lease_seconds=30,
                full=full,
            )

    def record(self, *outcomes: tuple[ClaimedMessage, Outcome]) -> None:
        ended = [Ended(message=message, outcome=outcome) for message, outcome in outcomes]
        with self.sessions.begin() as session:
            record(session, ended, now=self.clock())

    def fail(self, message: ClaimedMessage, *, retry_after_seconds: int | None = None) -> None:
        outcome = NotNow("answered 503", retry_after_seconds, answered=True)
        self.record((message, outcome))

    def bury(self) -> int:
        with self.sessions.begin() as session:
            return bury(session, now=self.clock())

    def rows(self) -> list[OutboxMessage]:
        with self.sessions() as session:
            return list(session.scalars(select(OutboxMessage)))

    def row(self) -> OutboxMessage:
        (row,) = self.rows()
        return row

    def end_transaction(self, state: TransactionState) -> None:
        with self.sessions.begin() as session:
            session.execute(update(Transaction).values(state=state.value))

    def read_transaction(self) -> Transaction:
        with self.sessions() as session:
            return session.get_one(Transaction, self.transaction)
