"""Who is calling, while a phone is being paired: the bearer of a pairing ticket (8.2)."""

from typing import Final

from backend.errors import Unauthenticated

SCHEME: Final = "Bearer "
LONGEST_TICKET: Final = 128


def ticket_of(authorization: str | None) -> str:
    """Take the ticket out of the header; whether it is good is asked where its hash is kept.

    Raises:
        Unauthenticated: there is none.
    """
    if authorization is None or not authorization.startswith(SCHEME):
        raise Unauthenticated("a pairing ticket is needed: Authorization: Bearer …")
    ticket = authorization.removeprefix(SCHEME)
    if len(ticket) > LONGEST_TICKET or not ticket.isascii():
        raise Unauthenticated("this is no pairing ticket")
    return ticket
