"""Approval by password and code, typed on our page, where the signer's record allows it.

1. Which ways there are is not ours to say: the waiting page offers what
   :func:`~backend.signing.approval_by_code.ways_out` finds, and names what stands in the way only
   where the signer can do something about it.
2. Whether the code or the password was wrong is not said; how many tries are left is.
3. A form stands on a page of its own, which does not refresh itself while somebody types.
4. What became of it says the waiting page, as after an answer of the phone.
"""

import logging
from http import HTTPStatus
from typing import Final, Literal, final
from uuid import UUID

import msgspec
from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue

from backend.access.sessions import OpenSession, check_form
from backend.delivery.sms_reports import sms_progress
from backend.errors import (
    AlreadyThere,
    CodeRefused,
    NotFound,
    SignerFrozen,
    TooManyTries,
    TransactionOver,
    WrongCode,
    WrongPassword,
)
from backend.oauth.authorizations import Held
from backend.oauth.under_way import send_to, under_way
from backend.oauth.uses import OauthUses, TypedCode
from backend.oauth.waiting import look
from backend.pages.look import page
from backend.pages.words import language_of
from backend.protocol.approval import CodeMethod
from backend.signing.approval_by_code import Way, WaysOut
from backend.summary.moments import clock_text, reader
from backend.web_addresses import origin

log = logging.getLogger(__name__)

LONGEST_TYPED: Final = 1024
By = Literal["sms", "totp", "hotp"]
METHODS: Final[dict[By, CodeMethod]] = {
    "sms": "password+sms",
    "totp": "password+totp",
    "hotp": "password+hotp",
}
SAYS: Final = frozenset({"sms_sent", "sms_not_sent"})
_ELSEWHERE: Final = (SignerFrozen, TransactionOver, NotFound)
"""What the waiting page says better."""


@final
class _Typing(msgspec.Struct, frozen=True, kw_only=True):
    """A signer at the form for a code."""

    held: Held
    opened: OpenSession
    signer: UUID
    transaction: UUID
    by: By


def add_pages(blueprint: Blueprint, uses: OauthUses) -> None:
    """Add the forms, one for each method."""

    @blueprint.get("/wait/<uuid:authorization>/code/<any(sms, totp, hotp):by>")
    def code(authorization: UUID, by: By) -> ResponseReturnValue:
        typing = _typing(uses, authorization, by)
        return typing if isinstance(typing, Response) else _form(uses, typing)

    @blueprint.post("/wait/<uuid:authorization>/code/<any(sms, totp, hotp):by>")
    def send_code(authorization: UUID, by: By) -> ResponseReturnValue:
        typing = _typing(uses, authorization, by)
        if isinstance(typing, Response):
            return typing
        check_form(request, typing.opened)
        return _approve(uses, typing)

    @blueprint.post("/wait/<uuid:authorization>/sms")
    def send_sms(authorization: UUID) -> ResponseReturnValue:
        typing = _typing(uses, authorization, "sms")
        if isinstance(typing, Response):
            return typing
        check_form(request, typing.opened)
        return _send(uses, typing)


def _typing(uses: OauthUses, authorization: UUID, by: By) -> _Typing | Response:
    """Find who types; or where else the browser belongs."""
    held, opened = under_way(uses, authorization)
    if held.signer is None or held.transaction is None:
        return send_to("pages.wait", held)
    return _Typing(
        held=held, opened=opened, signer=held.signer, transaction=held.transaction, by=by
    )


def _approve(uses: OauthUses, typing: _Typing) -> Response:
    try:
        uses.codes.approve(
            uses.session(),
            TypedCode(
                transaction=typing.transaction,
                signer=typing.signer,
                method=METHODS[typing.by],
                unverified_password=request.form.get("password", "")[:LONGEST_TYPED],
                unverified_code=request.form.get("code", "")[:LONGEST_TYPED],
            ),
        )
    except (WrongCode, WrongPassword):
        return _form(uses, typing, wrong="code_wrong")
    except TooManyTries as error:
        log.info("a code was not tried", extra={"reason": str(error)})
        return _form(uses, typing, wrong="code_busy")
    except AlreadyThere as error:
        log.info("a code was overtaken", extra={"reason": str(error)})
        return _form(uses, typing, wrong="code_overtaken")
    except CodeRefused as error:
        log.info("a code was refused", extra={"reason": str(error)})
        return _form(uses, typing, wrong="code_refused")
    except _ELSEWHERE as error:
        log.info("a code came too late", extra={"reason": str(error)})
    return send_to("pages.wait", typing.held)


def _send(uses: OauthUses, typing: _Typing) -> Response:
    try:
        uses.codes.send_sms(uses.session(), typing.transaction, typing.signer)
    except (CodeRefused, TooManyTries) as error:
        log.info("no SMS was sent", extra={"reason": str(error)})
        return send_to("pages.code", typing.held, by="sms", said="sms_not_sent")
    except _ELSEWHERE:
        return send_to("pages.wait", typing.held)
    return send_to("pages.code", typing.held, by="sms", said="sms_sent")


def _form(uses: OauthUses, typing: _Typing, *, wrong: str = "") -> Response:
    """The form; or the waiting page, where there is nothing to be typed any more."""
    held, now = typing.held, uses.clock()
    found = look(uses.session(), typing.transaction, now=now)
    if found.verdict != "waiting":
        return send_to("pages.wait", held)
    ways = uses.codes.ways_out(uses.session(), typing.transaction, typing.signer)
    way = _way(ways, typing.by)
    if not (way.open or way.may_send):
        return send_to("pages.wait", held)
    lang = language_of(request, held.request.lang)
    clock = reader(lang=lang, zone=found.zone)
    said = request.args.get("said", "")
    return page(
        "oauth/code.html",
        lang=held.request.lang,
        status=HTTPStatus.FORBIDDEN if wrong else HTTPStatus.OK,
        form_to=origin(held.request.redirect_uri),
        party=held.party.name,
        authorization=held.id,
        csrf_token=typing.opened.csrf_token,
        by=typing.by,
        way=way,
        progress=_progress(uses, typing),
        operation=ways.operation,
        tries=ways.tries_left,
        wrong=wrong,
        said=said if said in SAYS and not wrong else "",
        valid_until=None if way.valid_until is None else clock_text(way.valid_until, clock),
    )


def _progress(uses: OauthUses, typing: _Typing) -> str:
    """How far the SMS is; nothing of another way."""
    if typing.by != "sms":
        return ""
    session = uses.session()
    found = sms_progress(session, typing.transaction)
    session.commit()
    return "" if found is None else str(found.state)


def _way(ways: WaysOut, by: By) -> Way:
    return {"sms": ways.sms, "totp": ways.totp, "hotp": ways.hotp}[by]
