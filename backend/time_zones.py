"""Time zones by their IANA names, from the ``tzdata`` package alone.

The system's database is not asked: a bare container has none, and two machines could differ on the
text that a signer reads.
"""

from functools import cache
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

from backend.errors import NotFound

LONGEST_ZONE: Final = 40
"""Characters; the longest name has 32."""


@cache
def time_zone(name: str) -> ZoneInfo:
    """Find a zone.

    Raises:
        NotFound: the IANA database has none of that name, to the letter.
    """
    if name not in _names():
        raise NotFound("no time zone of the IANA database")
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as found:
        return ZoneInfo.from_file(found, key=name)


@cache
def _names() -> frozenset[str]:
    return frozenset(files("tzdata").joinpath("zones").read_text(encoding="ascii").split())
