"""Time zones by their IANA names."""

from datetime import UTC, datetime
from importlib.resources import files

import pytest

from backend.errors import NotFound
from backend.time_zones import LONGEST_ZONE, time_zone

NAMES = files("tzdata").joinpath("zones").read_text().split()


def test_every_name_of_the_iana_is_a_zone() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    for name in NAMES:
        assert at.astimezone(time_zone(name)) == at
        assert len(name) <= LONGEST_ZONE


@pytest.mark.parametrize(
    "name",
    [
        "", "/", "Europe", "Europe/", "/Europe/Moscow", "europe/moscow", "Europe/Moscow\n",
        "../../../../etc/passwd", "Europe/../Europe/Moscow", "Europe//Moscow", "localtime",
        "posixrules", "posix/Europe/Moscow", "right/UTC", "zone.tab", "UTC+3", "\x00", "x" * 10_000,
    ],
)  # fmt: skip  # a line a name says no more
def test_what_the_iana_does_not_name_is_no_zone(name: str) -> None:
    with pytest.raises(NotFound):
        time_zone(name)


def test_the_systems_own_zones_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two machines must not differ on the text that is signed."""
    monkeypatch.setattr("zoneinfo.TZPATH", ())
    time_zone.cache_clear()
    assert time_zone("Europe/Moscow").key == "Europe/Moscow"
