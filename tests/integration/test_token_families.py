"""Tokens are made and ended at once, on both databases: none outlives the end of its family."""

from datetime import timedelta
from threading import Thread
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session, sessionmaker

from backend.access.families import revoke_token
from backend.access.tokens import TokenFacts, add_token, token_hash
from backend.errors import AuthorizationInvalid
from backend.model.tables import AccessToken, Authorization, RefreshToken, RelyingParty, Signer
from backend.model.upsert import is_postgresql
from backend.oauth import refreshing
from backend.oauth.refreshing import Tokens, find_refresh, redeem_refresh
from tests.world.clock import SettableClock

FIRST = "first-refresh-token"


def add_family(sessions: sessionmaker[Session], clock: SettableClock) -> UUID:
    """A signer signed in for a relying party, which has one refresh token; gives the party."""
    party, signer, family = uuid4(), uuid4(), uuid4()
    rows: tuple[tuple[type, dict[str, object]], ...] = (
        (
            RelyingParty,
            {
                "id": party,
                "client_id": "shop",
                "name": "Shop",
                "secret_hash": bytes(32),
                "created_at": clock(),
            },
        ),
        (
            Signer,
            {
                "id": signer,
                "login": "anna",
                "name": "Anna",
                "subject": b"x",
                "number": None,
                "lang": "en",
                "zone": "Europe/Moscow",
                "password_salt": bytes(16),
                "password_change_due": False,
                "registered_by": "operator",
                "registered_at": clock(),
            },
        ),
        (
            Authorization,
            {
                "id": family,
                "relying_party_id": party,
                "signer_id": signer,
                "request": "{}",
                "created_at": clock(),
                "expires_at": clock() + timedelta(days=90),
            },
        ),
        (
            RefreshToken,
            {
                "token_hash": token_hash(FIRST),
                "authorization_id": family,
                "expires_at": clock() + timedelta(days=30),
            },
        ),
    )
    with sessions.begin() as session:
        for table, row in rows:
            session.execute(insert(table).values(row))
    return party


def refresh(sessions: sessionmaker[Session], party: UUID, clock: SettableClock) -> Tokens:
    with sessions() as session:
        found = find_refresh(session, FIRST, relying_party=party, now=clock())
        assert found is not None
        return redeem_refresh(session, found, bound_to=None, now=clock())


def revoke(sessions: sessionmaker[Session], party: UUID, clock: SettableClock) -> None:
    with sessions() as session:
        revoke_token(session, FIRST, relying_party=party, now=clock())


def living(sessions: sessionmaker[Session]) -> list[bytes]:
    with sessions() as session:
        return [
            found
            for table in (AccessToken, RefreshToken)
            for found in session.scalars(
                select(table.token_hash).where(table.revoked_at.is_(None))
            ).all()
        ]


def wait_for_it(sessions: sessionmaker[Session], thread: Thread) -> None:
    """Wait until the other has come as far as it can: it waits for a lock, or is done."""
    blocked = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    while thread.is_alive():
        with sessions() as session:
            if not is_postgresql(session) or session.scalar(blocked):
                return


def test_a_family_that_ends_while_it_is_refreshed_ends_whole(
    session_factory: sessionmaker[Session],
    clock: SettableClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Revoked, or used again by a thief: no token is made beside it that the end does not see."""
    party = add_family(session_factory, clock)
    ends = Thread(target=revoke, args=(session_factory, party, clock))

    def interposed(session: Session, token: str, facts: TokenFacts, **named: object) -> None:
        add_token(session, token, facts, **named)  # type: ignore[arg-type]  # passed on as it came
        ends.start()
        wait_for_it(session_factory, ends)

    monkeypatch.setattr(refreshing, "add_token", interposed)
    refresh(session_factory, party, clock)
    ends.join()

    assert living(session_factory) == []


def test_a_refresh_that_comes_while_its_family_ends_makes_nothing(
    session_factory: sessionmaker[Session], clock: SettableClock
) -> None:
    party = add_family(session_factory, clock)
    with session_factory() as session:
        found = find_refresh(session, FIRST, relying_party=party, now=clock())
        assert found is not None
        revoke(session_factory, party, clock)
        with pytest.raises(AuthorizationInvalid):
            redeem_refresh(session, found, bound_to=None, now=clock())

    assert living(session_factory) == []
