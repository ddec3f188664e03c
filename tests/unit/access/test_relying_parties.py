"""backend/access/relying_parties.py and tokens.py"""

import base64
from uuid import uuid4

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from backend.access.families import revoke_token
from backend.access.relying_parties import (
    NewRelyingParty,
    add_relying_party,
    disable_relying_party,
    list_relying_parties,
    relying_party_by_secret,
)
from backend.access.tokens import (
    LIFE,
    authenticate_relying_party,
    bearer_token,
    keep_token,
    new_token,
)
from backend.errors import (
    AlreadyThere,
    NotFound,
    RequestRefused,
    SummaryRefused,
    TokenInvalid,
    TokenMissing,
)
from backend.model.tables import AccessToken, RelyingParty
from backend.signing.request import AUTHORITY
from tests.world.clock import SettableClock


@pytest.fixture
def shop(session_factory: sessionmaker[Session], clock: SettableClock) -> NewRelyingParty:
    with session_factory() as session:
        return add_relying_party(session, name="Shop", client_id="shop", now=clock())


def test_no_relying_party_asks_in_the_authoritys_name(
    session_factory: sessionmaker[Session], clock: SettableClock
) -> None:
    with session_factory() as session, pytest.raises(RequestRefused, match="authority"):
        add_relying_party(session, name="Shop", client_id=AUTHORITY, now=clock())


def token_for(sessions: sessionmaker[Session], party: NewRelyingParty, clock: SettableClock) -> str:
    token = new_token()
    with sessions() as session:
        found = relying_party_by_secret(
            session,
            unverified_client_id=party.client_id,
            unverified_secret=party.client_secret,
        )
        assert found is not None
        keep_token(session, token, relying_party=found.id, now=clock())
    return token


def who(sessions: sessionmaker[Session], token: str, clock: SettableClock) -> str:
    with sessions() as session:
        found = authenticate_relying_party(session, authorization=f"Bearer {token}", now=clock())
        return found.client_id


# --- relying parties --------------------------------------------------------------


def test_a_secret_has_256_random_bits_and_is_not_kept(
    session_factory: sessionmaker[Session], shop: NewRelyingParty
) -> None:
    with session_factory() as session:
        kept = session.scalars(select(RelyingParty.secret_hash)).one()

    secret = base64.urlsafe_b64decode(shop.client_secret + "=")
    assert len(secret) == 32
    assert kept not in {secret, shop.client_secret.encode()}


def test_a_client_id_is_made_where_none_is_given(
    session_factory: sessionmaker[Session], clock: SettableClock
) -> None:
    with session_factory() as session:
        made = [
            add_relying_party(session, name="Shop", client_id=None, now=clock()) for _ in range(2)
        ]

    assert made[0].client_id != made[1].client_id


@pytest.mark.parametrize("client_id", ["a", "-a-", "a b", "ä-b-c", "a" * 65, "a:b:c", "abc\n"])
def test_a_client_id_needs_no_escaping(
    session_factory: sessionmaker[Session], clock: SettableClock, client_id: str
) -> None:
    with session_factory() as session, pytest.raises(RequestRefused):
        add_relying_party(session, name="Shop", client_id=client_id, now=clock())


@pytest.mark.parametrize("name", ["", " Shop", "Sh\u202eop", "Sh\u043ep", "S" * 101, "123"])
def test_a_name_that_a_signer_may_not_be_shown_is_refused(
    session_factory: sessionmaker[Session], clock: SettableClock, name: str
) -> None:
    """T-06; one of them has a Cyrillic letter."""
    with session_factory() as session, pytest.raises(SummaryRefused):
        add_relying_party(session, name=name, client_id=None, now=clock())


def test_a_client_id_is_there_once(
    session_factory: sessionmaker[Session], shop: NewRelyingParty, clock: SettableClock
) -> None:
    with session_factory() as session:
        with pytest.raises(AlreadyThere):
            add_relying_party(session, name="Other", client_id=shop.client_id, now=clock())
        assert [each.name for each in list_relying_parties(session)] == ["Shop"]


@pytest.mark.parametrize(
    ("client_id", "secret"),
    [
        ("shop", "wrong"),
        ("shop", ""),
        ("shop", "\udcff"),
        ("Shop", None),
        ("nobody", None),
        ("", ""),
        ("shop\x00", None),
    ],
)
def test_nobody_is_known_by_another_secret(
    session_factory: sessionmaker[Session],
    shop: NewRelyingParty,
    client_id: str,
    secret: str | None,
) -> None:
    given = shop.client_secret if secret is None else secret
    with session_factory() as session:
        found = relying_party_by_secret(
            session, unverified_client_id=client_id, unverified_secret=given
        )

    assert found is None


def test_who_is_disabled_is_nobody_and_stays_disabled_since_then(
    session_factory: sessionmaker[Session], shop: NewRelyingParty, clock: SettableClock
) -> None:
    token = token_for(session_factory, shop, clock)
    disabled_at = clock()
    for _ in range(2):
        with session_factory() as session:
            disable_relying_party(session, client_id=shop.client_id, now=clock())
        clock.advance(minutes=1)

    with session_factory() as session:
        (listed,) = list_relying_parties(session)
        found = relying_party_by_secret(
            session, unverified_client_id="shop", unverified_secret=shop.client_secret
        )
    assert listed.disabled_at == disabled_at
    assert found is None
    with pytest.raises(TokenInvalid):
        who(session_factory, token, clock)


def test_an_unknown_one_cannot_be_disabled(
    session_factory: sessionmaker[Session], clock: SettableClock
) -> None:
    with session_factory() as session, pytest.raises(NotFound):
        disable_relying_party(session, client_id="nobody", now=clock())


# --- tokens -----------------------------------------------------------------------


def test_a_token_tells_who_calls_for_an_hour(
    session_factory: sessionmaker[Session], shop: NewRelyingParty, clock: SettableClock
) -> None:
    token = token_for(session_factory, shop, clock)

    assert who(session_factory, token, clock) == "shop"
    clock.advance(seconds=LIFE.total_seconds())
    with pytest.raises(TokenInvalid):
        who(session_factory, token, clock)


def test_a_token_of_another_scope_is_none(
    session_factory: sessionmaker[Session], shop: NewRelyingParty, clock: SettableClock
) -> None:
    token = token_for(session_factory, shop, clock)
    with session_factory.begin() as session:
        session.execute(update(AccessToken).values(scope="credential"))

    with pytest.raises(TokenInvalid):
        who(session_factory, token, clock)


def test_only_its_owner_revokes_a_token(
    session_factory: sessionmaker[Session], shop: NewRelyingParty, clock: SettableClock
) -> None:
    """RFC 7009, 2.1."""
    token = token_for(session_factory, shop, clock)
    with session_factory() as session:
        revoke_token(session, token, relying_party=uuid4(), now=clock())
        revoke_token(session, "unknown \udcff", relying_party=uuid4(), now=clock())
    assert who(session_factory, token, clock) == "shop"

    with session_factory() as session:
        owner = session.scalars(select(RelyingParty.id)).one()
        revoke_token(session, token, relying_party=owner, now=clock())
    with pytest.raises(TokenInvalid):
        who(session_factory, token, clock)


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic abc", "abc", "Bearer ä", "Bearer " + "x" * 513]
)
def test_what_is_no_bearer_token_is_missing(header: str | None) -> None:
    """RFC 6750, 2.1."""
    with pytest.raises(TokenMissing):
        bearer_token(header)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_schemes_name_has_no_case(scheme: str) -> None:
    """RFC 9110, 11.1."""
    assert bearer_token(f"{scheme} abc") == "abc"
