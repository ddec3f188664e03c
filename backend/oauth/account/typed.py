"""Login and password as a form of the signer's own pages brings them, and what is said if wrong."""

import logging
from http import HTTPStatus
from typing import Final, final

import msgspec
from flask import Response, request

from backend.errors import PasswordUnfit, TooManyRequests
from backend.oauth.passwords import typed_here
from backend.pages.look import page
from backend.signers.sign_in import SignIn

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
