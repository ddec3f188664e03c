"""Where a transaction may go, and what the clock says of it."""

from datetime import datetime, timedelta

import pytest

from backend.model.tables import MOVES, TransactionState
from backend.signing.moves import _before, state_at
from tests.world.clock import START

EXP = START + timedelta(seconds=300)
USE_BY = START + timedelta(seconds=600)
TICK = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("written", "now", "state"),
    [
        ("pending", EXP, "pending"),
        ("pending", EXP + TICK, "expired"),
        ("approved", EXP + TICK, "approved"),
        ("approved", USE_BY - TICK, "approved"),
        ("approved", USE_BY, "expired"),
        ("redeemed", USE_BY, "redeemed"),
        ("rejected", USE_BY, "rejected"),
        ("cancelled", USE_BY, "cancelled"),
        ("failed", USE_BY, "failed"),
        ("expired", START, "expired"),
    ],
)
def test_time_ends_what_is_open_and_nothing_else(written: str, now: datetime, state: str) -> None:
    assert state_at(written, expires_at=EXP, use_by=USE_BY, now=now) == state


def test_no_move_leads_back() -> None:
    assert _before(TransactionState.PENDING) == []
    assert _before(TransactionState.APPROVED) == [TransactionState.PENDING]
    assert _before(TransactionState.REDEEMED) == [TransactionState.APPROVED]
    for end in set(TransactionState) - set(MOVES):
        assert set(_before(end)) <= {TransactionState.PENDING, TransactionState.APPROVED}
