"""The first approval of a signer without a phone: the certificate request, by password and SMS.

1. Nobody has begun it in this browser, so there is no session: each step carries login and
   password, and shows the ask's text, which names the signer, only if both are right.
2. Only a code's answer is taken here; whether it may stand for a phone is the record's word.
"""

from http import HTTPStatus
from typing import Final, final
from uuid import UUID

import msgspec
from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from backend.errors import (
    CodeRefused,
    NotFound,
    TooManyTries,
    TransactionOver,
    WrongCode,
    WrongPassword,
)
from backend.oauth.account.typed import Typed, for_signer, said_page
from backend.oauth.uses import OauthUses, TypedCode
from backend.oauth.waiting import first_approval, look, text_of
from backend.pages.look import page
from backend.signers.sign_in import SignedIn

FORM: Final = "account/certificate.html"
LONGEST_CODE: Final = 64


@final
class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The request that waits, and who answers it."""

    typed: Typed
    signer: UUID
    transaction: UUID


def add_pages(blueprint: Blueprint, uses: OauthUses) -> None:
    """Add the steps; all of them are at one address."""

    @blueprint.route("/account/certificate", methods=["GET", "POST"])
    def certificate() -> ResponseReturnValue:
        return for_signer(FORM, uses, lambda *by: _asked(uses, *by))


def _asked(uses: OauthUses, typed: Typed, by: SignedIn) -> Response:
    """Take a step of the request that waits."""
    found = first_approval(uses.session(), by.signer, now=uses.clock())
    if found is None:
        return said_page("certificate_none")
    return _step(uses, _Asked(typed=typed, signer=by.signer, transaction=found))


def _step(uses: OauthUses, asked: _Asked) -> Response:
    """Send the SMS again, take the code, or show what is asked."""
    code = request.form.get("code", "")[:LONGEST_CODE]
    try:
        if request.form.get("do") == "again":
            return _send(uses, asked)
        return _approve(uses, asked, code) if code else _code_page(uses, asked)
    except (TransactionOver, NotFound):
        return said_page("certificate_none")


def _send(uses: OauthUses, asked: _Asked) -> Response:
    try:
        uses.codes.send_sms(uses.session(), asked.transaction, asked.signer)
    except (TooManyTries, CodeRefused):
        return _code_page(uses, asked, said="sms_not_sent")
    return _code_page(uses, asked, said="sms_sent")


def _approve(uses: OauthUses, asked: _Asked, code: str) -> Response:
    typed = TypedCode(
        transaction=asked.transaction,
        signer=asked.signer,
        method="password+sms",
        unverified_password=asked.typed.unverified_password,
        unverified_code=code,
    )
    try:
        uses.codes.approve(uses.session(), typed)
    except (WrongCode, WrongPassword):
        return _code_page(uses, asked, wrong="code_wrong")
    except TooManyTries:
        return _code_page(uses, asked, wrong="code_busy")
    except CodeRefused:
        return _code_page(uses, asked, wrong="code_refused")
    return said_page("certificate_done")


def _code_page(uses: OauthUses, asked: _Asked, *, said: str = "", wrong: str = "") -> Response:
    ways = uses.codes.ways_out(uses.session(), asked.transaction, asked.signer)
    if ways.sms.why_not in {"not_allowed", "frozen", "over"}:
        return said_page("certificate_none")
    found = look(uses.session(), asked.transaction, now=uses.clock())
    return page(
        "account/certificate_code.html",
        status=HTTPStatus.FORBIDDEN if wrong else HTTPStatus.OK,
        login=asked.typed.login,
        text=text_of(found, ks=uses.public_keys.ks),
        operation=ways.operation,
        tries=ways.tries_left,
        way=ways.sms,
        said=said,
        wrong=wrong,
    )
