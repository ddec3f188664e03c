"""Pushes that lead to nothing become rare, then silent; the request stays there (T-01)."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID, uuid4

import msgspec
import pytest
from sqlalchemy import func, select

from backend.delivery.wakes import FORGOTTEN_AFTER, forget_paces, may_wake, pauses, wake_parameters
from backend.errors import TooManyRequests
from backend.model.tables import Approval, OutboxMessage, WakePace
from backend.model.upsert import is_postgresql
from backend.signing.pending import pending
from tests.world.signing_world import SETTINGS, SigningWorld, hashes

TEN_MINUTES = timedelta(minutes=10)


def ask(world: SigningWorld) -> UUID:
    return world.request(*hashes(1)).id


def pushed(world: SigningWorld) -> list[UUID]:
    """What was pushed, the oldest first."""
    with world.sessions() as session:
        return list(
            session.scalars(select(OutboxMessage.transaction_id).order_by(OutboxMessage.due_at))
        )


def wakes(world: SigningWorld, at_once: int = 3) -> bool:
    """Ask whether a push may be sent, without all the rest."""
    with world.sessions.begin() as session:
        wake = wake_parameters(
            signer=world.cell.signer,
            relying_party=world.shop.id,
            transaction=uuid4(),
            at_once=at_once,
            now=world.clock(),
        )
        may = may_wake(at_once=at_once, on_postgresql=is_postgresql(session))
        return session.execute(may, wake).first() is not None


def most_in(times: list[datetime], window: timedelta) -> int:
    return max(sum(begin <= time < begin + window for time in times) for begin in times)


def test_after_three_pushes_the_fourth_request_comes_silently(world: SigningWorld) -> None:
    asked = [ask(world) for _ in range(4)]

    with world.sessions() as session:
        listed = pending(session, cell=world.phone.cell, now=world.clock())

    assert set(pushed(world)) == set(asked[:3])
    assert {one.id for one in listed.transactions} == set(asked)
    assert world.approve(asked[3]) == "approved"


def test_an_approval_of_what_was_pushed_last_begins_anew(world: SigningWorld) -> None:
    """A signer who works is woken for each request, however many there are."""
    for _ in range(8):
        world.approve(ask(world))

    assert len(pushed(world)) == 8


def test_a_refusal_does_not_begin_anew(world: SigningWorld) -> None:
    for _ in range(8):
        world.refuse(ask(world))

    assert len(pushed(world)) == 3


def test_t_22_who_wears_a_signer_out_silences_nobody_else(world: SigningWorld) -> None:
    bank = world.another_party()
    for _ in range(5):
        ask(world)

    theirs = ask(bank)

    assert theirs in pushed(world)


def test_t_01_an_approval_of_what_another_asked_begins_nothing_anew(world: SigningWorld) -> None:
    bank = world.another_party()
    world.approve(ask(world))

    asked = [ask(bank) for _ in range(5)]

    assert set(pushed(world)) & set(asked) == set(asked[:3])


def test_the_authority_is_never_silent(uncertified: SigningWorld) -> None:
    request = uncertified.request_certificate()

    assert pushed(uncertified) == [request]


def test_t_01_requests_at_a_thousand_an_hour_wake_three_times_in_ten_minutes(
    world_on_sqlite: SigningWorld,
) -> None:
    """And nothing is approved by who does not know the number."""
    shop = msgspec.structs.replace(world_on_sqlite.shop, asks_number=True)
    world = replace(world_on_sqlite, shop=shop)
    refused = 0
    for _ in range(200):
        try:
            ask(world)
        except TooManyRequests:
            refused += 1
        world.clock.advance(seconds=3.6)

    with world.sessions() as session:
        times = list(session.scalars(select(OutboxMessage.due_at)))
        approvals = session.scalar(select(func.count()).select_from(Approval))
    assert most_in(times, TEN_MINUTES) <= 3
    assert len(times) <= 4
    assert refused > 180
    assert approvals == 0


def test_the_pauses_double_up_to_an_hour(world_on_sqlite: SigningWorld) -> None:
    world = world_on_sqlite
    began = world.clock()
    woken = []
    for _ in range(6 * 60):
        if wakes(world):
            woken.append((world.clock() - began) // timedelta(minutes=1))
        world.clock.advance(minutes=1)

    assert woken[:3] == [0, 1, 2]
    gaps = [later - earlier for earlier, later in pairwise(woken[2:])]
    assert gaps == [10, 20, 40, 60, 60, 60, 60]


def test_an_hour_without_a_push_that_might_have_been_sent_begins_anew(world: SigningWorld) -> None:
    for _ in range(4):
        wakes(world)
    world.clock.advance(minutes=10)
    assert [wakes(world) for _ in range(2)] == [True, False]
    world.clock.advance(minutes=20 + 60)

    assert [wakes(world) for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize(("at_once", "woken"), [(1, 1), (2, 2), (7, 7)])
def test_how_many_come_at_once_is_a_setting(world: SigningWorld, at_once: int, woken: int) -> None:
    assert sum(wakes(world, at_once) for _ in range(12)) == woken
    assert pauses(at_once)[at_once - 1] == TEN_MINUTES


def test_the_worker_deletes_what_says_nothing_any_more(world: SigningWorld) -> None:
    world = replace(world, settings=SETTINGS)
    ask(world)
    counts = []
    for moment in moments(world):
        with world.sessions() as session:
            counts.append(forget_paces(session, moment))
            left = session.scalar(select(func.count()).select_from(WakePace))

    assert counts == [0, 1]
    assert left == 0


def moments(world: SigningWorld) -> Iterator[datetime]:
    """Just before a row is forgotten, and then."""
    yield world.clock() + FORGOTTEN_AFTER - timedelta(seconds=1)
    yield world.clock() + FORGOTTEN_AFTER
