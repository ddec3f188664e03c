"""One authorisation's row: pushed, opened in a browser, claimed by a signer, ended by a code.

1. A pushed request is opened once, within 90 seconds, by the relying party that pushed it
   (RFC 9126, 2.2, 4). What it says was checked when it was pushed.
2. From then on it goes on in one browser's session alone.
3. It gives one code, good for a minute and once. With it the session ends.
"""

import secrets
from datetime import datetime, timedelta
from typing import Any, Final, final
from uuid import UUID, uuid4

import msgspec
from sqlalchemy import Row, insert, select, update
from sqlalchemy.orm import Session

from backend.access.sessions import LIFE, OpenSession, begin_session, end_session
from backend.access.tokens import token_hash
from backend.errors import AuthorizationInvalid, RequestRefused
from backend.model.tables import Authorization, RelyingParty
from backend.oauth.request import AuthorizationRequest
from backend.protocol.known_types import known

REQUEST_URI: Final = "urn:ietf:params:oauth:request_uri:"
PUSHED_SECONDS: Final = 90
CODE_SECONDS: Final = 60
SECRET_BYTES: Final = 32
LONGEST_REQUEST_URI: Final = 200


@final
class Party(msgspec.Struct, frozen=True, kw_only=True):
    """The relying party that asks."""

    id: UUID
    client_id: str
    name: str
    asks_number: bool


@final
class Held(msgspec.Struct, frozen=True, kw_only=True):
    """An authorisation under way."""

    id: UUID
    party: Party
    request: AuthorizationRequest
    signer: UUID | None
    transaction: UUID | None


def push(
    session: Session, *, relying_party: UUID, request: AuthorizationRequest, now: datetime
) -> str:
    """Keep a pushed request. Commits.

    Returns:
        The ``request_uri`` that stands for it.
    """
    secret = secrets.token_urlsafe(SECRET_BYTES)
    _add(
        session,
        relying_party=relying_party,
        request=request,
        request_uri_hash=token_hash(REQUEST_URI + secret),
        now=now,
        life=timedelta(seconds=PUSHED_SECONDS),
    )
    session.commit()
    return REQUEST_URI + secret


def open_pushed(
    session: Session, *, unverified_uri: str, unverified_client_id: str, now: datetime
) -> OpenSession:
    """Open a pushed request in a browser, once. Commits.

    Raises:
        RequestRefused: there is none of that name for that client, or not any more.
    """
    opened = None
    if len(unverified_uri) <= LONGEST_REQUEST_URI and unverified_client_id.isprintable():
        party = select(RelyingParty.id).where(
            RelyingParty.client_id == unverified_client_id, RelyingParty.disabled_at.is_(None)
        )
        opened = session.scalar(
            update(Authorization)
            .where(
                Authorization.request_uri_hash == token_hash(unverified_uri),
                Authorization.relying_party_id == party.scalar_subquery(),
                Authorization.expires_at > now,
            )
            .values(request_uri_hash=None, expires_at=now + LIFE)
            .returning(Authorization.id)
            .execution_options(synchronize_session=False)
        )
    if opened is None:
        session.rollback()
        raise RequestRefused("request_uri is unknown, used or too old")
    begun = begin_session(session, opened, now=now)
    session.commit()
    return begun


def open_request(
    session: Session, *, relying_party: UUID, request: AuthorizationRequest, now: datetime
) -> OpenSession:
    """Open a request that came with the browser. Commits."""
    opened = _add(
        session,
        relying_party=relying_party,
        request=request,
        request_uri_hash=None,
        now=now,
        life=LIFE,
    )
    begun = begin_session(session, opened, now=now)
    session.commit()
    return begun


