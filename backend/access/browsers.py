"""What every answer tells browsers: keep nothing, run nothing, and only the phone app may read.

CORS admits exactly one origin, the app's (docs/phone-protocol.md, 8), with no cookies: what counts
is in the request's headers and body. ``Date`` is exposed, the phone sets its clock by it.
"""

from typing import Final

from flask import Response, request
from flask.sansio.scaffold import Scaffold

from backend.settings import Settings

_ALWAYS: Final = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_UNLESS_SAID: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""A route that serves what is public, or a page, says otherwise itself."""
_TWO_YEARS: Final = "max-age=63072000"

_PREFLIGHT: Final = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Max-Age": "7200",
}
_EXPOSED: Final = "Date, Retry-After, WWW-Authenticate, X-Request-Id"


def harden_answers(scaffold: Scaffold, *, address: str) -> None:
    """Add the security headers to each answer.

    Args:
        scaffold: the application or blueprint.
        address: its public address; ``https`` there is to stay so (RFC 6797).
    """

    @scaffold.after_request
    def harden(response: Response) -> Response:
        for name, value in _UNLESS_SAID.items():
            response.headers.setdefault(name, value)
        response.headers.update(_ALWAYS)
        if address.startswith("https:"):
            response.headers["Strict-Transport-Security"] = _TWO_YEARS
        return response


def admit_app(scaffold: Scaffold, settings: Settings) -> None:
    """Let scripts of the app's origin, and of no other, read the answers."""
    origin = settings.app_url.rstrip("/")

    @scaffold.after_request
    def admit(response: Response) -> Response:
        response.vary.add("Origin")
        if request.headers.get("Origin") == origin:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = _EXPOSED
            if request.method == "OPTIONS":
                response.headers.update(_PREFLIGHT)
        return response
