"""Who calls, by which token, and not too often."""

from flask import g, request

from backend.access.client_certificates import certificate_thumbprint
from backend.access.doorman import network_of
from backend.access.tokens import (
    CREDENTIAL,
    SCOPE,
    CallingParty,
    Possession,
    authenticate_relying_party,
    bearer_token,
)
from backend.csc.uses import CscUses
from backend.errors import RequestRefused


def caller(uses: CscUses, *scopes: str) -> CallingParty:
    """Who calls.

    ``scopes`` are those that the call is for, if it is not ``service`` alone.

    Raises:
        TokenMissing: it brought no token.
        TokenInvalid: the token is not valid, not its bearer's, or of another scope.
        TooManyRequests: it calls more often than this process lets it.
    """
    settings = uses.settings
    found = authenticate_relying_party(
        uses.session(),
        authorization=request.headers.get("Authorization"),
        now=uses.clock(),
        possession=Possession(
            method=request.method,
            address=settings.authorization_server_url.rstrip("/") + request.path,
            dpop=request.headers.get("DPoP"),
            certificate=certificate_thumbprint(request, settings),
        ),
        scopes=frozenset(scopes or (SCOPE,)),
    )
    g.client_id = found.client_id
    uses.calls.take(uses.session(), found.id, now=uses.clock())
    return found


def stranger(uses: CscUses) -> None:
    """Count a call that needs no token, for the address that it comes from.

    Raises:
        TooManyRequests: too many came from there.
    """
    uses.strangers.take(network_of(request.remote_addr), now=uses.clock())


def own_sad(party: CallingParty) -> str:
    """The token itself, where its scope is ``credential`` (CSC API 2.0, 11.10).

    Raises:
        RequestRefused: it has another.
    """
    if party.scope != CREDENTIAL:
        raise RequestRefused("Missing (or invalid type) string parameter SAD")
    return bearer_token(request.headers.get("Authorization"))
