"""A clock that stands still until it is told to go on."""

from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class SettableClock:
    """Called, it tells its time, as :data:`backend.wiring.Clock` does."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now

    def __call__(self) -> datetime:
        return self._now

    def advance(self, **duration: float) -> datetime:
        """Go on by so many ``seconds``, ``minutes``, ``hours`` or ``days``."""
        return self.set(self._now + timedelta(**duration))

    def set(self, now: datetime) -> datetime:
        """Show this instant; it may lie in the past."""
        if now.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        self._now = now.astimezone(UTC)
        return self._now
