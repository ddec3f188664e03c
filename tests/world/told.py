"""A relying party with a webhook, and the worker that tells it."""

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.delivery.dispatch import Channels
from backend.delivery.endpoints import AllowedHost, parse_webhook_pins
from backend.delivery.web_push import VapidIdentity
from backend.delivery.webhook_registration import NewSecret, register_webhook, replace_secret
from backend.delivery.worker import Worker
from backend.model.tables import OutboxMessage
from backend.protocol.jose import PublicJwk
from tests.world.clock import SettableClock
from tests.world.webhook_receiver import WebhookReceiver
from tests.world.worker import KEY, Gateway, make_worker

Sessions = sessionmaker[Session]


def channels_to(receiver: WebhookReceiver, identity: VapidIdentity) -> Channels:
    """What a worker sends with that reaches the receiver and nobody else."""
    return Channels(
        allowed_hosts=(),
        identity=identity,
        app_url="",
        sms_key=KEY,
        sms_gateway=Gateway(),
        webhook_pins=parse_webhook_pins([receiver.pin]),
    )


class Told:
    """One relying party's webhook, a commit for each step."""

    def __init__(
        self, sessions: Sessions, clock: SettableClock, *, client_id: str, channels: Channels
    ) -> None:
        self.sessions = sessions
        self.clock = clock
        self.client_id = client_id
        self.channels = channels

    def register(self, url: str, *, pinned: tuple[AllowedHost, ...] | None = None) -> NewSecret:
        with self.sessions() as session:
            return register_webhook(
                session,
                client_id=self.client_id,
                unverified_url=url,
                pinned=self.channels.webhook_pins if pinned is None else pinned,
                recipient=PublicJwk.of(KEY.public_key()),
            )

    def replace_secret(self) -> NewSecret:
        with self.sessions() as session:
            return replace_secret(
                session,
                client_id=self.client_id,
                recipient=PublicJwk.of(KEY.public_key()),
                now=self.clock(),
            )

    def worker(self) -> Worker:
        return make_worker(self.sessions, self.channels, self.clock)

    def send(self) -> int:
        """Send what is due; gives the number of messages that were taken up."""
        return self.worker().run_once()

    def rows(self) -> list[OutboxMessage]:
        """Webhooks' messages, in the order in which they are due."""
        with self.sessions() as session:
            found = select(OutboxMessage).where(OutboxMessage.channel == "webhook")
            return list(session.scalars(found.order_by(OutboxMessage.due_at)))

    def row(self) -> OutboxMessage:
        (row,) = self.rows()
        return row
