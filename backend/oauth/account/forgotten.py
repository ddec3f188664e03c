"""A forgotten password: the phone approves, and the browser that asked sets the new one.

1. For every login the pages are the same, at each step and for as long (T-17): a number to type on
   the phone, and the time that is left. How far the message has come is not shown.
2. What the browser goes on by is a cookie of this host, with the secret that it got at the
   beginning; nobody else can set the password, whatever the phone approved (T-31).
3. So many are begun for one address: each is a row, and may wake a phone (T-01, T-39).
"""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final, final
from uuid import UUID

import msgspec
from flask import Blueprint, Response, jsonify, request, url_for
from flask.typing import ResponseReturnValue

from backend.access.doorman import network_of
from backend.access.sessions import OpenSession, check_form
from backend.devices.forgotten import TYPE_WITHIN, AskedPassword
from backend.errors import (
    MalformedMessage,
    NotApproved,
    NotFound,
    PasswordUnfit,
    SessionOver,
    SignerFrozen,
    TooManyTries,
    TransactionOver,
)
from backend.oauth.account.typed import read_form, said_page
from backend.oauth.answers import message_page, send_back
from backend.oauth.uses import OauthUses
from backend.pages.look import page
from backend.pages.words import language_of
from backend.protocol.encoding import read_id
from backend.summary.moments import clock_text, reader

COOKIE: Final = "__Host-cellkey-forgotten"
LONGEST: Final = 200
REFRESH_SECONDS: Final = 3


@final
class _Begun(msgspec.Struct, frozen=True, kw_only=True):
    """What the cookie says; only the secret counts, the rest is shown again."""

    id: UUID
    secret: str
    number: str
    expires_at: datetime

    @property
    def csrf_token(self) -> str:
        """What the form carries."""
        return self.session.csrf_token

    @property
    def session(self) -> OpenSession:
        """As forms of other pages are checked."""
        return OpenSession(authorization=self.id, token=self.secret)


def add_pages(blueprint: Blueprint, uses: OauthUses) -> None:
    """Add the steps."""

    @blueprint.route("/account/forgotten-password", methods=["GET", "POST"])
    def forgotten() -> ResponseReturnValue:
        if request.method != "POST":
            return page("account/forgotten.html")
        uses.strangers.take(network_of(request.remote_addr), now=uses.clock())
        asked = uses.forgotten.ask(uses.session(), read_form().login)
        return _begin(asked)

    @blueprint.get("/account/forgotten-password/wait")
    def wait_for_phone() -> ResponseReturnValue:
        return _wait(uses, _begun())

    @blueprint.get("/account/forgotten-password/state")
    def phone_state() -> ResponseReturnValue:
        begun = _begun()
        verdict = uses.forgotten.look(uses.session(), begun.id, begun.secret)
        seconds = _seconds(begun, uses.clock())
        return jsonify(verdict=verdict, reached=0, seconds=seconds, status="")

    @blueprint.route("/account/forgotten-password/new", methods=["GET", "POST"])
    def new_password() -> ResponseReturnValue:
        begun = _begun()
        if request.method != "POST":
            return _new_page(begun)
        check_form(request, begun.session)
        return _set(uses, begun)


def _begin(asked: AskedPassword) -> Response:
    response = send_back(url_for("account.wait_for_phone"))
    until = int(asked.expires_at.timestamp())
    response.set_cookie(
        COOKIE,
        f"{asked.id}.{asked.secret}.{asked.number}.{until}",
        expires=asked.expires_at + TYPE_WITHIN,
        secure=True,
        httponly=True,
        samesite="Lax",
        path="/",
    )
    return response


def _begun() -> _Begun:
    """Read the cookie.

    Raises:
        SessionOver: there is none.
    """
    given = request.cookies.get(COOKIE, "")
    parts = given.split(".") if len(given) <= LONGEST else []
    try:
        named, secret, number, until = parts
        return _Begun(
            id=read_id(named),
            secret=secret,
            number=number,
            expires_at=datetime.fromtimestamp(int(until), UTC),
        )
    except (MalformedMessage, ValueError, OverflowError, OSError) as error:
        raise SessionOver("nothing was begun in this browser") from error


def _wait(uses: OauthUses, begun: _Begun) -> Response:
    verdict = uses.forgotten.look(uses.session(), begun.id, begun.secret)
    if verdict == "approved":
        return send_back(url_for("account.new_password"))
    if verdict == "over":
        return _over()
    seconds = _seconds(begun, uses.clock())
    zone = reader(lang=language_of(request), zone=uses.settings.time_zone)
    return page(
        "account/forgotten_wait.html",
        refresh_seconds=REFRESH_SECONDS,
        number=begun.number,
        seconds=seconds,
        left=f"{seconds // 60}:{seconds % 60:02}",
        expires_at=begun.expires_at,
        until=clock_text(begun.expires_at, zone),
    )


def _set(uses: OauthUses, begun: _Begun) -> Response:
    typed = read_form().new_password
    try:
        uses.forgotten.set(uses.session(), begun.id, begun.secret, typed)
    except PasswordUnfit as error:
        return _new_page(begun, unfit=error.rule)
    except TooManyTries:
        return message_page("unavailable", HTTPStatus.SERVICE_UNAVAILABLE)
    except NotApproved:
        return send_back(url_for("account.wait_for_phone"))
    except SignerFrozen:
        return _forget(said_page("locked"))
    except (NotFound, TransactionOver):
        return _over()
    return _forget(said_page("changed"))


def _new_page(begun: _Begun, *, unfit: str = "") -> Response:
    return page(
        "account/forgotten_new.html",
        status=HTTPStatus.BAD_REQUEST if unfit else HTTPStatus.OK,
        csrf_token=begun.csrf_token,
        unfit=unfit,
    )


def _over() -> Response:
    return _forget(said_page("forgotten_over"))


def _forget(response: Response) -> Response:
    response.delete_cookie(COOKIE, secure=True, httponly=True, samesite="Lax", path="/")
    return response


def _seconds(begun: _Begun, now: datetime) -> int:
    return max(int((begun.expires_at - now).total_seconds()), 0)
