"""Texts of one transaction in the outbox, and the worker that sends them by a real gateway."""

from datetime import timedelta
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.delivery.dispatch import Channels
from backend.delivery.outbox import enqueue_sms
from backend.delivery.sms import SmsGateway
from backend.delivery.sms_budgets import SmsRules
from backend.delivery.sms_reports import SmsProgress, sms_progress
from backend.delivery.web_push import vapid_identity
from backend.delivery.worker import Worker
from backend.model.tables import OutboxMessage, SmsPart
from backend.protocol.jose import PublicJwk
from backend.protocol.sms import Sms, seal_sms
from tests.world.clock import SettableClock
from tests.world.woken_phones import add_cell, add_transaction
from tests.world.worker import KEY, UNBOUNDED

NUMBER = "+79001234567"
RUSSIAN = (
    "Cellkey: «Площадка» просит подписать 30 документов — 20 счетов, 7 актов, 3 накладные "
    "на 1 250 000,00 ₽ 😀. Операция K7QW-2XPA. Никому не сообщайте код 1234 5678. "
    "Действует до 15:05 (Москва)."
)
LIFE = timedelta(minutes=5)
_IDENTITY = vapid_identity(
    ec.generate_private_key(ec.SECP256R1()), subject="mailto:admin@example.org"
)


def channels_of(gateway: SmsGateway | None, rules: SmsRules = UNBOUNDED) -> Channels:
    return Channels(
        allowed_hosts=(),
        identity=_IDENTITY,
        app_url="",
        sms_key=KEY,
        sms_gateway=gateway,
        sms_rules=rules,
    )


def sealed(text: str, number: str = NUMBER) -> str:
    return seal_sms(Sms(number=number, text=text), PublicJwk.of(KEY.public_key()))


class Texts:
    """One transaction's."""

    def __init__(self, sessions: sessionmaker[Session], clock: SettableClock) -> None:
        self.sessions = sessions
        self.clock = clock
        with sessions.begin() as session:
            cell = add_cell(session, now=clock())
            self.transaction = add_transaction(session, cell, now=clock(), life=timedelta(hours=1))

    def add(self, text: str = RUSSIAN, number: str = NUMBER) -> None:
        with self.sessions.begin() as session:
            enqueue_sms(
                session,
                transaction=self.transaction,
                sealed_sms=sealed(text, number),
                now=self.clock(),
                expires_at=self.clock() + LIFE,
            )

    def worker(self, gateway: SmsGateway | None, rules: SmsRules = UNBOUNDED) -> Worker:
        return Worker(
            sessions=self.sessions,
            channels=channels_of(gateway, rules),
            jobs=(),
            clock=self.clock,
        )

    def send(self, gateway: SmsGateway | None, rules: SmsRules = UNBOUNDED) -> None:
        """Let a worker send what is due."""
        self.worker(gateway, rules).run_once()

    def rows(self) -> list[OutboxMessage]:
        with self.sessions() as session:
            return list(session.scalars(select(OutboxMessage).order_by(OutboxMessage.due_at)))

    def row(self) -> OutboxMessage:
        (row,) = self.rows()
        return row

    def parts(self) -> list[SmsPart]:
        with self.sessions() as session:
            return list(session.scalars(select(SmsPart).order_by(SmsPart.part)))

    def progress(self) -> SmsProgress:
        with self.sessions() as session:
            progress = sms_progress(session, self.transaction)
        assert progress is not None
        return progress

    def message(self) -> UUID:
        return self.row().id
