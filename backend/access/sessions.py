"""A browser's session: it belongs to one authorisation, and shows nothing else.

1. The cookie is 256 random bits; only its SHA-256 is kept. ``__Host-``: no other host sets it;
   ``SameSite=Lax``: no other site posts with it. Signing in gives another one (ASVS 7.2.4).
2. It ends five minutes after it was last seen, with what it is for, and a quarter of an hour after
   it began, unless the signer has longer to answer.
3. Each form carries a token that follows from the cookie (docs/decisions/0018-browser-sessions.md);
   a page of another site, which cannot read the cookie, cannot make it.
"""

import hmac
import secrets
from datetime import datetime, timedelta
from hashlib import sha256 as plain_sha256
from typing import TYPE_CHECKING, Final, final
from uuid import UUID

import msgspec
from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from backend.errors import SessionOver
from backend.model.tables import Authorization, BrowserSession, KnownBrowser
from backend.protocol.encoding import b64u, sha256

if TYPE_CHECKING:  # the worker comes by here, and has no web framework to load
    from flask import Request, Response

LIFE: Final = timedelta(minutes=15)
IDLE: Final = timedelta(minutes=5)
SEEN_AGAIN: Final = timedelta(minutes=1)
"""So often at most it is written down that a session was seen."""
TOKEN_BYTES: Final = 32
LONGEST_COOKIE: Final = 64
_CSRF: Final = b"cellkey-csrf-v1\x00"


@final
class OpenSession(msgspec.Struct, frozen=True, kw_only=True):
    """The session in which a page is asked for."""

    authorization: UUID
    token: str
    life: timedelta = LIFE
    """How long it was opened for."""

    @property
    def csrf_token(self) -> str:
        """What the page's forms carry."""
        return b64u(plain_sha256(_CSRF + self.token.encode()).digest())


def cookie_name(authorization: UUID) -> str:
    """Each authorisation has a cookie of its own: two may go on in one browser."""
    return f"__Host-cellkey-{authorization.hex[:12]}"


def give_cookie(response: "Response", opened: OpenSession) -> None:
    """Hand a session to the browser."""
    response.set_cookie(
        cookie_name(opened.authorization),
        opened.token,
        max_age=int(opened.life.total_seconds()),
        secure=True,
        httponly=True,
        samesite="Lax",
        path="/",
    )


def take_cookie(response: "Response", authorization: UUID) -> None:
    """Have the browser forget a session."""
    response.delete_cookie(
        cookie_name(authorization), secure=True, httponly=True, samesite="Lax", path="/"
    )


def begin_session(
    session: Session, authorization: UUID, *, now: datetime, life: timedelta = LIFE
) -> OpenSession:
    """Begin a session; the one before, of the same authorisation, ends. Does not commit."""
    end_session(session, authorization)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    opened = OpenSession(authorization=authorization, token=token, life=life)
    session.execute(
        insert(BrowserSession).values(
            token_hash=_hash(opened.token),
            authorization_id=authorization,
            created_at=now,
            seen_at=now,
            expires_at=now + life,
        )
    )
    return opened


def end_session(session: Session, authorization: UUID) -> None:
    """End the session of an authorisation. Does not commit."""
    session.execute(
        delete(BrowserSession)
        .where(BrowserSession.authorization_id == authorization)
        .execution_options(synchronize_session=False)
    )


def end_sessions_of(session: Session, signer: UUID) -> None:
    """End every session of a signer. Does not commit."""
    theirs = select(Authorization.id).where(Authorization.signer_id == signer)
    session.execute(
        delete(BrowserSession)
        .where(BrowserSession.authorization_id.in_(theirs))
        .execution_options(synchronize_session=False)
    )


def find_session(
    session: Session, request: "Request", authorization: UUID, *, now: datetime
) -> OpenSession:
    """Find the session in which a browser asks for a page of an authorisation. Commits.

    Raises:
        SessionOver: there is none, or it is over.
    """
    token = request.cookies.get(cookie_name(authorization), "")
    seen_at = None
    if token and len(token) <= LONGEST_COOKIE:
        seen_at = session.scalar(
            select(BrowserSession.seen_at).where(
                BrowserSession.token_hash == _hash(token),
                BrowserSession.authorization_id == authorization,
                BrowserSession.expires_at > now,
                BrowserSession.seen_at > now - IDLE,
            )
        )
    if seen_at is not None and now - seen_at >= SEEN_AGAIN:
        session.execute(
            update(BrowserSession)
            .where(BrowserSession.token_hash == _hash(token))
            .values(seen_at=now)
            .execution_options(synchronize_session=False)
        )
    session.commit()
    if seen_at is None:
        raise SessionOver("there is no such session, or it is over")
    return OpenSession(authorization=authorization, token=token)


def forget_browsers(session: Session, now: datetime) -> int:
    """Delete the browsers that no signer is known by any more; gives their number. Commits."""
    forgotten = session.execute(
        delete(KnownBrowser)
        .where(KnownBrowser.expires_at <= now)
        .returning(KnownBrowser.signer_id)
        .execution_options(synchronize_session=False)
    ).all()
    session.commit()
    return len(forgotten)


def check_form(request: "Request", opened: OpenSession) -> None:
    """Check that a form came from a page of this session.

    Raises:
        SessionOver: it did not.
    """
    given = request.form.get("csrf_token", "").encode(errors="replace")
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    if site != "same-origin" or not hmac.compare_digest(given, opened.csrf_token.encode()):
        raise SessionOver("the form is not of this session")


def _hash(unverified_token: str) -> bytes:
    return bytes(sha256(unverified_token.encode(errors="replace")))
