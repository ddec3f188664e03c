"""What is told and how: answers, their headers, and who may read them."""

from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from typing import Final

import msgspec
from aiohttp import web

from backend.errors import CellkeyError, MalformedMessage, Overloaded, TooManyTries
from backend.waiting.crowd import RETRY_SECONDS

PROBLEM: Final = "urn:cellkey:problem:"
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "cellkey",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Vary": "Origin",
}
_NET: Final = 64
"""Who has one address of IPv6 has so many bits of them."""


def headers_for(request: web.Request, *, origins: frozenset[str]) -> dict[str, str]:
    """Give the headers of each answer; scripts of these origins alone may read it."""
    asking = request.headers.get("Origin")
    if asking not in origins:
        return _HEADERS
    admitted = {
        "Access-Control-Allow-Origin": asking,
        "Access-Control-Expose-Headers": "Retry-After",
    }
    return _HEADERS | admitted


def address_of(request: web.Request, *, proxies: frozenset[str]) -> str:
    """Give the caller's address, or his network; a proxy of ours is believed what it names."""
    peer = request.remote or ""
    if peer in proxies:
        peer = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip() or peer
    try:
        address = ip_address(peer)
    except ValueError:
        return "unknown"
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or int(address) >> (128 - _NET))
    return str(address)


def answer(value: object, *, status: int = HTTPStatus.OK) -> web.Response:
    """Answer in JSON."""
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type="application/json"
    )


def problem_of(error: CellkeyError) -> web.Response:
    """Write an error as docs/phone-protocol.md, 8.1, has it."""
    if isinstance(error, TooManyTries):
        response = _problem("too-many-tries", HTTPStatus.TOO_MANY_REQUESTS, str(error))
        response.headers["Retry-After"] = str(error.retry_after_seconds or RETRY_SECONDS)
        return response
    if isinstance(error, Overloaded):
        response = _problem("unavailable", HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        response.headers["Retry-After"] = str(RETRY_SECONDS)
        return response
    if isinstance(error, MalformedMessage):
        return _problem("malformed", HTTPStatus.BAD_REQUEST, str(error))
    raise error


def problem_of_http(error: web.HTTPException) -> web.Response:
    """Write an error of HTTP itself: no such address, no such method."""
    name = "not-found" if error.status == HTTPStatus.NOT_FOUND else "malformed"
    response = _problem(name, HTTPStatus(error.status), error.reason)
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response


def _problem(name: str, status: HTTPStatus, detail: str) -> web.Response:
    body = {"type": PROBLEM + name, "title": status.phrase, "status": status, "detail": detail}
    return web.Response(
        body=msgspec.json.encode(body), status=status, content_type="application/problem+json"
    )
