"""The signer has signed in: whose credential it is, and the phone is asked.

1. A credential that is not this signer's is as unknown as one that nobody has (CSC-49).
2. The relying party hears of a refusal only by the codes of RFC 6749, 4.1.2.1.
3. One sign-in asks once, however often the form is sent.
"""

import logging
from datetime import datetime, timedelta
from typing import Final, final

import msgspec
from sqlalchemy.orm import Session

from backend.access.outages import OUTAGES
from backend.access.sessions import IDLE, LIFE
from backend.credentials.view import credential_for
from backend.errors import (
    CellkeyError,
    MalformedMessage,
    NotFound,
    PartyStopped,
    RecordRefused,
    RequestRefused,
    SignerFrozen,
    SummaryRefused,
    TooManyRequests,
)
from backend.oauth.authorizations import Held, claim, give_back, name_transaction
from backend.oauth.request import SignatureWish
from backend.oauth.uses import OauthUses
from backend.protocol.encoding import read_id
from backend.settings import Settings
from backend.signers.sign_in import SignedIn
from backend.signing.request import Requester, SignatureOrder

log = logging.getLogger(__name__)

_DENIED: Final = (NotFound, PartyStopped, SignerFrozen)
_UNFIT: Final = (RequestRefused, SummaryRefused, RecordRefused)


@final
class Declined(msgspec.Struct, frozen=True, kw_only=True):
    """The relying party gets no code."""

    error: str
    description: str
    page: str = ""
    """Which page says it to the signer; empty: the one of the error."""


def ask(
    session: Session, uses: OauthUses, held: Held, signed_in: SignedIn, *, now: datetime
) -> Declined | None:
    """Ask the signer for what the relying party wants. Commits.

    Returns:
        ``None`` where the signer is asked now, or there is nothing to be asked.

    Raises:
        CellkeyError: SAM or database do not answer; the signer signs in again.
    """
    if not claim(session, held.id, signer=signed_in.signer, now=now):
        return None
    wish = held.request.wish
    if wish is None:
        return None
    try:
        order = _order(session, uses, held, wish, signed_in, now=now)
        transaction = uses.request(session, order).id
    except _DENIED as error:
        log.info("not asked", extra={"reason": str(error), "client_id": held.party.client_id})
        return Declined(error="access_denied", description="the signer does not sign with this")
    except _UNFIT as error:
        log.info("not asked", extra={"reason": str(error), "client_id": held.party.client_id})
        return Declined(error="invalid_request", description=str(error))
    except TooManyRequests as error:
        log.info("not asked", extra={"reason": str(error), "client_id": held.party.client_id})
        return Declined(error="temporarily_unavailable", description=str(error))
    except OUTAGES:
        session.rollback()
        give_back(session, held.id)
        raise
    until = now + waiting_life(uses.settings)
    name_transaction(session, held.id, transaction=transaction, until=until)
    return None


def waiting_life(settings: Settings) -> timedelta:
    """How long a browser may wait: longer than the signer may take."""
    return max(LIFE, timedelta(seconds=settings.transaction_seconds) + IDLE)


def _order(
    session: Session,
    uses: OauthUses,
    held: Held,
    wish: SignatureWish,
    signed_in: SignedIn,
    *,
    now: datetime,
) -> SignatureOrder:
    try:
        wanted = read_id(wish.unverified_credential)
    except MalformedMessage as error:
        raise NotFound("no such credential") from error
    found = credential_for(
        session,
        credential=wanted,
        signer=signed_in.signer,
        public_keys=uses.public_keys,
        settings=uses.settings,
        now=now,
    )
    session.commit()
    if not found.usable:
        raise NotFound("the credential is disabled, or its certificate has expired")
    if len(wish.hashes) > found.multisign:
        raise RequestRefused("Numbers of signatures is too high")
    party = held.party
    return SignatureOrder(
        relying_party=Requester(
            id=party.id,
            client_id=party.client_id,
            name=party.name,
            asks_number=party.asks_number,
        ),
        credential=found.id,
        hashes=wish.hashes,
        hash_alg=wish.hash_alg,
        labels=wish.labels,
        fields=wish.transaction,
        description=wish.description,
        lang=held.request.lang,
    )


def ascii_words(error: CellkeyError | str) -> str:
    """A description as ``error_description`` may hold it (RFC 6749, 4.1.2.1)."""
    plain = str(error).encode("ascii", "replace").decode()
    shown = (letter if letter.isprintable() else " " for letter in plain)
    return "".join(shown).replace('"', "'").replace("\\", "/")
