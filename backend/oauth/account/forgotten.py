"""A forgotten password: the phone approves, and the browser that asked sets the new one.

1. For every login the pages are the same, at each step and for as long (T-17): a number to type on
   the phone, and the time that is left. How far the message has come is not shown, and there is
   nothing to wait by: that something changed would say that the login has a phone.
2. What the browser goes on by is a cookie of this host, with the secret that it got at the
   beginning; nobody else can set the password, whatever the phone approved (T-31).
3. So many are begun for one address: each is a row, and may wake a phone (T-01, T-39).
"""

from http import HTTPStatus
from typing import Final

from flask import Blueprint, Response, jsonify, request, url_for
from flask.typing import ResponseReturnValue

from backend.access.doorman import network_of
from backend.access.sessions import check_form
from backend.devices.forgotten import TYPE_WITHIN
from backend.errors import (
    NotApproved,
    NotFound,
    PasswordUnfit,
    SignerFrozen,
    TooManyTries,
    TransactionOver,
)
from backend.oauth.account.begun import Begun, give, read, seconds_left, take, wait_page
from backend.oauth.account.typed import read_form, said_page
from backend.oauth.answers import message_page, send_back
from backend.oauth.uses import OauthUses
from backend.pages.look import page

COOKIE: Final = "__Host-cellkey-forgotten"


def add_pages(blueprint: Blueprint, uses: OauthUses) -> None:
    """Add the steps."""

    @blueprint.route("/account/forgotten-password", methods=["GET", "POST"])
    def forgotten() -> ResponseReturnValue:
        if request.method != "POST":
            return page("account/forgotten.html")
        uses.strangers.take(network_of(request.remote_addr), now=uses.clock())
        return _begin(uses, read_form().login)

    @blueprint.get("/account/forgotten-password/wait")
    def forgotten_wait() -> ResponseReturnValue:
        return _wait(uses, read(COOKIE))

    @blueprint.get("/account/forgotten-password/state")
    def forgotten_state() -> ResponseReturnValue:
        begun = read(COOKIE)
        verdict = uses.forgotten.look(uses.session(), begun.id, begun.secret)
        return jsonify(
            verdict=verdict, reached=0, seconds=seconds_left(begun, uses.clock()), status=""
        )

    @blueprint.route("/account/forgotten-password/new", methods=["GET", "POST"])
    def forgotten_new() -> ResponseReturnValue:
        begun = read(COOKIE)
        if request.method != "POST":
            return _new_page(begun)
        check_form(request, begun.session)
        return _set(uses, begun)


def _begin(uses: OauthUses, login: str) -> Response:
    asked = uses.forgotten.ask(uses.session(), login)
    begun = Begun(
        id=asked.id, secret=asked.secret, number=asked.number, expires_at=asked.expires_at
    )
    response = send_back(url_for("account.forgotten_wait"))
    give(response, COOKIE, begun, after=TYPE_WITHIN)
    return response


def _wait(uses: OauthUses, begun: Begun) -> Response:
    verdict = uses.forgotten.look(uses.session(), begun.id, begun.secret)
    if verdict == "approved":
        return send_back(url_for("account.forgotten_new"))
    if verdict == "over":
        return _over()
    return wait_page(begun, what="forgotten", settings=uses.settings, now=uses.clock())


def _set(uses: OauthUses, begun: Begun) -> Response:
    typed = read_form().new_password
    try:
        uses.forgotten.set(uses.session(), begun.id, begun.secret, typed)
    except PasswordUnfit as error:
        return _new_page(begun, unfit=error.rule)
    except TooManyTries:
        return message_page("unavailable", HTTPStatus.SERVICE_UNAVAILABLE)
    except NotApproved:
        return send_back(url_for("account.forgotten_wait"))
    except SignerFrozen:
        return take(said_page("locked"), COOKIE)
    except (NotFound, TransactionOver):
        return _over()
    return take(said_page("changed"), COOKIE)


def _new_page(begun: Begun, *, unfit: str = "") -> Response:
    return page(
        "account/forgotten_new.html",
        status=HTTPStatus.BAD_REQUEST if unfit else HTTPStatus.OK,
        csrf_token=begun.session.csrf_token,
        unfit=unfit,
    )


def _over() -> Response:
    return take(said_page("forgotten_over"), COOKIE)
