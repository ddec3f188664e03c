"""`cellkey relying-party edit`: where a relying party is told; the secret is printed once."""

from collections.abc import Callable
from functools import wraps
from typing import final

import click
import msgspec
from sqlalchemy.orm import Session

from backend.clock import utc_now
from backend.delivery.endpoints import parse_webhook_pins
from backend.delivery.webhook_registration import (
    NewSecret,
    register_webhook,
    remove_webhook,
    replace_secret,
)
from backend.delivery.worker_keys import read_worker_public_key
from backend.settings import Settings


@final
class WebhookChange(msgspec.Struct, frozen=True, kw_only=True):
    """One of three; ``url``: tell it there, ``removed``: tell it nothing, else: another secret."""

    url: str | None = None
    removed: bool = False


@final
class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the command answers."""

    value: object
    text: str


def webhook_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that concern the webhook; the command gets ``webhook_change``."""

    @click.option("--webhook", metavar="URL", help="Tell it there what became of its requests.")
    @click.option("--no-webhook", is_flag=True, help="Tell it nothing.")
    @click.option("--webhook-secret", is_flag=True, help="Sign by another secret.")
    @wraps(command)
    def with_change(
        *, webhook: str | None, no_webhook: bool, webhook_secret: bool, **given: object
    ) -> None:
        if sum([webhook is not None, no_webhook, webhook_secret]) > 1:
            raise click.UsageError("one of --webhook, --no-webhook, --webhook-secret")
        wanted = webhook is not None or no_webhook or webhook_secret
        change = WebhookChange(url=webhook, removed=no_webhook) if wanted else None
        command(webhook_change=change, **given)

    return with_change


def change_webhook(
    session: Session, settings: Settings, *, client_id: str, change: WebhookChange
) -> Told:
    """Do it. Commits.

    Raises:
        backend.errors.NotFound: there is no such relying party, or it has no webhook.
        backend.errors.EndpointRefused: the address is not one that we send to.
    """
    if change.removed:
        remove_webhook(session, client_id=client_id)
        value = {"client_id": client_id, "webhook": None}
        return Told(value=value, text=f"{client_id} is told nothing.")
    if change.url is None:
        made = replace_secret(
            session,
            client_id=client_id,
            recipient=read_worker_public_key(settings),
            now=utc_now(),
        )
        return _told(made, client_id, "The secret before signs beside it for a day.")
    made = register_webhook(
        session,
        client_id=client_id,
        unverified_url=change.url,
        pinned=parse_webhook_pins(settings.webhook_pins),
        recipient=read_worker_public_key(settings),
    )
    return _told(made, client_id, "Secrets of an address before count no more.")


def _told(made: NewSecret, client_id: str, beside: str) -> Told:
    lines = [
        f"{client_id} is told at {made.url}",
        f"  webhook secret  {made.webhook_secret}",
        f"The secret is shown only now. {beside}",
    ]
    return Told(value=made, text="\n".join(lines))
