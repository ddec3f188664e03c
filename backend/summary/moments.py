"""Moments as their reader's clock shows them; the zone is always named.

``24.11.2025, 09:30 (Москва, UTC+3)``: the distance to UTC leaves no doubt, whatever a government
decides later and in the hour that a clock shows twice; the city says whose clock it is. Seconds are
shown where there are any.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, final

import msgspec

from backend.errors import NotFound, SummaryRefused
from backend.summary.package_data import read_toml
from backend.summary.text import Language, Reader
from backend.summary.words import Words, date_text
from backend.time_zones import time_zone


@final
class _Zones(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    cities: dict[str, Words]


CITIES: Final[Mapping[str, Words]] = read_toml("zones.toml", kind=_Zones).cities
"""Names of cities by IANA zone, where people have one."""


def reader(*, lang: str, zone: str) -> Reader:
    """Say for whom a text is written.

    Raises:
        SummaryRefused: language or zone is not known.
    """
    language = read_language(lang)
    try:
        return Reader(lang=language, zone=time_zone(zone))
    except NotFound as error:
        raise SummaryRefused("zone", "is no time zone of the IANA database") from error


def read_language(unverified: str) -> Language:
    """Read a language.

    Raises:
        SummaryRefused: it is not known.
    """
    if unverified == "ru":
        return "ru"
    if unverified == "en":
        return "en"
    raise SummaryRefused("lang", "is not ru or en")


def moment_text(at: datetime, reader: Reader) -> str:
    """Write day, time and zone."""
    local = at.astimezone(reader.zone)
    return f"{date_text(local.date(), reader.lang)}, {clock_text(at, reader)}"


def clock_text(at: datetime, reader: Reader, *, with_city: bool = True) -> str:
    """Write time and zone without the day."""
    local = at.astimezone(reader.zone)
    city = CITIES.get(str(reader.zone.key)) if with_city else None
    zone = utc_text(local.utcoffset() or timedelta())
    if city is not None:
        zone = f"{city.of(reader.lang)}, {zone}"
    return f"{local:%H:%M:%S} ({zone})" if local.second else f"{local:%H:%M} ({zone})"


def utc_text(offset: timedelta) -> str:
    """Write a distance to UTC: ``UTC``, ``UTC+3``, ``UTC-3:30``."""
    minutes = int(offset.total_seconds()) // 60
    if minutes == 0:
        return "UTC"
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours}" + (f":{rest:02}" if rest else "")
