"""How a browser is answered: sent back to the relying party, or shown that it goes no further.

1. Back to the relying party leads only an address that is registered for it, with ``state`` and
   ``iss`` (RFC 6749, 4.1.2; RFC 9207). Everything else ends in a page.
2. A page says nothing of why it goes no further, but for what the relying party's developer did.
"""

import logging
from http import HTTPStatus

from authlib.common.urls import add_params_to_uri
from flask import Response, make_response
from werkzeug.exceptions import HTTPException

from backend.access.outages import OUTAGES, RETRY_SECONDS
from backend.errors import AuthorizationInvalid, SessionOver, TooManyRequests
from backend.pages.look import page
from backend.settings import Settings

log = logging.getLogger(__name__)


def way_back(settings: Settings, redirect_uri: str, state: str | None, told: dict[str, str]) -> str:
    """The registered address, with what the relying party is told (RFC 6749, 4.1.2)."""
    issuer = settings.authorization_server_url.rstrip("/")
    members = told | ({"state": state} if state else {}) | {"iss": issuer}
    return str(add_params_to_uri(redirect_uri, list(members.items())))


def send_back(address: str) -> Response:
    """Redirect, with a GET also after a form."""
    return make_response("", HTTPStatus.SEE_OTHER, {"Location": address})


def refused(error: str, description: str) -> Response:
    """Tell that a relying party asked wrongly, where there is nowhere to send the browser back."""
    log.info("an authorisation was refused", extra={"reason": f"{error}: {description}"})
    return message_page("bad_request", HTTPStatus.BAD_REQUEST, error=error, description=description)


def message_page(
    message: str, status: HTTPStatus, *, error: str = "", description: str = ""
) -> Response:
    """Show a page of one message."""
    return page(
        "pages/message.html",
        status=status,
        message=message,
        error=error,
        description=description,
    )


def error_page(error: Exception) -> Response:
    """Say on a page that it goes no further; nothing of why, but whether to come back."""
    if isinstance(error, SessionOver | AuthorizationInvalid):
        return message_page("over", HTTPStatus.FORBIDDEN)
    if isinstance(error, HTTPException):
        return message_page("over", HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR))
    if isinstance(error, TooManyRequests):
        log.info("a browser has to wait", extra={"reason": str(error)})
        response = message_page("too_many", HTTPStatus.TOO_MANY_REQUESTS)
        response.headers["Retry-After"] = str(error.retry_after_seconds)
        return response
    if isinstance(error, OUTAGES):
        log.warning("a page has to wait", exc_info=error)
        response = message_page("unavailable", HTTPStatus.SERVICE_UNAVAILABLE)
        response.headers["Retry-After"] = str(RETRY_SECONDS)
        return response
    log.error("a page failed", exc_info=error)
    return message_page("fault", HTTPStatus.INTERNAL_SERVER_ERROR)
