"""Login and password as a page got them: looked at less often where too many were wrong (T-21)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from flask import Response, request

from backend.errors import Unauthenticated, WrongPassword
from backend.oauth.uses import OauthUses
from backend.signers.known_browsers import LIFE
from backend.signers.registration import plain_login
from backend.signers.sign_in import SignedIn, SignIn

BROWSER: Final = "__Host-cellkey-browser"


def remember_browser(response: Response, signed_in: SignedIn) -> None:
    """Hand the browser what it is known by: it says where tries count, and nothing else (T-21)."""
    response.set_cookie(
        BROWSER,
        signed_in.browser,
        max_age=int(LIFE.total_seconds()),
        secure=True,
        httponly=True,
        samesite="Lax",
        path="/",
    )


def typed_here(login: str, unverified_password: str) -> SignIn:
    """What this request's form says, and in which browser."""
    return SignIn(
        login=login,
        unverified_password=unverified_password,
        unverified_browser=request.cookies.get(BROWSER, ""),
    )


@contextmanager
def watched(uses: OauthUses, typed: SignIn) -> Iterator[SignIn]:
    """Check what was typed, within. For the doorman an unknown login is as wrong as a password.

    Raises:
        Unauthenticated: login or password is wrong, or nothing was checked after too many tries.
        TooManyRequests: too much was wrong from that address; nothing was looked at.
    """
    name = f"signer {plain_login(typed.login)}"  # no client id has a space
    with uses.doorman.watching(request.remote_addr, name, now=uses.clock()):
        try:
            yield typed
        except WrongPassword as error:
            raise Unauthenticated(str(error)) from error


def check_password(uses: OauthUses, *, login: str, unverified_password: str) -> SignedIn:
    """Sign in by what was typed.

    Raises:
        Unauthenticated: login or password is wrong, or nothing was checked after too many tries.
        TooManyRequests: too much was wrong from that address; nothing was looked at.
        TooManyTries: too many people sign in now.
        SignerFrozen: they are right, but the signer's access is locked.
    """
    with watched(uses, typed_here(login, unverified_password)) as typed:
        return uses.sign_in(uses.session(), typed)
