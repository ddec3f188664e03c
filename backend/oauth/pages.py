"""What a signer's browser sees first: the authorisation end point, and sign-in.

1. Without a known client and its registered address nobody is redirected anywhere: a page says so
   (RFC 6749, 4.1.2.1). With both, every answer goes there, with ``state`` and ``iss`` (RFC 9207).
2. A page shows what its session's authorisation is about, and nothing of the signer.
3. Each authorisation is a row that nobody has proved anything for: so many are opened for one
   address (T-39). Wrong passwords from one address are looked at less often, too (T-21).
"""

import logging
from datetime import datetime
from http import HTTPStatus
from typing import Final
from uuid import UUID

from authlib.oauth2 import OAuth2Error
from flask import Blueprint, Response, make_response, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import MethodNotAllowed

from backend.access.doorman import network_of
from backend.access.sessions import OpenSession, begin_session, check_form, give_cookie
from backend.errors import (
    RequestRefused,
    SignerFrozen,
    TooManyRequests,
    TooManyTries,
    Unauthenticated,
)
from backend.oauth import authorizations, code_pages, ends, wait_pages
from backend.oauth.answers import error_page, refused, send_back, way_back
from backend.oauth.asking import ascii_words, ask, waiting_life
from backend.oauth.authorizations import Held
from backend.oauth.passwords import check_password, remember_browser
from backend.oauth.server import PATH, Server
from backend.oauth.under_way import under_way
from backend.oauth.uses import OauthUses
from backend.pages.look import page
from backend.signers.sign_in import SignedIn
from backend.web_addresses import origin

log = logging.getLogger(__name__)

LONGEST_TYPED: Final = 1024


def create_blueprint(uses: OauthUses, server: Server) -> Blueprint:
    """Make the pages."""
    blueprint = Blueprint("pages", __name__, template_folder="templates")
    blueprint.register_error_handler(Exception, error_page)

    @blueprint.get(f"{PATH}/authorize")
    def authorize() -> ResponseReturnValue:
        if request.method != "GET":  # HEAD, by which some look at links, would use a request up
            raise MethodNotAllowed(valid_methods=["GET"])
        uses.strangers.take(network_of(request.remote_addr), now=uses.clock())
        if any(len(values) != 1 for _, values in request.args.lists()):
            return refused("invalid_request", "a parameter stands twice")
        given = request.args.to_dict()
        if "request_uri" in given:
            return _open_pushed(uses, given)
        return _open(uses, server, given)

    @blueprint.get("/sign-in/<uuid:authorization>")
    def sign_in(authorization: UUID) -> ResponseReturnValue:
        held, opened = under_way(uses, authorization)
        if held.signer is not None:
            return redirect(url_for("pages.wait", authorization=authorization))
        return _sign_in_page(held, opened)

    @blueprint.post("/sign-in/<uuid:authorization>")
    def send_password(authorization: UUID) -> ResponseReturnValue:
        held, opened = under_way(uses, authorization)
        check_form(request, opened)
        return _sign_in(uses, held, opened)

    wait_pages.add_pages(blueprint, uses)
    code_pages.add_pages(blueprint, uses)
    return blueprint


# --- the authorisation end point --------------------------------------------------


def _open_pushed(uses: OauthUses, given: dict[str, str]) -> Response:
    """RFC 9126, 4: what else the address says is passed over (CSC-41)."""
    try:
        opened = authorizations.open_pushed(
            uses.session(),
            unverified_uri=given["request_uri"],
            unverified_client_id=given.get("client_id", ""),
            now=uses.clock(),
        )
    except RequestRefused as error:
        return refused("invalid_request_uri", str(error))
    return _go_on("pages.sign_in", opened)


def _open(uses: OauthUses, server: Server, given: dict[str, str]) -> Response:
    try:
        client, asked = server.read_authorization(given)
    except OAuth2Error as error:
        log.info("an authorisation was refused", extra={"reason": error.error})
        words = ascii_words(error.get_error_description() or "")
        if error.redirect_uri is None:
            return refused(error.error, words)
        told = {"error": error.error, "error_description": words}
        return send_back(way_back(uses.settings, error.redirect_uri, given.get("state"), told))
    opened = authorizations.open_request(
        uses.session(),
        relying_party=client.registration.id,
        request=asked,
        now=uses.clock(),
    )
    return _go_on("pages.sign_in", opened)


# --- sign-in ----------------------------------------------------------------------


def _sign_in(uses: OauthUses, held: Held, opened: OpenSession) -> Response:
    login = request.form.get("login", "")[:LONGEST_TYPED]
    typed = request.form.get("password", "")[:LONGEST_TYPED]
    now = uses.clock()
    try:
        signed_in = check_password(uses, login=login, unverified_password=typed)
    except (Unauthenticated, TooManyTries, TooManyRequests) as error:
        log.info("a sign-in was refused", extra={"reason": str(error)})
        return _sign_in_page(held, opened, login=login, because=error)
    except SignerFrozen:
        return ends.declined_page(uses, held, ends.FROZEN)
    response = _ask(uses, held, signed_in, now=now)
    remember_browser(response, signed_in)
    return response


def _ask(uses: OauthUses, held: Held, signed_in: SignedIn, *, now: datetime) -> Response:
    session = uses.session()
    declined = ask(session, uses, held, signed_in, now=now)
    if declined is not None:
        return ends.declined_page(uses, held, declined)
    if held.request.wish is None:
        return ends.give_code(uses, held)
    again = begin_session(session, held.id, now=now, life=waiting_life(uses.settings))
    session.commit()
    return _go_on("pages.wait", again)


def _sign_in_page(
    held: Held, opened: OpenSession, *, login: str = "", because: Exception | None = None
) -> Response:
    """The form; after a refusal it says that login or password was wrong, or tries too many."""
    response = page(
        "oauth/sign_in.html",
        lang=held.request.lang,
        form_to=origin(held.request.redirect_uri),
        party=held.party.name,
        authorization=held.id,
        csrf_token=opened.csrf_token,
        scope=held.request.scope,
        login=login,
        wrong=because is not None,
    )
    if isinstance(because, TooManyRequests):
        response.status_code = HTTPStatus.TOO_MANY_REQUESTS
        response.headers["Retry-After"] = str(because.retry_after_seconds)
    elif because is not None:
        response.status_code = HTTPStatus.FORBIDDEN
    return response


def _go_on(endpoint: str, opened: OpenSession) -> Response:
    address = url_for(endpoint, authorization=opened.authorization)
    response = make_response("", HTTPStatus.SEE_OTHER, {"Location": address})
    give_cookie(response, opened)
    return response
