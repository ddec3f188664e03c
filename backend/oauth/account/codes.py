"""Codes that may stand for the phone: SMS, or an authenticator app, as the paired phone allows.

1. Login and password begin it, a first code shows that the app has the seed, and the phone decides:
   until its approval nothing has changed (``backend/signing/amendment.py``).
2. The seed is on one page, once. Who reloads it begins anew, with another seed.
3. Whether login or password, code or password was wrong is not told apart.
4. To take a method back needs login and password alone (``backend/credentials/tightening.py``).
"""

from datetime import timedelta
from http import HTTPStatus
from typing import Final
from uuid import UUID

import segno
from flask import Blueprint, Response, jsonify, request, url_for
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from backend.errors import (
    AmendmentRefused,
    MalformedMessage,
    NotFound,
    SessionOver,
    TransactionOver,
    Unauthenticated,
    WrongCode,
    WrongPassword,
)
from backend.oauth.account.begun import Begun, give, read, seconds_left, take, wait_page
from backend.oauth.account.typed import Typed, for_signer, said_page
from backend.oauth.answers import send_back
from backend.oauth.uses import OauthUses, TypedAmendment
from backend.pages.look import page
from backend.protocol.approval import CodeMethod, SeedMethod
from backend.protocol.encoding import read_id
from backend.signers.sign_in import SignedIn
from backend.signing.amendment import AskedAmendment
from backend.web_addresses import wait_address

COOKIE: Final = "__Host-cellkey-codes"
FORM: Final = "account/codes.html"
LONGEST_CODE: Final = 64
KEPT: Final = timedelta(minutes=10)
SEEDS: Final[dict[str, SeedMethod]] = {"totp": "password+totp", "hotp": "password+hotp"}
"""What begins with a seed."""
ASKS: Final[dict[str, CodeMethod]] = {"sms": "password+sms", "confirm_hotp": "password+hotp"}
"""What asks the phone, beside the first code of an app that goes by time."""
WITHOUT: Final[dict[str, CodeMethod]] = {
    "without-sms": "password+sms",
    "without-totp": "password+totp",
    "without-hotp": "password+hotp",
}


def add_pages(blueprint: Blueprint, uses: OauthUses) -> None:
    """Add the steps."""

    @blueprint.route("/account/codes", methods=["GET", "POST"])
    def codes() -> ResponseReturnValue:
        return for_signer(FORM, uses, lambda *by: _asked(uses, *by))

    @blueprint.get("/account/codes/wait")
    def codes_wait() -> ResponseReturnValue:
        return _wait(uses, read(COOKIE))

    @blueprint.get("/account/codes/state")
    def codes_state() -> ResponseReturnValue:
        begun = read(COOKIE)
        verdict = "waiting" if _is_waiting(uses, begun) else "over"
        return jsonify(
            verdict=verdict, reached=0, seconds=seconds_left(begun, uses.clock()), status=""
        )


def _asked(uses: OauthUses, typed: Typed, signed_in: SignedIn) -> Response:
    try:
        return _begin(uses, typed, signed_in)
    except (AmendmentRefused, NotFound):
        return said_page("codes_none")


def _begin(uses: OauthUses, typed: Typed, signed_in: SignedIn) -> Response:
    """Ask the phone for SMS; or make a seed; or take its first code, and ask; or take one back."""
    wanted = request.form.get("do", "")
    if wanted in SEEDS:
        return _seed_page(uses, typed, signed_in, method=SEEDS[wanted])
    if wanted in WITHOUT:
        return _withdraw(uses, signed_in, WITHOUT[wanted])
    method = ASKS.get(wanted, "password+totp")
    try:
        asked = _ask(uses, typed, signed_in, method=method)
    except WrongPassword as error:
        raise Unauthenticated(str(error)) from error
    except WrongCode as error:
        return _code_page(typed, tries=error.tries_left, method=method)
    begun = Begun(
        id=asked.transaction,
        secret=str(signed_in.signer),
        number=asked.number,
        expires_at=asked.expires_at,
    )
    response = send_back(url_for("account.codes_wait"))
    give(response, COOKIE, begun, after=KEPT)
    return response


def _ask(
    uses: OauthUses, typed: Typed, signed_in: SignedIn, *, method: CodeMethod
) -> AskedAmendment:
    code = request.form.get("code", "")[:LONGEST_CODE]
    wish = TypedAmendment(
        signer=signed_in.signer,
        method=method,
        unverified_password=typed.unverified_password,
        unverified_code=None if method == "password+sms" else code,
    )
    return uses.amending.ask(uses.session(), wish)


def _withdraw(uses: OauthUses, signed_in: SignedIn, method: CodeMethod) -> Response:
    """What was not allowed is not allowed afterwards either: the same answer."""
    try:
        uses.amending.withdraw(uses.session(), signed_in.signer, method)
    except NotFound:
        return said_page("codes_only")
    return said_page("codes_without")


def _seed_page(
    uses: OauthUses, typed: Typed, signed_in: SignedIn, *, method: SeedMethod
) -> Response:
    made = uses.amending.begin(uses.session(), signed_in.signer, method)
    drawn = segno.make(made.uri, error="m", micro=False)
    # Attributes alone, no style: the page's policy would drop it.
    picture = drawn.svg_inline(omitsize=True, border=4, svgclass="qr", lineclass=None)
    return page(
        "account/authenticator.html",
        login=typed.login,
        picture=Markup(picture),  # noqa: S704  # made of modules, no text is in it
        uri=made.uri,
        seed=" ".join(made.seed[at : at + 4] for at in range(0, len(made.seed), 4)),
        tries=None,
        counts=method == "password+hotp",
    )


def _code_page(typed: Typed, *, tries: int, method: CodeMethod) -> Response:
    """The form again, without the seed; after the last try only the beginning is left."""
    if not tries:
        return said_page("codes_used_up")
    return page(
        "account/authenticator.html",
        status=HTTPStatus.FORBIDDEN,
        login=typed.login,
        picture=None,
        tries=tries,
        counts=method == "password+hotp",
    )


def _wait(uses: OauthUses, begun: Begun) -> Response:
    try:
        amending = uses.amending.amended(uses.session(), begun.id, _signer(begun))
    except (NotFound, TransactionOver):
        return take(said_page("codes_over"), COOKIE)
    if amending.done:
        return take(said_page("codes_done"), COOKIE)
    wait_at = wait_address(uses.settings.wait_url, amending.wait_id)
    return wait_page(begun, what="codes", wait_at=wait_at, settings=uses.settings, now=uses.clock())


def _is_waiting(uses: OauthUses, begun: Begun) -> bool:
    try:
        return not uses.amending.amended(uses.session(), begun.id, _signer(begun)).done
    except (NotFound, TransactionOver):
        return False


def _signer(begun: Begun) -> UUID:
    try:
        return read_id(begun.secret)
    except MalformedMessage as error:
        raise SessionOver("nothing was begun in this browser") from error
