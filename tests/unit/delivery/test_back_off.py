"""backend/delivery/back_off.py"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.delivery.back_off import TELLING, WAKING, pause_seconds
from backend.delivery.outbox import MOST_ATTEMPTS, TOLD_FOR

JITTER = st.floats(min_value=0, max_value=1)


@pytest.mark.parametrize(
    ("attempts", "step"), [(1, 1), (2, 2), (3, 4), (4, 8), (10, 512), (11, 900), (1000, 900)]
)
def test_steps_double_up_to_a_quarter_of_an_hour(attempts: int, step: float) -> None:
    assert pause_seconds(attempts, jitter=0, retry_after_seconds=None) == step
    assert pause_seconds(attempts, jitter=1, retry_after_seconds=None) == step / 2


def test_a_webhooks_steps_last_most_of_a_day() -> None:
    """A receiver that was down over night is told in the morning; it is not counted out before."""
    pauses = [
        pause_seconds(attempts, jitter=0, retry_after_seconds=None, steps=TELLING)
        for attempts in range(1, MOST_ATTEMPTS)
    ]
    assert pauses[:4] == [5, 15, 45, 135]
    assert 0.4 < sum(pauses) / 2 / TOLD_FOR.total_seconds() < sum(pauses) / 86_400 < 1


@given(st.integers(min_value=1, max_value=10_000), JITTER, st.integers(0, 3600))
def test_what_the_service_asked_for_is_never_undercut(
    attempts: int, jitter: float, retry_after: int
) -> None:
    pause = pause_seconds(attempts, jitter=jitter, retry_after_seconds=retry_after)
    assert retry_after < pause <= retry_after + WAKING.longest_seconds


def test_what_failed_together_is_not_repeated_together() -> None:
    pauses = [pause_seconds(5, jitter=number / 10, retry_after_seconds=60) for number in range(11)]
    assert len(set(pauses)) == 11
    assert (min(pauses), max(pauses)) == (68, 76)
