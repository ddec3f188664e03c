"""Errors as phones read them: RFC 9457 problem documents (docs/phone-protocol.md, 8.1).

1. A name is a fact of ``backend/errors.py``; this is the one place that maps it, for ``mobile_api``
   and for the pairing routes of the authorisation server.
2. What is refused changed nothing, so nothing of an error's state has to be told.
3. An error that is not ours tells its kind to the log, and nothing to the caller.
4. Headers of an HTTP error stay: ``Allow``, ``Retry-After``.
"""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final, NamedTuple

import msgspec
from flask import Response, request
from flask.sansio.scaffold import Scaffold
from werkzeug.exceptions import HTTPException

from backend import errors
from backend.access.outages import OUTAGES, RETRY_SECONDS

log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
URN: Final = "urn:cellkey:problem:"
LONGEST_DETAIL: Final = 500


class _Kind(NamedTuple):
    """A row of the table in section 8.1."""

    name: str
    status: int
    title: str


_MALFORMED: Final = _Kind("malformed", 422, "The message is not of the form that it must have")
_UNAUTHENTICATED: Final = _Kind("unauthenticated", 401, "Proof, ticket or password is not valid")
_REFUSED: Final = _Kind("refused", 422, "The service refused")
_UNAVAILABLE: Final = _Kind("unavailable", 503, "The service does not do its work now")
_NOT_FOUND: Final = _Kind("not-found", 404, "There is nothing of that name")

_KINDS: Final[Mapping[type[Exception], _Kind]] = {
    errors.MalformedMessage: _MALFORMED,
    errors.EndpointRefused: _MALFORMED,
    errors.Unauthenticated: _UNAUTHENTICATED,
    errors.WrongPassword: _UNAUTHENTICATED,
    errors.ProofReplayed: _Kind("replayed", 401, "This proof was seen before"),
    errors.PasswordUnfit: _Kind("password-unfit", 422, "Choose another password"),
    errors.SignerFrozen: _Kind("frozen", 403, "The signer's access is locked"),
    errors.NotFound: _NOT_FOUND,
    errors.TransactionOver: _Kind("over", 409, "The request is not pending any more"),
    errors.PairingOver: _Kind("pairing-over", 410, "The envelope is used, too old, or frozen"),
    errors.PairingConflict: _Kind("conflict", 409, "Something else came first"),
    errors.NotConfirmed: _Kind("not-confirmed", 409, "The pairing waits to be confirmed"),
    errors.SubscriptionGone: _Kind("subscription-gone", 410, "Subscribe anew"),
    errors.Refused: _REFUSED,
    errors.RecordRefused: _REFUSED,
    errors.KindRefused: _Kind("kind-refused", 422, "Phones of this kind are not allowed here"),
    errors.RequestRefused: _REFUSED,
    errors.SummaryRefused: _REFUSED,
    errors.CellUnopened: _REFUSED,
    errors.HourKeyMissing: _REFUSED,
    errors.WrongCode: _Kind("wrong-code", 422, "The code is wrong"),
    errors.TooManyTries: _Kind("too-many-tries", 429, "Too many attempts"),
    errors.NothingTried: _Kind("unavailable", 503, "Nothing was tried"),
    errors.TooManyRequests: _Kind("too-many-requests", 429, "Too many requests"),
    **dict.fromkeys(OUTAGES, _UNAVAILABLE),
}

_UNTOLD: Final = (errors.WrongPassword, errors.SamUnavailable, errors.HsmUnavailable)
"""Their words are for the log: they name what was wrong, or sockets and tokens."""


def answer_with_problems(scaffold: Scaffold, *, challenges: Mapping[str, str]) -> None:
    """Have an application or blueprint answer every error with a problem document.

    Args:
        scaffold: the application or blueprint.
        challenges: by the beginning of a path, what ``WWW-Authenticate`` says there (RFC 9110,
            11.6.1); the longest that fits counts.
    """

    def of_http_error(error: HTTPException) -> Response:
        return _of_http_error(error)

    def of_error(error: Exception) -> Response:
        response = problem_of(error)
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            response.headers["WWW-Authenticate"] = _challenge(challenges)
        return response

    scaffold.register_error_handler(HTTPException, of_http_error)
    scaffold.register_error_handler(Exception, of_error)


def problem_of(error: Exception) -> Response:
    """Write an error as a problem document; what we do not know is a fault of ours."""
    kind = next((_KINDS[cause] for cause in type(error).__mro__ if cause in _KINDS), None)
    if kind is None:
        log.error("a request failed", exc_info=error)
        return _fault()
    if kind is _UNAVAILABLE:
        log.warning("not available", exc_info=error)
    response = _document(kind, detail=_detail(error, kind), **_members(error))
    seconds = _retry_after_seconds(error, kind)
    if seconds is not None:
        response.headers["Retry-After"] = str(seconds)
    return response


def _of_http_error(error: HTTPException) -> Response:
    """Write an error of HTTP itself: no such address, too long, not JSON."""
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _fault()
    kind = _NOT_FOUND if status == HTTPStatus.NOT_FOUND else _MALFORMED
    response = _document(kind._replace(status=status), detail=HTTPStatus(status).phrase)
    body_headers = {"content-type", "content-length"}
    for name, value in error.get_headers(request.environ):
        if name.lower() not in body_headers:
            response.headers[name] = value
    return response


def _detail(error: Exception, kind: _Kind) -> str:
    """Repeat our own words; but neither what was wrong with a sign-in (T-17), nor what is down."""
    is_ours = isinstance(error, errors.CellkeyError)
    return str(error) if is_ours and not isinstance(error, _UNTOLD) else kind.title


def _members(error: Exception) -> dict[str, str | int]:
    if isinstance(error, errors.TransactionOver):
        return {"state": str(error.state)}
    if isinstance(error, errors.WrongCode):
        return {"tries_left": error.tries_left}
    return {}


def _retry_after_seconds(error: Exception, kind: _Kind) -> int | None:
    if isinstance(error, errors.TooManyTries | errors.TooManyRequests):
        return error.retry_after_seconds
    return RETRY_SECONDS if kind is _UNAVAILABLE else None


def _document(kind: _Kind, *, detail: str, **members: str | int) -> Response:
    body = {
        "type": URN + kind.name,
        "title": kind.title,
        "status": kind.status,
        "detail": detail[:LONGEST_DETAIL],
        **members,
    }
    return Response(msgspec.json.encode(body), status=kind.status, mimetype=MEDIA_TYPE)


def _fault() -> Response:
    """Say that the fault is ours, and nothing else (RFC 9457, 4.2.1)."""
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    body = {"type": "about:blank", "title": status.phrase, "status": status}
    return Response(msgspec.json.encode(body), status=status, mimetype=MEDIA_TYPE)


def _challenge(challenges: Mapping[str, str]) -> str:
    fitting = [path for path in challenges if request.path.startswith(path)]
    return challenges[max(fitting, key=len)]
