"""The signer's own pages: what can be done with login and password alone.

1. There is no session and no "signed in", but for a forgotten password (``forgotten.py``): each
   form carries login and password, and does one thing. So there is nothing that another site, or
   who sits down at the browser later, could go on with.
2. Nothing is shown: no history, no phone, no certificate. That needs an approval on the phone.
3. What is wrong is said as on the sign-in page, in the same words and after the same work (T-17).
4. "I lost my phone" locks the signer's access at once, and shows nothing (R-048). What keeps others
   from it is the password, and how often one may be tried; lifting takes two people.
"""

from functools import partial
from http import HTTPStatus

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from backend.errors import SessionOver
from backend.oauth.account import certificate, codes, forgotten
from backend.oauth.account.typed import Typed, filled, said_page
from backend.oauth.answers import error_page
from backend.oauth.passwords import remember_browser, watched
from backend.oauth.uses import OauthUses
from backend.pages.look import page
from backend.signers.freeze import BY_PASSWORD, freeze


def create_blueprint(uses: OauthUses) -> Blueprint:
    """Make the pages."""
    blueprint = Blueprint("account", __name__)
    blueprint.register_error_handler(Exception, error_page)

    @blueprint.before_request
    def check_site() -> None:
        """A form of another site is not heard; it would have to know the password, too."""
        site = request.headers.get("Sec-Fetch-Site", "same-origin")
        if request.method == "POST" and site != "same-origin":
            raise SessionOver("the form is of another site")

    @blueprint.get("/")
    def root() -> ResponseReturnValue:
        return redirect(url_for("account.menu"), HTTPStatus.SEE_OTHER)

    @blueprint.get("/account")
    def menu() -> ResponseReturnValue:
        return page("account/menu.html")

    @blueprint.route("/account/password", methods=["GET", "POST"])
    def change() -> ResponseReturnValue:
        return filled("account/change.html", partial(_change, uses))

    @blueprint.route("/account/first-password", methods=["GET", "POST"])
    def first() -> ResponseReturnValue:
        return filled("account/first.html", partial(_change_first, uses))

    @blueprint.route("/account/lost-phone", methods=["GET", "POST"])
    def lost() -> ResponseReturnValue:
        return filled("account/lost.html", partial(_lock, uses))

    forgotten.add_pages(blueprint, uses)
    certificate.add_pages(blueprint, uses)
    codes.add_pages(blueprint, uses)
    return blueprint


def _change(uses: OauthUses, typed: Typed) -> Response:
    with watched(uses, typed.sign_in()) as sign_in:
        signed_in = uses.passwords.change(uses.session(), sign_in, typed.new_password)
    response = said_page("changed")
    remember_browser(response, signed_in)
    return response


def _change_first(uses: OauthUses, typed: Typed) -> Response:
    with watched(uses, typed.sign_in()) as sign_in:
        uses.passwords.change_first(uses.session(), sign_in, typed.new_password)
    return said_page("changed")


def _lock(uses: OauthUses, typed: Typed) -> Response:
    with watched(uses, typed.sign_in()) as sign_in:
        signer = uses.sign_in(uses.session(), sign_in).signer
    freeze(uses.session(), signer=signer, by=BY_PASSWORD, now=uses.clock())
    return said_page("locked")
