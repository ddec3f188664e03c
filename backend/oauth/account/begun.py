"""What goes on in a browser that waits for a phone: a cookie of this host, and nothing else.

Only the secret in it counts, where there is one; number and time are there to be shown again. Who
makes a cookie of their own is shown what they wrote.
"""

from datetime import UTC, datetime, timedelta
from typing import Final, final
from uuid import UUID

import msgspec
from flask import Response, request

from backend.access.sessions import OpenSession
from backend.errors import MalformedMessage, SessionOver
from backend.pages.look import page
from backend.pages.words import language_of
from backend.protocol.encoding import read_id
from backend.settings import Settings
from backend.summary.moments import clock_text, reader

LONGEST: Final = 200
LONGEST_NUMBER: Final = 2
REFRESH_SECONDS: Final = 3


@final
class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """What was begun."""

    id: UUID
    secret: str
    number: str
    expires_at: datetime
    """Last moment to approve."""

    @property
    def session(self) -> OpenSession:
        """By which forms are checked."""
        return OpenSession(authorization=self.id, token=self.secret)


def give(response: Response, cookie: str, begun: Begun, *, after: timedelta) -> None:
    """Hand it to the browser, until some time after the last moment to approve."""
    until = int(begun.expires_at.timestamp())
    response.set_cookie(
        cookie,
        f"{begun.id}.{begun.secret}.{begun.number}.{until}",
        expires=begun.expires_at + after,
        secure=True,
        httponly=True,
        samesite="Lax",
        path="/",
    )


def take(response: Response, cookie: str) -> Response:
    """Have the browser forget it."""
    response.delete_cookie(cookie, secure=True, httponly=True, samesite="Lax", path="/")
    return response


def read(cookie: str) -> Begun:
    """Read what the browser brings.

    Raises:
        SessionOver: nothing that was begun.
    """
    given = request.cookies.get(cookie, "")
    try:
        named, secret, number, until = given[:LONGEST].split(".")
        return Begun(
            id=read_id(named),
            secret=secret,
            number=number[:LONGEST_NUMBER],
            expires_at=datetime.fromtimestamp(int(until), UTC),
        )
    except (MalformedMessage, ValueError, OverflowError, OSError) as error:
        raise SessionOver("nothing was begun in this browser") from error


def wait_page(
    begun: Begun, *, what: str, settings: Settings, now: datetime, wait_at: str | None = None
) -> Response:
    """Show the number that the phone wants, and the time that is left."""
    seconds = seconds_left(begun, now)
    zone = reader(lang=language_of(request), zone=settings.time_zone)
    return page(
        "account/phone_wait.html",
        what=what,
        wait_at=wait_at,
        refresh_seconds=REFRESH_SECONDS,
        number=begun.number,
        seconds=seconds,
        left=f"{seconds // 60}:{seconds % 60:02}",
        expires_at=begun.expires_at,
        until=clock_text(begun.expires_at, zone),
    )


def seconds_left(begun: Begun, now: datetime) -> int:
    """How long the phone may take."""
    return max(int((begun.expires_at - now).total_seconds()), 0)
