"""Who is calling: a paired phone by its request proof, a new one by its ticket."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from flask import request

from backend.access.new_phones import prove_possession
from backend.access.phones import (
    AuthenticatedPhone,
    Beside,
    ProvenCall,
    UsedProof,
    prove_phone,
    use_up,
)
from backend.access.tickets import ticket_of
from backend.protocol.encoding import b64u
from backend.protocol.jose import PublicJwk
from backend.wiring import db
from mobile_api.services import services

Security = tuple[dict[str, tuple[()]], ...]

PROOF: Final[Security] = ({"proof": ()},)
TICKET: Final[Security] = ({"ticket": ()},)
"""For ``doc(security=…)``: what OpenAPI says of the two."""
LONGEST_NAME: Final = 512
"""Of a proof's header, as far as it tells one caller from another."""


def calling_phone() -> AuthenticatedPhone:
    """The phone that made this very request.

    The proof is used up in the transaction of what the phone asks for.

    Raises:
        Unauthenticated: no proof, a false one, or one of a phone that is not paired any more.
        ProofReplayed: the proof came before.
        TooManyRequests: this phone calls too often, or too many proofs were false from there.
    """
    call = proven_call()
    use_up(db.session(), call.proof)
    return call.phone


def reading_phone() -> AuthenticatedPhone:
    """The phone that made this very request, which only reads.

    Raises:
        Unauthenticated: no proof, a false one, or one of a phone that is not paired any more.
        ProofReplayed: the proof came before.
        TooManyRequests: this phone calls too often, or too many proofs were false from there.
    """
    return reading_call().phone


def reading_call(beside: Beside | None = None) -> ProvenCall:
    """The same, and what was read beside the phone.

    Raises:
        Unauthenticated: no proof, a false one, or one of a phone that is not paired any more.
        ProofReplayed: the proof came before.
    """
    call = proven_call(beside)
    services().sightings.use_up(call.proof)
    return call


def proven_call(beside: Beside | None = None) -> ProvenCall:
    """The phone that made this very request, and its proof, which what it asks for uses up.

    Raises:
        Unauthenticated: no proof, a false one, or one of a phone that is not paired any more.
        ProofReplayed: the proof came before.
    """
    here, now = services(), services().clock()
    authorization = request.headers.get("Authorization")
    # A phone's proofs begin alike: with the header that names its key.
    named = (authorization or "").partition(".")[0][:LONGEST_NAME]
    with here.doorman.watching(request.remote_addr, named, now=now):
        call = prove_phone(
            db.session(),
            authorization=authorization,
            method=request.method,
            address=here.settings.mobile_api_url.rstrip("/") + request.path,
            body=request.get_data(),
            public_keys=here.public_keys,
            now=now,
            beside=beside,
        )
    here.calls.take(call.phone.kid, now=now)
    return call


def callers_possession(unverified_key: PublicJwk) -> UsedProof:
    """The proof that this request's caller holds a key which no record names yet.

    Raises:
        Unauthenticated: no proof, or a false one.
        TooManyRequests: too many were false from there.
    """
    here, now = services(), services().clock()
    name = b64u(unverified_key.thumbprint())
    with here.doorman.watching(request.remote_addr, name, now=now):
        return prove_possession(
            authorization=request.headers.get("Authorization"),
            unverified_key=unverified_key,
            method=request.method,
            address=here.settings.mobile_api_url.rstrip("/") + request.path,
            body=request.get_data(),
            now=now,
        )


@contextmanager
def callers_ticket() -> Iterator[str]:
    """The pairing ticket that came with this request, for use cases that look whether it is good.

    Raises:
        Unauthenticated: none did.
        TooManyRequests: too many were false from there.
    """
    here = services()
    ticket = ticket_of(request.headers.get("Authorization"))
    with here.doorman.watching(request.remote_addr, ticket, now=here.clock()):
        yield ticket
