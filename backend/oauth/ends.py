"""How an authorisation ends: the relying party's one answer, and the page that says what happened.

1. The answer is written before anything is shown; with it the session is over. What a page leads
   back to is good wherever it is opened.
2. After a refusal, an expiry, a freeze the signer reads what happened and goes back by a link;
   after an approval the page goes on by itself. Who called it off goes back at once.
"""

import logging
from typing import Final

from flask import Response

from backend.access.sessions import take_cookie
from backend.oauth import authorizations
from backend.oauth.answers import send_back, way_back
from backend.oauth.asking import Declined, ascii_words
from backend.oauth.authorizations import Held
from backend.oauth.uses import OauthUses
from backend.pages.look import page
from backend.web_addresses import origin

log = logging.getLogger(__name__)

FROZEN: Final = Declined(
    error="access_denied", description="the signer's access is locked", page="frozen"
)
CANCELLED: Final = Declined(error="access_denied", description="the signer called it off")
NOT_ME: Final = Declined(
    error="access_denied", description="the signer did not begin this", page="not_me_done"
)
CALLED_OFF: Final = Declined(
    error="access_denied", description=NOT_ME.description, page="not_me_cancelled"
)
_OVER: Final = {
    "rejected": "the signer refused",
    "expired": "the signer did not answer in time",
    "cancelled": "the request was called off",
    "failed": "the approval was not valid",
}


def over(state: str) -> Declined:
    """Say how the end of a transaction is told."""
    if state == FROZEN.page:
        return FROZEN
    told = state if state in _OVER else "failed"
    return Declined(error="access_denied", description=_OVER[told], page=told)


def give_code(uses: OauthUses, held: Held) -> Response:
    """The relying party gets a code, at once."""
    return _leave(send_back(_with_code(uses, held)), held)


def approved_page(uses: OauthUses, held: Held) -> Response:
    """The same, by a page that says that it was approved."""
    return _end_page(held, "approved", _with_code(uses, held))


def decline(uses: OauthUses, held: Held, declined: Declined) -> Response:
    """The relying party gets none, at once."""
    return _leave(send_back(_with_error(uses, held, declined)), held)


def declined_page(uses: OauthUses, held: Held, declined: Declined) -> Response:
    """The same, by a page that says why."""
    return _end_page(held, declined.page or declined.error, _with_error(uses, held, declined))


def _with_code(uses: OauthUses, held: Held) -> str:
    code = authorizations.give_code(uses.session(), held.id, now=uses.clock())
    return way_back(uses.settings, held.request.redirect_uri, held.request.state, {"code": code})


def _with_error(uses: OauthUses, held: Held, declined: Declined) -> str:
    authorizations.end(uses.session(), held.id, now=uses.clock())
    told = {"error": declined.error, "error_description": ascii_words(declined.description)}
    return way_back(uses.settings, held.request.redirect_uri, held.request.state, told)


def _end_page(held: Held, what: str, address: str) -> Response:
    response = page(
        "oauth/end.html",
        lang=held.request.lang,
        form_to=origin(held.request.redirect_uri),
        party=held.party.name,
        what=what,
        address=address,
    )
    return _leave(response, held)


def _leave(response: Response, held: Held) -> Response:
    take_cookie(response, held.id)
    return response
