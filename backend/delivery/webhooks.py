"""Tells a relying party what became of its transaction: Standard Webhooks 1.0.0.

1. The message says what happened, to which of its requests, and when; nothing of what was signed.
   The request is named by the SHA-256 of its handle: only who has the handle knows it again, and
   who reads the message can neither poll nor collect. One that came by OAuth has no handle; it is
   named by its ``state``, which stands for nothing once PKCE binds the code.
2. ``webhook-id`` and the body stay the same over all attempts; the time of the attempt is signed
   with them.
3. It goes only to an address that an operator registered and that was checked, by a session that
   reaches nothing else (T-20).
4. Any 2xx is taken. 410 ends this message; everything else is tried again, when the receiver says.
"""

import base64
import hmac
from collections.abc import Iterable
from datetime import datetime
from http import HTTPStatus
from typing import Final, final
from uuid import UUID

import msgspec

from backend.delivery.endpoints import AllowedEndpoint
from backend.delivery.guarded_session import GuardedSession
from backend.delivery.outbox import Event
from backend.delivery.retry_after import read_retry_after
from backend.errors import DeliveryFailed, WebhookUnwanted
from backend.protocol.encoding import b64u

VERSION: Final = "v1"


@final
class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What a relying party is told."""

    message_id: UUID
    event: Event
    happened_at: datetime
    handle_hash: bytes
    credential: UUID
    state: str | None
    """Of the OAuth request, as the relying party gave it; it has no handle there."""


@final
class _Data(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    handleHash: str  # noqa: N815  # as CSC writes its names
    credentialID: UUID  # noqa: N815  # CSC's
    state: str | None = None


@final
class _Payload(msgspec.Struct, frozen=True, kw_only=True):
    """docs/relying-party.md, "Webhooks"."""

    type: str
    timestamp: datetime
    data: _Data


def body_of(notice: Notice) -> bytes:
    """Write the body, the same at each attempt."""
    data = _Data(
        handleHash=b64u(notice.handle_hash), credentialID=notice.credential, state=notice.state
    )
    written = _Payload(type=f"transaction.{notice.event}", timestamp=notice.happened_at, data=data)
    return msgspec.json.encode(written)


def signed_headers(
    body: bytes, *, message_id: UUID, secrets: Iterable[bytes], now: datetime
) -> dict[str, str]:
    """Sign a body with each of the secrets that count."""
    name, moment = f"msg_{message_id.hex}", str(int(now.timestamp()))
    signed = b".".join([name.encode(), moment.encode(), body])
    signatures = (base64.b64encode(hmac.digest(one, signed, "sha256")).decode() for one in secrets)
    return {
        "Content-Type": "application/json",
        "User-Agent": "Cellkey",
        "webhook-id": name,
        "webhook-timestamp": moment,
        "webhook-signature": " ".join(f"{VERSION},{signature}" for signature in signatures),
    }


async def send_webhook(
    notice: Notice,
    *,
    endpoint: AllowedEndpoint,
    secrets: Iterable[bytes],
    session: GuardedSession,
    now: datetime,
) -> None:
    """Hand one message to its receiver.

    Raises:
        WebhookUnwanted: the receiver wants it never.
        EndpointRefused: the host has an address that is not public.
        DeliveryFailed: the message was not taken now.
        NotAnswered: the receiver did not answer in time and form.
    """
    body = body_of(notice)
    headers = signed_headers(body, message_id=notice.message_id, secrets=secrets, now=now)
    answer = await session.post(endpoint, headers=headers, body=body)
    if answer.status // 100 == 2:  # noqa: PLR2004  # any success (RFC 9110, 15.3)
        return
    if answer.status == HTTPStatus.GONE:
        raise WebhookUnwanted(f"{endpoint.host} answered {answer.status}")
    raise DeliveryFailed(
        f"{endpoint.host} answered {answer.status}",
        read_retry_after(answer.unverified_retry_after, now=now),
    )
