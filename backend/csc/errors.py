"""Errors as relying parties read them: CSC API 10.1, ``{"error", "error_description"}``.

1. This is the one place that maps them. A missing token is 400 ``invalid_request`` as in the
   specification's tables, one that is not valid 401 (CSC-06, CSC-07); at ``auth/login`` it is the
   other way round, as there.
2. What the caller did wrong is said; what broke here is 503 where a repeat may help, else 500, and
   says nothing of itself.
3. Who signed "not me" is not told apart from a signer who locked everything: neither is a relying
   party's business.
4. Each refusal is a line in the log, with its reason: pyHanko, for one, shows nobody the body.
"""

import logging
from http import HTTPStatus
from typing import Final, NamedTuple

from flask import Blueprint, Response, g, jsonify
from werkzeug.exceptions import HTTPException

from backend import errors
from backend.access.outages import OUTAGES, RETRY_SECONDS

log = logging.getLogger(__name__)


class _Answer(NamedTuple):
    """Identifier and status; ``words`` where the specification has its own."""

    error: str
    words: str | None = None
    status: HTTPStatus = HTTPStatus.BAD_REQUEST


_INVALID: Final = _Answer("invalid_request")
_ANSWERS: Final[dict[type[Exception], _Answer]] = {
    errors.TokenMissing: _Answer("invalid_request", "Malformed authorization header"),
    errors.TokenInvalid: _Answer("invalid_token", status=HTTPStatus.UNAUTHORIZED),
    errors.LoginMissing: _Answer(
        "invalid_request", "Malformed authentication parameter", HTTPStatus.UNAUTHORIZED
    ),
    errors.LoginFailed: _Answer("authentication_error", "Client id or secret is wrong"),
    errors.DpopRefused: _Answer("invalid_dpop_proof", status=HTTPStatus.UNAUTHORIZED),
    errors.InsufficientScope: _Answer("insufficient_scope", status=HTTPStatus.FORBIDDEN),
    errors.RequestRefused: _INVALID,
    errors.TooManySignatures: _Answer("invalid_request", "Numbers of signatures is too high"),
    errors.CredentialDisabled: _Answer(
        "invalid_request", "The credential identified by credentialID is disabled"
    ),
    errors.SummaryRefused: _INVALID,
    errors.RecordRefused: _INVALID,
    errors.NotFound: _Answer("invalid_request", "Invalid parameter credentialID"),
    errors.HandleInvalid: _Answer("invalid_request", "Invalid parameter handle"),
    errors.AuthorizationExpired: _Answer("invalid_request", "SAD expired"),
    errors.HashNotAuthorized: _Answer("invalid_request", "Hash is not authorized by the SAD"),
    errors.AuthorizationInvalid: _Answer("invalid_request", "Invalid parameter SAD"),
    errors.NotApproved: _Answer("invalid_request", "Invalid parameter SAD"),
    errors.AuthDataRefused: _Answer(
        "invalid_authentication_data", "The authentication data is invalid"
    ),
    errors.SignerFrozen: _Answer("access_denied", "Credential locked"),
    errors.PartyStopped: _Answer("access_denied", "Credential locked"),
    errors.TooManyRequests: _Answer("too_many_requests", status=HTTPStatus.TOO_MANY_REQUESTS),
}
_OVER: Final = {
    "rejected": _Answer("access_denied", "The signer refused"),
    "expired": _Answer("access_denied", "Authorization request expired"),
    "cancelled": _Answer(
        "access_denied", "Cancelled: the signer did not answer in time, or an operator ended it"
    ),
    "failed": _Answer("access_denied", "The approval was not valid"),
    "redeemed": _Answer("invalid_request", "Invalid parameter handle"),
}
"""By state. No other identifier fits a refusal (csc.md, A1)."""
_OUTAGE: Final = _Answer(
    "temporarily_unavailable", "try again in a few seconds", HTTPStatus.SERVICE_UNAVAILABLE
)
_FAULT: Final = _Answer(
    "server_error", "the service failed", status=HTTPStatus.INTERNAL_SERVER_ERROR
)
_CHALLENGES: Final = {
    "invalid_dpop_proof": 'DPoP error="invalid_dpop_proof"',
    "invalid_request": 'Basic realm="auth/login"',
}
"""What a 401 asks for, where it is no bearer token."""
_HTTP_WORDS: Final = {
    HTTPStatus.BAD_REQUEST: "the body is not JSON",
    HTTPStatus.METHOD_NOT_ALLOWED: "CSC methods are called by POST",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "the body is too long",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "Content-Type must be application/json",
    HTTPStatus.NOT_IMPLEMENTED: "this method is not offered; info lists those that are",
}


def answer_with_csc_errors(blueprint: Blueprint) -> None:
    """Have a blueprint answer every error as CSC has it."""
    blueprint.register_error_handler(HTTPException, _http)
    blueprint.register_error_handler(Exception, _any)


def _http(error: HTTPException) -> Response:
    """Answer an error of HTTP itself; its headers stay: ``Allow``."""
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    answer = _Answer("invalid_request", _HTTP_WORDS.get(status, status.phrase), status)
    response = _refuse(answer, reason=answer.words or "")
    for name, value in error.get_headers():
        if name not in {"Content-Type", "Content-Length"}:
            response.headers[name] = value
    return response


def _any(error: Exception) -> Response:
    if isinstance(error, OUTAGES):
        log.warning("a relying party's call has to wait", exc_info=error)
        return _write(_OUTAGE, str(_OUTAGE.words))
    answer = _answer(error)
    if answer is None:
        log.error("a relying party's call failed", exc_info=error)
        return _write(_FAULT, str(_FAULT.words))
    response = _refuse(answer, reason=str(error))
    if isinstance(error, errors.TooManyRequests):
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response


def _answer(error: Exception) -> _Answer | None:
    if isinstance(error, errors.TransactionOver):
        return _OVER.get(error.state)
    return next((_ANSWERS[kind] for kind in type(error).__mro__ if kind in _ANSWERS), None)


def _refuse(answer: _Answer, *, reason: str) -> Response:
    description = answer.words or reason
    told = reason if reason == description else f"{description} ({reason})"
    extra = {"reason": told, "client_id": g.get("client_id"), "status": int(answer.status)}
    log.info("a relying party's call was refused", extra=extra)
    return _write(answer, description)


def _write(answer: _Answer, description: str) -> Response:
    response = jsonify(error=answer.error, error_description=description)
    response.status_code = answer.status
    if answer.status is HTTPStatus.UNAUTHORIZED:
        challenge = _CHALLENGES.get(answer.error, f'Bearer error="{answer.error}"')
        response.headers["WWW-Authenticate"] = challenge
    if answer.status is HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = str(RETRY_SECONDS)
    return response
