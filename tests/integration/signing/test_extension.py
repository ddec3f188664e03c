"""A ``csc_sad`` is exchanged once, whoever comes at the same time, and only while it counts."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import UUID, uuid4

import pytest

from backend.errors import (
    AuthorizationInvalid,
    HashNotAuthorized,
    NotApproved,
    SignerFrozen,
    TransactionOver,
)
from backend.signing.authorization import Authorization, Waiting, authorization, csc_sad_of
from backend.signing.extension import Extension, extend
from tests.world.signing_world import SigningWorld, hashes

ONE, TWO = hashes(2)


def exchange(
    world: SigningWorld,
    csc_sad: str,
    *wanted: bytes,
    party: UUID | None = None,
    credential: UUID | None = None,
) -> Authorization:
    extension = Extension(
        relying_party=party or world.shop.id,
        csc_sad=csc_sad,
        credential=credential or world.cell.made.cell,
        hashes=wanted,
    )
    with world.sessions() as session:
        return extend(session, extension, now=world.clock())


def test_csc_84_the_new_one_collects_and_the_old_one_does_not(world: SigningWorld) -> None:
    requested = world.request(ONE, TWO)
    world.approve(requested.id)
    old = csc_sad_of(requested.handle)
    world.clock.advance(seconds=100)

    new = exchange(world, old, ONE)

    assert new.expires_in == 500
    assert len(world.collect(new.csc_sad, ONE, TWO)) == 2
    with pytest.raises(AuthorizationInvalid):
        world.collect(old, ONE)
    with pytest.raises(AuthorizationInvalid, match="exchanged"):
        world.check(requested)


def test_csc_84_in_its_last_second_it_says_one(world: SigningWorld) -> None:
    requested = world.request(ONE)
    world.approve(requested.id)
    world.clock.advance(seconds=599.5)

    assert exchange(world, csc_sad_of(requested.handle)).expires_in == 1


def test_csc_84_of_two_who_exchange_at_once_one_gets_a_new_one(world: SigningWorld) -> None:
    requested = world.request(ONE)
    world.approve(requested.id)
    old = csc_sad_of(requested.handle)

    barrier = Barrier(4)

    def run(_number: int) -> Authorization | AuthorizationInvalid:
        barrier.wait()
        try:
            return exchange(world, old, ONE)
        except AuthorizationInvalid as error:
            return error

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(run, range(4)))

    won = [each for each in found if isinstance(each, Authorization)]
    assert len(won) == 1
    assert len(world.collect(won[0].csc_sad, ONE)) == 1


def test_csc_84_a_hash_that_was_not_approved_exchanges_nothing(world: SigningWorld) -> None:
    requested = world.request(ONE)
    world.approve(requested.id)
    old = csc_sad_of(requested.handle)

    with pytest.raises(HashNotAuthorized):
        exchange(world, old, ONE, TWO)
    assert len(world.collect(old, ONE)) == 1


def test_csc_84_it_counts_for_its_relying_party_and_credential_alone(world: SigningWorld) -> None:
    requested = world.request(ONE)
    world.approve(requested.id)
    old = csc_sad_of(requested.handle)

    for other in ({"party": uuid4()}, {"credential": uuid4()}):
        with pytest.raises(AuthorizationInvalid):
            exchange(world, old, ONE, **other)
    with pytest.raises(AuthorizationInvalid):
        exchange(world, "unknown \udfff", ONE)


def test_csc_84_what_is_not_approved_or_over_is_not_exchanged(world: SigningWorld) -> None:
    pending, refused, frozen, signed = (world.request(each) for each in hashes(4))
    for each in (refused, frozen, signed):
        world.approve(each.id)
    world.refuse(refused.id)
    world.collect(csc_sad_of(signed.handle), hashes(4)[3])

    with pytest.raises(NotApproved):
        exchange(world, csc_sad_of(pending.handle))
    with pytest.raises(TransactionOver):
        exchange(world, csc_sad_of(refused.handle))
    with pytest.raises(AuthorizationInvalid, match="all of it is signed"):
        exchange(world, csc_sad_of(signed.handle))
    world.freeze()
    with pytest.raises(SignerFrozen):
        exchange(world, csc_sad_of(frozen.handle))


def test_csc_74_an_answer_is_told_to_its_own_signer(world: SigningWorld) -> None:
    """Where a token is of a signer who signed in."""
    requested = world.request(ONE)

    def ask(signer: UUID | None) -> Authorization | Waiting:
        with world.sessions() as session:
            return authorization(
                session,
                handle=requested.handle,
                relying_party=world.shop.id,
                now=world.clock(),
                signer=signer,
            )

    assert ask(world.transaction(requested.id).signer_id) == ask(None) == Waiting()
    with pytest.raises(AuthorizationInvalid, match="another signer"):
        ask(uuid4())
