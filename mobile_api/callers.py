"""Who is calling: a paired phone by its request proof, a new one by its ticket."""

from typing import Final

from flask import request

from backend.access.phones import AuthenticatedPhone, ProvenCall, prove_phone, use_up
from backend.access.tickets import ticket_of
from backend.wiring import db
from mobile_api.services import services

Security = tuple[dict[str, tuple[()]], ...]

PROOF: Final[Security] = ({"proof": ()},)
TICKET: Final[Security] = ({"ticket": ()},)
"""For ``doc(security=…)``: what OpenAPI says of the two."""


def calling_phone() -> AuthenticatedPhone:
    """The phone that made this very request.

    The proof is used up in the transaction of what the phone asks for.

    Raises:
        Unauthenticated: no proof, a false one, or one of a phone that is not paired any more.
        ProofReplayed: the proof came before.
    """
    call = proven_call()
    use_up(db.session(), call.proof)
    return call.phone


def reading_phone() -> AuthenticatedPhone:
    """The phone that made this very request, which only reads.

    Raises:
        Unauthenticated: no proof, a false one, or one of a phone that is not paired any more.
        ProofReplayed: the proof came before.
    """
    call = proven_call()
    services().sightings.use_up(call.proof)
    return call.phone


def proven_call() -> ProvenCall:
    """The phone that made this very request, and its proof, which what it asks for uses up.

    Raises:
        Unauthenticated: no proof, a false one, or one of a phone that is not paired any more.
        ProofReplayed: the proof came before.
    """
    here = services()
    return prove_phone(
        db.session(),
        authorization=request.headers.get("Authorization"),
        method=request.method,
        address=here.settings.mobile_api_url.rstrip("/") + request.path,
        body=request.get_data(),
        public_keys=here.public_keys,
        now=here.clock(),
    )


def callers_ticket() -> str:
    """The pairing ticket that came with this request.

    Raises:
        Unauthenticated: none did.
    """
    return ticket_of(request.headers.get("Authorization"))
