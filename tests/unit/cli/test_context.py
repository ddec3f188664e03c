"""When a command is told to stop."""

import signal
from collections.abc import Iterator

import pytest

from backend.cli.context import told_to_stop

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@pytest.fixture(autouse=True)
def _handlers_are_put_back() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_stops_who_is_about_to_wait_and_one_after_it_does_no_harm(
    number: signal.Signals,
) -> None:
    """A clerk that was told twice waited for its own lock for ever."""
    stop = told_to_stop()
    with stop._cond:  # type: ignore[attr-defined]  # as `wait` holds it before it sleeps, and after
        signal.raise_signal(number)
        signal.raise_signal(number)
    stop.wait()
