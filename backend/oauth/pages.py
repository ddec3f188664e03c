"""What a signer's browser sees: the authorisation end point, sign-in, the waiting page.

1. Without a known client and its registered address nobody is redirected anywhere: a page says so
   (RFC 6749, 4.1.2.1). With both, every answer goes there, with ``state`` and ``iss`` (RFC 9207).
2. A page shows what its session's authorisation is about, and nothing of the signer.
3. Each authorisation is a row that nobody has proved anything for: so many are opened for one
   address (T-39). Wrong passwords from one address are looked at less often, too (T-21).
4. No script, no style in the page; it lives on by itself (``meta refresh``).
"""

import logging
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from authlib.oauth2 import OAuth2Error
from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import MethodNotAllowed

from backend.access.doorman import network_of
from backend.access.sessions import (
    OpenSession,
    begin_session,
    check_form,
    find_session,
    give_cookie,
    take_cookie,
)
from backend.errors import (
    RequestRefused,
    SignerFrozen,
    TooManyRequests,
    TooManyTries,
    TransactionOver,
    Unauthenticated,
)
from backend.oauth import authorizations
from backend.oauth.answers import error_page, origin, protect, refused, send_back
from backend.oauth.asking import Declined, ascii_words, ask, waiting_life
from backend.oauth.authorizations import Held
from backend.oauth.passwords import check_password
from backend.oauth.request import AuthorizationRequest
from backend.oauth.server import PATH, Server
from backend.oauth.uses import OauthUses
from backend.oauth.waiting import Answer, look
from backend.oauth.words import WORDS, language_of
from backend.signing.cancellation import cancel as cancel_transaction

log = logging.getLogger(__name__)

REFRESH_SECONDS: Final = 3
LONGEST_TYPED: Final = 1024
_STEPS: Final = ("sent", "delivered", "opened")
_FROZEN: Final = Declined(error="access_denied", description="the signer's access is locked")
_CANCELLED: Final = Declined(error="access_denied", description="the signer called it off")
_OVER: Final = {
    "rejected": "the signer refused",
    "expired": "the signer did not answer in time",
    "cancelled": "the request was called off",
    "failed": "the approval was not valid",
    "frozen": _FROZEN.description,
}


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

    _add_pages(blueprint, uses)
    return blueprint


def _add_pages(blueprint: Blueprint, uses: OauthUses) -> None:
    """Add what is seen in the session of one authorisation."""

    @blueprint.get("/sign-in/<uuid:authorization>")
    def sign_in(authorization: UUID) -> ResponseReturnValue:
        held, opened = _under_way(uses, authorization)
        if held.signer is not None:
            return redirect(url_for("pages.wait", authorization=authorization))
        return _sign_in_page(held, opened)

    @blueprint.post("/sign-in/<uuid:authorization>")
    def send_password(authorization: UUID) -> ResponseReturnValue:
        held, opened = _under_way(uses, authorization)
        check_form(request, opened)
        return _sign_in(uses, held, opened)

    @blueprint.get("/wait/<uuid:authorization>")
    def wait(authorization: UUID) -> ResponseReturnValue:
        held, opened = _under_way(uses, authorization)
        if held.signer is None:
            return redirect(url_for("pages.sign_in", authorization=authorization))
        return _wait(uses, held, opened)

    @blueprint.post("/cancel/<uuid:authorization>")
    def cancel(authorization: UUID) -> ResponseReturnValue:
        held, opened = _under_way(uses, authorization)
        check_form(request, opened)
        return _cancel(uses, held)


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
        return send_back(uses.settings, error.redirect_uri, given.get("state"), told)
    opened = authorizations.open_request(
        uses.session(),
        relying_party=client.registration.id,
        request=asked,
        now=uses.clock(),
    )
    return _go_on("pages.sign_in", opened)


# --- pages ------------------------------------------------------------------------


