"""Login and password as a form of the signer's own pages brings them, and what is said if wrong."""

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, final

import msgspec
from flask import Response, request

from backend.errors import (
    PasswordUnfit,
    SignerFrozen,
    TooManyRequests,
    TooManyTries,
    Unauthenticated,
)
from backend.oauth.passwords import remember_browser, typed_here, watched
from backend.oauth.uses import OauthUses
from backend.pages.look import page
from backend.signers.sign_in import SignedIn, SignIn

log = logging.getLogger(__name__)

LONGEST_TYPED: Final = 1024
_KINDS: Final = {
    "locked": "bad",
    "changed": "good",
    "certificate_done": "good",
    "codes_done": "good",
    "codes_without": "good",
}


@final
class Typed(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing of it is trusted."""

    login: str
    unverified_password: str
    new_password: str

    def sign_in(self) -> SignIn:
        """Login and password, and where they were typed."""
        return typed_here(self.login, self.unverified_password)


def read_form() -> Typed:
    """Read the form; what is missing is empty."""
    return Typed(
        login=_field("login"),
        unverified_password=_field("password"),
        new_password=_field("new_password"),
    )


def filled(form: str, do: Callable[[Typed], Response]) -> Response:
    """Show a form, or do what it is for and say what was done."""
    if request.method != "POST":
        return form_page(form)
    typed = read_form()
    try:
        return do(typed)
    except PasswordUnfit as error:
        return unfit_page(form, error, typed=typed)
    except SignerFrozen:
        return said_page("locked")
    except (Unauthenticated, TooManyTries, TooManyRequests) as error:
        return wrong_page(form, error, typed=typed)


def for_signer(
    form: str, uses: OauthUses, go_on: Callable[[Typed, SignedIn], Response]
) -> Response:
    """Show a form; or sign in by what was typed in it, and go on."""

    def by(typed: Typed) -> Response:
        with watched(uses, typed.sign_in()) as sign_in:
            signer = uses.sign_in(uses.session(), sign_in)
        response = go_on(typed, signer)
        remember_browser(response, signer)
        return response

    return filled(form, by)


def form_page(template: str) -> Response:
    """Show a form."""
    return page(template, login="", wrong=False, unfit="")


def unfit_page(template: str, error: PasswordUnfit, *, typed: Typed) -> Response:
    """Show it again: the new password is not fit. No password stays in it."""
    status = HTTPStatus.BAD_REQUEST
    return page(template, login=typed.login, wrong=False, unfit=error.rule, status=status)


def wrong_page(template: str, error: Exception, *, typed: Typed) -> Response:
    """Show it again: login or password is wrong, or there were too many tries."""
    log.info("a form was refused", extra={"reason": str(error)})
    status = HTTPStatus.FORBIDDEN
    response = page(template, login=typed.login, wrong=True, unfit="", status=status)
    if isinstance(error, TooManyRequests):
        response.status_code = HTTPStatus.TOO_MANY_REQUESTS
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response


def said_page(said: str) -> Response:
    """Say what was done."""
    return page("account/said.html", said=said, kind=_KINDS.get(said, ""))


def _field(name: str) -> str:
    return request.form.get(name, "")[:LONGEST_TYPED]
