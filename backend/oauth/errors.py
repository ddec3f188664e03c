"""Errors of the OAuth endpoints that Authlib does not write: RFC 6749, 5.2, the same form."""

import logging
from http import HTTPStatus

from flask import Blueprint, Response, jsonify
from werkzeug.exceptions import HTTPException

from backend.access.outages import OUTAGES, RETRY_SECONDS
from backend.errors import DpopRefused, TooManyRequests

log = logging.getLogger(__name__)


def answer_with_oauth_errors(blueprint: Blueprint) -> None:
    """Have a blueprint answer every error as OAuth has it."""
    blueprint.register_error_handler(HTTPException, _http)
    blueprint.register_error_handler(Exception, _any)


def oauth_error(error: str, description: str, status: HTTPStatus) -> Response:
    """Write an error."""
    response = jsonify(error=error, error_description=description)
    response.status_code = status
    return response


def _http(error: HTTPException) -> Response:
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    return oauth_error("invalid_request", status.phrase, status)


def _any(error: Exception) -> Response:
    if isinstance(error, DpopRefused):
        return oauth_error("invalid_dpop_proof", str(error), HTTPStatus.BAD_REQUEST)
    if isinstance(error, TooManyRequests):
        log.info("a relying party's sign-in has to wait", extra={"reason": str(error)})
        response = oauth_error("too_many_requests", str(error), HTTPStatus.TOO_MANY_REQUESTS)
        response.headers["Retry-After"] = str(error.retry_after_seconds)
        return response
    if isinstance(error, OUTAGES):
        log.warning("no token for now", exc_info=error)
        words, status = "try again in a few seconds", HTTPStatus.SERVICE_UNAVAILABLE
        response = oauth_error("temporarily_unavailable", words, status)
        response.headers["Retry-After"] = str(RETRY_SECONDS)
        return response
    log.error("a relying party's sign-in failed", exc_info=error)
    words = "the service failed"
    return oauth_error("server_error", words, HTTPStatus.INTERNAL_SERVER_ERROR)