def _sign_in(uses: OauthUses, held: Held, opened: OpenSession) -> Response:
    login = request.form.get("login", "")[:LONGEST_TYPED]
    typed = request.form.get("password", "")[:LONGEST_TYPED]
    session, now = uses.session(), uses.clock()
    try:
        signed_in = check_password(uses, login=login, unverified_password=typed)
    except (Unauthenticated, TooManyTries, TooManyRequests) as error:
        log.info("a sign-in was refused", extra={"reason": str(error)})
        return _sign_in_page(held, opened, login=login, because=error)
    except SignerFrozen:
        return _decline(uses, held, _FROZEN)
    declined = ask(session, uses, held, signed_in, now=now)
    if declined is not None:
        return _decline(uses, held, declined)
    if held.request.wish is None:
        return _give_code(uses, held)
    again = begin_session(session, held.id, now=now, life=waiting_life(uses.settings))
    session.commit()
    return _go_on("pages.wait", again)


def _wait(uses: OauthUses, held: Held, opened: OpenSession) -> Response:
    if held.transaction is None:  # being asked this moment, by another request
        return _wait_page(held, opened, None, now=uses.clock())
    found = look(uses.session(), held.transaction, now=uses.clock())
    if found.verdict == "waiting":
        return _wait_page(held, opened, found, now=uses.clock())
    if found.verdict == "approved":
        return _give_code(uses, held)
    words = _OVER.get(found.state, _OVER["failed"])
    return _decline(uses, held, Declined(error="access_denied", description=words))


def _cancel(uses: OauthUses, held: Held) -> Response:
    if held.transaction is not None:
        because = "called off on the waiting page"
        try:
            cancel_transaction(
                uses.session(), transaction=held.transaction, because=because, now=uses.clock()
            )
        except TransactionOver as over:
            log.info("called off too late", extra={"state": over.state})
    return _decline(uses, held, _CANCELLED)


def _sign_in_page(
    held: Held, opened: OpenSession, *, login: str = "", because: Exception | None = None
) -> Response:
    """The form; after a refusal it says that login or password was wrong, or tries too many."""
    response = _page(
        "sign_in",
        held,
        opened,
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


def _wait_page(held: Held, opened: OpenSession, found: Answer | None, *, now: datetime) -> Response:
    wish = held.request.wish
    reached = "" if found is None else found.reached
    steps = _STEPS[: _STEPS.index(reached) + 1] if reached else ()
    seconds = 0 if found is None else max(int((found.expires_at - now).total_seconds()), 0)
    return _page(
        "wait",
        held,
        opened,
        refresh_seconds=REFRESH_SECONDS,
        description=None if wish is None else wish.description,
        documents=0 if wish is None else len(wish.hashes),
        steps=steps,
        expires_at=None if found is None else found.expires_at,
        left=f"{seconds // 60}:{seconds % 60:02}",
        number=None if found is None else found.number,
    )


def _under_way(uses: OauthUses, authorization: UUID) -> tuple[Held, OpenSession]:
    """Find the browser's session first: without it nothing is looked up."""
    now = uses.clock()
    opened = find_session(uses.session(), request, authorization, now=now)
    return authorizations.find(uses.session(), authorization, now=now), opened


def _page(name: str, held: Held, opened: OpenSession, **shown: Any) -> Response:  # noqa: ANN401  # a template's variables
    lang = language_of(request, held.request.lang)
    html = render_template(
        f"oauth/{name}.html",
        lang=lang,
        words=WORDS[lang],
        party=held.party.name,
        authorization=held.id,
        csrf_token=opened.csrf_token,
        **shown,
    )
    response = make_response(html)
    protect(response, form_to=origin(held.request.redirect_uri))
    return response


# --- answers to the relying party -------------------------------------------------


def _give_code(uses: OauthUses, held: Held) -> Response:
    code = authorizations.give_code(uses.session(), held.id, now=uses.clock())
    return _answer(uses, held.id, held.request, {"code": code})


def _decline(uses: OauthUses, held: Held, declined: Declined) -> Response:
    authorizations.end(uses.session(), held.id, now=uses.clock())
    told = {"error": declined.error, "error_description": ascii_words(declined.description)}
    return _answer(uses, held.id, held.request, told)


def _answer(
    uses: OauthUses, authorization: UUID, asked: AuthorizationRequest, told: dict[str, str]
) -> Response:
    response = send_back(uses.settings, asked.redirect_uri, asked.state, told)
    take_cookie(response, authorization)
    return response


def _go_on(endpoint: str, opened: OpenSession) -> Response:
    address = url_for(endpoint, authorization=opened.authorization)
    response = make_response("", HTTPStatus.SEE_OTHER, {"Location": address})
    give_cookie(response, opened)
    return response
