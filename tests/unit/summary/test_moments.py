"""Moments by their reader's clock."""

from datetime import UTC, datetime, timedelta
from importlib.resources import files

import pytest

from backend.errors import SummaryRefused
from backend.summary.moments import CITIES, clock_text, moment_text, reader, utc_text
from backend.time_zones import time_zone
from tests.unit.summary.golden_files import REQUESTS
from tests.unit.summary.requests import golden, rendered, with_field

AT = datetime(2025, 11, 24, 6, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "ru", "en"),
    [
        ("Europe/Moscow", "24.11.2025, 09:30 (Москва, UTC+3)",
         "24 November 2025, 09:30 (Moscow, UTC+3)"),
        ("Asia/Kamchatka", "24.11.2025, 18:30 (Камчатка, UTC+12)",
         "24 November 2025, 18:30 (Kamchatka, UTC+12)"),
        ("America/New_York", "24.11.2025, 01:30 (UTC-5)", "24 November 2025, 01:30 (UTC-5)"),
        ("America/Los_Angeles", "23.11.2025, 22:30 (UTC-8)", "23 November 2025, 22:30 (UTC-8)"),
        ("Asia/Kolkata", "24.11.2025, 12:00 (UTC+5:30)", "24 November 2025, 12:00 (UTC+5:30)"),
        ("America/St_Johns", "24.11.2025, 03:00 (UTC-3:30)",
         "24 November 2025, 03:00 (UTC-3:30)"),
        ("UTC", "24.11.2025, 06:30 (UTC)", "24 November 2025, 06:30 (UTC)"),
    ],
)  # fmt: skip  # a zone a line
def test_a_moment_names_its_zone_so_that_a_person_understands(zone: str, ru: str, en: str) -> None:
    assert moment_text(AT, reader(lang="ru", zone=zone)) == ru
    assert moment_text(AT, reader(lang="en", zone=zone)) == en


def test_seconds_are_shown_where_there_are_any() -> None:
    moscow = reader(lang="ru", zone="Europe/Moscow")
    assert clock_text(AT + timedelta(seconds=7), moscow) == "09:30:07 (Москва, UTC+3)"
    assert clock_text(AT + timedelta(seconds=7), moscow, with_city=False) == "09:30:07 (UTC+3)"


def test_the_hour_that_a_clock_shows_twice_is_told_apart() -> None:
    berlin = reader(lang="en", zone="Europe/Berlin")
    first = datetime(2025, 10, 26, 0, 30, tzinfo=UTC)
    assert clock_text(first, berlin) == "02:30 (UTC+2)"
    assert clock_text(first + timedelta(hours=1), berlin) == "02:30 (UTC+1)"


@pytest.mark.parametrize("zone", files("tzdata").joinpath("zones").read_text().split()[::7])
def test_every_zone_of_the_iana_gives_a_moment_that_can_be_read_back(zone: str) -> None:
    for month in range(1, 13):
        at = datetime(2031, month, 15, 21, 17, tzinfo=UTC)
        there = reader(lang="ru", zone=zone)
        text = moment_text(at, there)
        local, _, inside = text.partition(" (")
        offset = inside.removesuffix(")").rpartition("UTC")[2]
        hours, _, minutes = (offset or "+0").partition(":")
        away = timedelta(hours=int(hours[1:]), minutes=int(minutes or 0))
        read = datetime.strptime(local, "%d.%m.%Y, %H:%M").replace(tzinfo=UTC)
        assert read - (-away if hours.startswith("-") else away) == at


def test_a_distance_to_utc_is_written_as_people_write_it() -> None:
    assert utc_text(timedelta(0)) == "UTC"
    assert utc_text(timedelta(hours=3)) == "UTC+3"
    assert utc_text(timedelta(hours=12, minutes=45)) == "UTC+12:45"
    assert utc_text(-timedelta(hours=9, minutes=30)) == "UTC-9:30"


def test_every_city_is_of_a_zone_that_there_is() -> None:
    for zone in CITIES:
        assert time_zone(zone).key == zone


@pytest.mark.parametrize("zone", ["", "Moscow", "europe/moscow", "Europe/Moscow ", "MSK", "../UTC"])
def test_an_unknown_zone_is_refused_whatever_is_asked(zone: str) -> None:
    for name in ("payment", "generic"):
        with pytest.raises(SummaryRefused, match=r"^zone: "):
            rendered(golden(name), zone=zone)


@pytest.mark.parametrize("name", REQUESTS)
def test_the_zone_changes_moments_and_nothing_else(name: str) -> None:
    request = golden(name)
    here, there = rendered(request), rendered(request, zone="Asia/Tokyo")
    differing = [pair for pair in zip(here.lines, there.lines, strict=True) if pair[0] != pair[1]]
    moments = {"execute_at", "closes_at", "ship_at", "begun_at"} & request["fields"].keys()
    assert len(differing) == len(moments)
    assert all("UTC+3" in mine and "UTC+9" in theirs for mine, theirs in differing)


def test_the_edges_of_the_century_are_shown_by_any_clock() -> None:
    for at in ("2000-01-01T00:00:00Z", "2099-12-31T23:59:59Z"):
        for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):
            rendered(with_field(golden("payment"), "execute_at", at), zone=zone)
