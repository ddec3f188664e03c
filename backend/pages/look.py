"""A page of ours: our own style and script, and nothing from anywhere else.

1. Everything works without scripts. The one script makes a page live, and what it does is done by
   the page itself where scripts do not run.
2. No style and no script stands in a page; both come from here (ASVS 3.4.3).
3. A page is kept nowhere and framed nowhere. Style and script may be kept: their address changes
   with their contents.
"""

from hashlib import sha256
from http import HTTPStatus
from importlib.resources import files
from typing import Any, Final

from flask import (
    Blueprint,
    Response,
    abort,
    make_response,
    render_template,
    request,
    url_for,
)
from werkzeug.datastructures import MultiDict

from backend.pages.words import (
    CHOICE,
    COOKIE,
    LANGUAGES,
    WORDS,
    Language,
    chosen_language,
    language_of,
)
from backend.settings import Settings
from backend.web_addresses import origin

_YEAR: Final = 365 * 24 * 3600
_TYPES: Final = {
    "pages.css": "text/css; charset=utf-8",
    "pages.js": "text/javascript; charset=utf-8",
    "mark.svg": "image/svg+xml",
}
_ASSETS: Final = {
    name: files("backend.pages").joinpath("assets", name).read_bytes() for name in _TYPES
}
_MARKS: Final = {name: sha256(content).hexdigest()[:12] for name, content in _ASSETS.items()}


def create_blueprint(settings: Settings) -> Blueprint:
    """Make what all pages share: layout, style, script, and the authority's name."""
    blueprint = Blueprint("look", __name__, template_folder="templates")

    @blueprint.get("/assets/<mark>/<name>")
    def asset(mark: str, name: str) -> Response:
        if _MARKS.get(name) != mark:
            abort(HTTPStatus.NOT_FOUND)
        response = Response(_ASSETS[name], content_type=_TYPES[name])
        response.headers["Cache-Control"] = f"public, max-age={_YEAR}, immutable"
        return response

    @blueprint.app_context_processor
    def shared() -> dict[str, object]:
        return {"authority": settings.ca_name, "asset": _address, "switch": _switch}

    return blueprint


def page(
    template: str,
    *,
    lang: Language | None = None,
    status: HTTPStatus = HTTPStatus.OK,
    form_to: str = "",
    wait_at: str | None = None,
    **shown: Any,  # noqa: ANN401  # a template's variables
) -> Response:
    """Answer with a page.

    Args:
        template: its name, with its folder.
        lang: of the relying party's request.
        status: of the answer.
        form_to: where else a form's redirect may lead.
        wait_at: where the script may wait for a change.
        shown: what the template shows.
    """
    spoken = language_of(request, lang)
    html = render_template(
        template, lang=spoken, words=WORDS[spoken], wait_at=wait_at or "", **shown
    )
    response = make_response(html, status)
    protect(response, form_to=form_to, calls=origin(wait_at) if wait_at else "")
    if chosen_language(request) is not None:
        response.set_cookie(
            COOKIE, spoken, max_age=_YEAR, secure=True, httponly=True, samesite="Lax", path="/"
        )
    return response


def protect(response: Response, *, form_to: str = "", calls: str = "") -> None:
    """Nothing from elsewhere; a form's redirect may lead to the relying party, and only there.

    Browsers apply ``form-action`` to the redirects that follow a form, too. The script calls us,
    and ``calls``, an origin.
    """
    targets = f"'self' {form_to}".strip()
    called = f"'self' {calls}".strip()
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        f"connect-src {called}; form-action {targets}; frame-ancestors 'none'; base-uri 'none'"
    )


def _address(name: str) -> str:
    return url_for("look.asset", mark=_MARKS[name], name=name)


def _switch(lang: Language) -> list[dict[str, str]]:
    """The other languages in which the same page is there."""
    kept = MultiDict(request.args)
    others = []
    for other in LANGUAGES:
        if other != lang:
            kept[CHOICE] = other
            asked = "&".join(f"{name}={value}" for name, value in kept.items() if value.isalnum())
            others.append({"lang": other, "name": WORDS[other]["language"], "address": f"?{asked}"})
    return others
