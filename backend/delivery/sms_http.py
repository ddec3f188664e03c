"""SMS gateways that speak HTTP: Kannel's ``sendsms``, and a signed JSON of ours.

1. Each is reached by a guarded session: one origin, no redirect, bounded in time and size.
2. A gateway reports at an address that we give with each part; its last segment is a token.
3. Kannel (its user guide, "Using the HTTP interface to smsbox") gets each part by a request of its
   own, cut here, with header and alphabet said: nothing is left to its own way of cutting.
4. JSON (docs/deployment.md, "SMS"): ``POST {"id", "to", "from", "text", "expires_at",
   "report_url"}``, signed as Standard Webhooks are: HMAC-SHA256 over id, timestamp and body. Any
   2xx means that the gateway has it; the same ``id`` again is the same text.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from http import HTTPStatus
from math import ceil
from typing import Final, final
from urllib.parse import quote, urlencode
from uuid import UUID

import msgspec

from backend.delivery.endpoints import AllowedEndpoint
from backend.delivery.guarded_session import GuardedSession
from backend.delivery.retry_after import read_retry_after
from backend.delivery.segmenter import Segment
from backend.delivery.sms import OutgoingSms, Reports
from backend.delivery.webhooks import signed_headers
from backend.errors import DeliveryFailed, SmsRefused

log = logging.getLogger(__name__)

ReportAddress = Callable[[UUID, int], str]
"""Where a gateway reports on a message's part."""
Clock = Callable[[], datetime]

KANNEL_REPORTS: Final = 1 | 2 | 16
"""``dlr-mask``: delivered, failed, refused by the SMS centre."""
_REFUSED: Final = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}
_UNKNOWN: Final = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
_NOT_TAKEN: Final = {HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.NOT_IMPLEMENTED}


class _Connection:
    """A session that is made in the loop that uses it, and again after it was closed."""

    def __init__(self, endpoint: AllowedEndpoint, *, clock: Clock) -> None:
        self.endpoint = endpoint
        self.clock = clock
        self._session: GuardedSession | None = None

    async def ask(
        self,
        method: str,
        *,
        query: str = "",
        headers: Mapping[str, str],
        body: bytes | None = None,
        began: bool = False,
    ) -> None:
        """Send one request; an answer that is no success is an error.

        Args:
            method: of HTTP.
            query: of the address; with a question mark.
            headers: beside those that HTTP needs.
            body: of the request.
            began: a part of the text was taken already.
        """
        if self._session is None:
            self._session = GuardedSession(self.endpoint)
        asked = msgspec.structs.replace(self.endpoint, url=self.endpoint.url + query)
        try:
            answer = await self._session.request(method, asked, headers=headers, body=body)
            check_status(answer.status, answer.unverified_retry_after, now=self.clock())
        except DeliveryFailed as error:
            error.perhaps_taken |= began
            raise

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()


@final
class KannelGateway:
    """``GET …/sendsms`` for each part."""

    reports = Reports.PARTS

    def __init__(  # who, where, and to whom to report
        self,
        endpoint: AllowedEndpoint,
        *,
        user: str,
        password: str,
        sender: str,
        report_address: ReportAddress,
        clock: Clock,
    ) -> None:
        """Reach it at ``endpoint``; nothing is connected yet."""
        self._connection = _Connection(endpoint, clock=clock)
        self._who = {"username": user, "password": password, "from": sender}
        self._report_address = report_address

    async def open(self) -> None:
        """Nothing is kept open: it reports by itself."""

    async def send(self, sms: OutgoingSms) -> tuple[str, ...]:
        """Send part after part."""
        for number, part in enumerate(sms.parts, 1):
            query = "?" + urlencode(self._asked(sms, part, number), quote_via=quote, safe="")
            await self._connection.ask("GET", query=query, headers={}, began=number > 1)
        return ()

    async def close(self) -> None:
        """Close every connection."""
        await self._connection.close()

    def _asked(self, sms: OutgoingSms, part: Segment, number: int) -> dict[str, str | bytes]:
        left = (sms.expires_at - self._connection.clock()).total_seconds()
        header: dict[str, str | bytes] = {"udh": part.header} if part.header else {}
        return {
            **self._who,
            "to": sms.number,
            "text": part.text,
            "charset": "UTF-8",
            "coding": "0" if not part.alphabet else "2",
            **header,
            # In minutes; it knows nothing shorter.
            "validity": str(max(1, ceil(left / 60))),
            "dlr-mask": str(KANNEL_REPORTS),
            "dlr-url": self._report_address(sms.message_id, number) + "?status=%d",
        }


@final
class _Body(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    to: str
    sender: str = msgspec.field(name="from")
    text: str
    expires_at: datetime
    report_url: str


@final
class JsonGateway:
    """One signed ``POST`` for each text."""

    reports = Reports.TEXTS

    def __init__(
        self,
        endpoint: AllowedEndpoint,
        *,
        key: bytes,
        sender: str,
        report_address: ReportAddress,
        clock: Clock,
    ) -> None:
        """Reach it at ``endpoint``, and sign with ``key``; nothing is connected yet."""
        self._connection = _Connection(endpoint, clock=clock)
        self._key = key
        self._sender = sender
        self._report_address = report_address

    async def open(self) -> None:
        """Nothing is kept open: it reports by itself."""

    async def send(self, sms: OutgoingSms) -> tuple[str, ...]:
        """Send the whole text."""
        body = msgspec.json.encode(
            _Body(
                id=sms.message_id,
                to=sms.number,
                sender=self._sender,
                text=sms.text,
                expires_at=sms.expires_at,
                report_url=self._report_address(sms.message_id, 1),
            )
        )
        headers = signed_headers(
            body, message_id=sms.message_id, secrets=[self._key], now=self._connection.clock()
        )
        await self._connection.ask("POST", headers=headers, body=body)
        return ()

    async def close(self) -> None:
        """Close every connection."""
        await self._connection.close()


def check_status(status: int, unverified_retry_after: str | None, *, now: datetime) -> None:
    """Say what an answer means; what else it holds is not read.

    Raises:
        SmsRefused: this text is none that the gateway takes.
        DeliveryFailed: it was not taken now.
    """
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return
    if status in _REFUSED:
        raise SmsRefused(f"the SMS gateway refused the text: {status}")
    if status in _UNKNOWN:
        log.error(
            "the SMS gateway does not know us: no text leaves",
            extra={"event_name": "sms_gateway_refused", "status": status},
        )
    raise DeliveryFailed(
        f"the SMS gateway answered {status}",
        read_retry_after(unverified_retry_after, now=now),
        perhaps_taken=status >= HTTPStatus.INTERNAL_SERVER_ERROR and status not in _NOT_TAKEN,
    )
