""" "Not me" (T-01): who asked is stopped for this signer, and nobody else notices."""

from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from backend.credentials.overview import one_signer
from backend.errors import NotFound, PartyStopped, TransactionOver
from backend.model.tables import Pairing, StoppedParty
from backend.signing.mistrust import allow_again, stopped_of
from backend.signing.request import RequestedTransaction
from tests.world.signing_world import SigningWorld, hashes


def not_me(world: SigningWorld, transaction: UUID) -> str:
    made = world.cell.phone.refuse(world.read_ask(transaction), decision="not_me")
    return world.refuse(transaction, refusal=made)


def ask(world: SigningWorld) -> RequestedTransaction:
    return world.request(*hashes(1))


def stopped(world: SigningWorld) -> list[str]:
    with world.sessions() as session:
        return [party.id for party in stopped_of(session, signer=world.cell.signer)]


def allow(world: SigningWorld, client_id: str = "shop") -> None:
    with world.sessions() as session:
        allow_again(session, phone=world.phone, unverified_id=client_id)


def test_not_me_stops_who_asked_until_the_signer_allows_it_again(world: SigningWorld) -> None:
    asked = ask(world)

    assert not_me(world, asked.id) == "rejected"
    with pytest.raises(PartyStopped):
        ask(world)
    assert stopped(world) == ["shop"]
    allow(world)
    assert stopped(world) == []
    ask(world)


def test_t_22_another_relying_party_notices_nothing(world: SigningWorld) -> None:
    bank = world.another_party()
    theirs = ask(bank)

    not_me(world, ask(world).id)

    assert bank.approve(theirs.id) == "approved"
    ask(bank)


def test_what_else_it_asks_is_over_and_what_was_approved_stays(world: SigningWorld) -> None:
    approved, other, refused = ask(world), ask(world), ask(world)
    world.approve(approved.id)

    not_me(world, refused.id)

    assert world.state(refused.id) == "rejected"
    assert world.state(other.id) == "cancelled"
    assert len(world.collect(world.csc_sad(approved), *hashes(1))) == 1


def test_a_plain_refusal_stops_nobody(world: SigningWorld) -> None:
    world.refuse(ask(world).id)

    assert stopped(world) == []
    ask(world)


def test_a_not_me_that_comes_too_late_stops_nobody(world: SigningWorld) -> None:
    """What changed nothing changed nothing."""
    asked = ask(world)
    made = world.cell.phone.refuse(world.read_ask(asked.id), decision="not_me")
    world.refuse(asked.id)

    with pytest.raises(TransactionOver, match="rejected"):
        world.refuse(asked.id, refusal=made)

    assert stopped(world) == []


def test_a_not_me_may_be_repeated_and_said_of_several(world: SigningWorld) -> None:
    asked = ask(world)
    made = world.cell.phone.refuse(world.read_ask(asked.id), decision="not_me")
    world.refuse(asked.id, refusal=made)
    world.clock.advance(seconds=1)
    world.refuse(asked.id, refusal=made)
    allow(world)

    again = ask(world)
    not_me(world, again.id)

    assert stopped(world) == ["shop"]


def test_not_me_after_an_approval_stops_too(world: SigningWorld) -> None:
    asked = ask(world)
    world.approve(asked.id)

    assert not_me(world, asked.id) == "rejected"
    assert stopped(world) == ["shop"]


def test_the_authority_cannot_be_stopped(uncertified: SigningWorld) -> None:
    request = uncertified.request_certificate()

    assert not_me(uncertified, request) == "rejected"
    assert stopped(uncertified) == []


def test_only_a_relying_party_that_there_is_can_be_allowed(world: SigningWorld) -> None:
    allow(world)
    with pytest.raises(NotFound):
        allow(world, "nobody")


def test_an_operator_sees_whom_a_signer_has_stopped(world: SigningWorld) -> None:
    not_me(world, ask(world).id)
    pairing = Pairing(
        id=uuid4(),
        cell_id=world.cell.made.cell,
        signer_id=world.cell.signer,
        printed_by="operator",
        printed_at=world.clock(),
        expires_at=world.clock(),
        state="confirmed",
        code_tries=0,
    )
    world.overwrite(lambda session: session.add(pairing))

    with world.sessions() as session:
        assert one_signer(session, "anna").stopped == ("shop",)


def test_another_signer_of_the_same_party_is_not_told(world: SigningWorld) -> None:
    not_me(world, ask(world).id)

    with world.sessions() as session:
        rows = session.execute(select(StoppedParty.signer_id, StoppedParty.relying_party_id)).all()
        assert not stopped_of(session, signer=uuid4())
    assert [tuple(row) for row in rows] == [(world.cell.signer, world.shop.id)]
