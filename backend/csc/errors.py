"""Errors as relying parties read them: CSC API 10.1, ``{"error", "error_description"}``.

The one place that maps. A missing token is 400 ``invalid_request`` as the specification's tables
have it, a token that is not valid 401 (CSC-06, CSC-07); what broke here is 503 where a repeat may
help, else 500, and says nothing of itself.
"""

import logging
from http import HTTPStatus
from typing import Final, NamedTuple

from flask import Blueprint, Response, jsonify
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from backend import errors

log = logging.getLogger(__name__)

RETRY_SECONDS: Final = "2"


class _Answer(NamedTuple):
    """Identifier and status; ``words`` where the error's own are not for outside."""

    error: str
    status: HTTPStatus
    words: str | None = None


_INVALID: Final = _Answer("invalid_request", HTTPStatus.BAD_REQUEST)
_UNAVAILABLE: Final = _Answer(
    "temporarily_unavailable", HTTPStatus.SERVICE_UNAVAILABLE, "try again in a few seconds"
)
_ANSWERS: Final[dict[type[Exception], _Answer]] = {
    errors.TokenMissing: _Answer(
        "invalid_request", HTTPStatus.BAD_REQUEST, "Malformed authorization header"
    ),
    errors.TokenInvalid: _Answer("invalid_token", HTTPStatus.UNAUTHORIZED),
    errors.RequestRefused: _INVALID,
    errors.SummaryRefused: _INVALID,
    errors.RecordRefused: _INVALID,
    errors.MalformedMessage: _INVALID,
    errors.NotFound: _INVALID._replace(words="Invalid parameter credentialID"),
    errors.HashNotAuthorized: _INVALID._replace(words="Hash is not authorized by the SAD"),
    errors.AuthorizationInvalid: _INVALID._replace(words="Invalid parameter SAD"),
    errors.NotApproved: _INVALID._replace(words="Invalid parameter SAD"),
    errors.SignerFrozen: _Answer("access_denied", HTTPStatus.BAD_REQUEST),
    errors.DoorRefused: _Answer("access_denied", HTTPStatus.BAD_REQUEST),
    errors.Overloaded: _UNAVAILABLE,
    errors.SamUnavailable: _UNAVAILABLE,
    errors.HsmUnavailable: _UNAVAILABLE,
    OperationalError: _UNAVAILABLE,
    InterfaceError: _UNAVAILABLE,
    PoolTimeout: _UNAVAILABLE,
}
_OVER: Final = {
    "expired": "Authorization request expired",
    "rejected": "The signer refused",
    "cancelled": "The request was cancelled",
    "redeemed": "SAD expired",
    "approved": "SAD expired",
    "failed": "The request failed",
}


def answer_with_csc_errors(blueprint: Blueprint) -> None:
    """Have a blueprint answer every error as CSC has it."""
    blueprint.register_error_handler(HTTPException, _http)
    blueprint.register_error_handler(errors.TransactionOver, _over)
    blueprint.register_error_handler(Exception, _any)


def csc_error(error: str, description: str, status: HTTPStatus) -> Response:
    """Write an error."""
    response = jsonify(error=error, error_description=description)
    response.status_code = status
    if status is HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = f'Bearer error="{error}"'
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = RETRY_SECONDS
    return response


def _http(error: HTTPException) -> Response:
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    response = csc_error("invalid_request", status.phrase, status)
    for name, value in error.get_headers():
        if name not in {"Content-Type", "Content-Length"}:
            response.headers[name] = value
    return response


def _over(error: errors.TransactionOver) -> Response:
    """Refused and expired are ``access_denied``: no other identifier fits (csc.md, A1)."""
    words = _OVER.get(error.state, str(error))
    spent = error.state in {"redeemed", "approved"}
    return csc_error("invalid_request" if spent else "access_denied", words, HTTPStatus.BAD_REQUEST)


def _any(error: Exception) -> Response:
    for kind in type(error).__mro__:
        found = _ANSWERS.get(kind)
        if found is not None:
            log.info("a relying party's call was refused", extra={"reason": str(error)})
            return csc_error(found.error, found.words or str(error), found.status)
    log.error("a relying party's call failed", exc_info=error)
    return csc_error("server_error", "the service failed", HTTPStatus.INTERNAL_SERVER_ERROR)
