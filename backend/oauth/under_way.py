"""The authorisation that goes on in this browser."""

from uuid import UUID

from flask import Response, request, url_for

from backend.access.sessions import OpenSession, find_session
from backend.oauth import authorizations
from backend.oauth.answers import send_back
from backend.oauth.authorizations import Held
from backend.oauth.uses import OauthUses


def under_way(uses: OauthUses, authorization: UUID) -> tuple[Held, OpenSession]:
    """Find the browser's session first: without it nothing is looked up.

    Raises:
        SessionOver: there is none, or it is over.
        AuthorizationInvalid: the authorisation is over.
    """
    now = uses.clock()
    opened = find_session(uses.session(), request, authorization, now=now)
    return authorizations.find(uses.session(), authorization, now=now), opened


def send_to(
    endpoint: str, held: Held, *, by: str | None = None, said: str | None = None
) -> Response:
    """Have the browser open another page of the same authorisation."""
    return send_back(url_for(endpoint, authorization=held.id, by=by, said=said))