def find(session: Session, authorization: UUID, *, now: datetime) -> Held:
    """Find an authorisation under way. Commits, which ends the read.

    Raises:
        AuthorizationInvalid: there is none, or not any more, or its relying party is disabled.
    """
    row = session.execute(
        select(
            Authorization.id,
            Authorization.request,
            Authorization.signer_id,
            Authorization.transaction_id,
            RelyingParty.id.label("party"),
            RelyingParty.client_id,
            RelyingParty.name,
            RelyingParty.asks_number,
        )
        .join(RelyingParty, RelyingParty.id == Authorization.relying_party_id)
        .where(
            Authorization.id == authorization,
            Authorization.code_hash.is_(None),
            Authorization.expires_at > now,
            RelyingParty.disabled_at.is_(None),
        )
    ).one_or_none()
    session.commit()
    if row is None:
        raise AuthorizationInvalid("there is no such authorisation")
    return _held(row)


def claim(session: Session, authorization: UUID, *, signer: UUID, now: datetime) -> bool:
    """Let a signer who signed in go on with it; the second of two changes nothing. Commits.

    Returns:
        Whether it was nobody's.
    """
    claimed = session.scalar(
        update(Authorization)
        .where(
            Authorization.id == authorization,
            Authorization.signer_id.is_(None),
            Authorization.expires_at > now,
        )
        .values(signer_id=signer)
        .returning(Authorization.id)
        .execution_options(synchronize_session=False)
    )
    session.commit()
    return claimed is not None


def give_back(session: Session, authorization: UUID) -> None:
    """Undo a claim where nobody could be asked: the signer signs in again. Commits."""
    session.execute(
        update(Authorization)
        .where(Authorization.id == authorization, Authorization.transaction_id.is_(None))
        .values(signer_id=None)
        .execution_options(synchronize_session=False)
    )
    session.commit()


def name_transaction(
    session: Session, authorization: UUID, *, transaction: UUID, until: datetime
) -> None:
    """Write down what the signer was asked, and until when it waits for the answer. Commits."""
    session.execute(
        update(Authorization)
        .where(Authorization.id == authorization)
        .values(transaction_id=transaction, expires_at=until)
        .execution_options(synchronize_session=False)
    )
    session.commit()


def give_code(session: Session, authorization: UUID, *, now: datetime) -> str:
    """Make the code, once, and end the session. Commits.

    Raises:
        AuthorizationInvalid: another answer was given meanwhile.
    """
    code = secrets.token_urlsafe(SECRET_BYTES)
    expires_at = now + timedelta(seconds=CODE_SECONDS)
    _answer(
        session,
        authorization,
        now=now,
        code_hash=token_hash(code),
        code_expires_at=expires_at,
        expires_at=expires_at,
    )
    return code


def end(session: Session, authorization: UUID, *, now: datetime) -> None:
    """End an authorisation without a code. Commits.

    Raises:
        AuthorizationInvalid: another answer was given meanwhile.
    """
    _answer(session, authorization, now=now, expires_at=now)


def _answer(session: Session, authorization: UUID, *, now: datetime, **values: object) -> None:
    """Write the one answer that an authorisation gets, and end the session. Commits."""
    answered = session.scalar(
        update(Authorization)
        .where(
            Authorization.id == authorization,
            Authorization.code_hash.is_(None),
            Authorization.expires_at > now,
        )
        .values(**values)
        .returning(Authorization.id)
        .execution_options(synchronize_session=False)
    )
    if answered is None:
        session.rollback()
        raise AuthorizationInvalid("this authorisation was answered")
    end_session(session, authorization)
    session.commit()


def _add(
    session: Session,
    *,
    relying_party: UUID,
    request: AuthorizationRequest,
    request_uri_hash: bytes | None,
    now: datetime,
    life: timedelta,
) -> UUID:
    added = uuid4()
    session.execute(
        insert(Authorization).values(
            id=added,
            relying_party_id=relying_party,
            request=msgspec.json.encode(request).decode(),
            request_uri_hash=request_uri_hash,
            created_at=now,
            expires_at=now + life,
        )
    )
    return added


def _held(row: Row[*tuple[Any, ...]]) -> Held:
    return Held(
        id=row.id,
        party=Party(
            id=row.party, client_id=row.client_id, name=row.name, asks_number=row.asks_number
        ),
        request=msgspec.json.decode(row.request, type=known(AuthorizationRequest)),
        signer=row.signer_id,
        transaction=row.transaction_id,
    )
