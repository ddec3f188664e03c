"""Requests that the tests begin with; a test changes one thing."""

import copy
import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

from backend.summary.render import render
from backend.summary.sms import SmsFrame, render_sms
from backend.summary.text import Text

HERE: Final = Path(__file__).parent
GOLDEN: Final = HERE / "golden"
RUSSIAN_FRAME: Final = SmsFrame(
    code="00123456",
    operation="7KQ3M9XD",
    domain="ca.example",
    valid_until=datetime(2025, 11, 21, 11, 30, tzinfo=UTC),
    salutation="Анна Петровна",
)
FRAME: Final = {
    "ru": RUSSIAN_FRAME,
    "en": msgspec.structs.replace(RUSSIAN_FRAME, salutation="Ann Example"),
}
"""What stands around a request in its SMS."""


def golden(name: str) -> dict[str, Any]:
    """Read a request: what ``render`` takes but the language."""
    request: dict[str, Any] = json.loads(_kept(name))
    return request


@cache
def _kept(name: str) -> str:
    return (GOLDEN / f"{name}.json").read_text(encoding="utf-8")


def with_field(request: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """Copy a request with one field set; objects on the way are made where they are absent."""
    *groups, name = path.split(".")
    place = fields = dict(request["fields"])
    for group in groups:
        place[group] = dict(place.get(group, {}))
        place = place[group]
    place[name] = value
    return request | {"fields": fields}


def without_field(request: dict[str, Any], path: str) -> dict[str, Any]:
    """Copy a request with one field left out."""
    changed = copy.deepcopy(request)
    *groups, name = path.split(".")
    place = changed["fields"]
    for group in groups:
        place = place[group]
    del place[name]
    return changed


def rendered(request: dict[str, Any], lang: str = "en", zone: str = "Europe/Moscow") -> Text:
    """Render a request."""
    return render(**request, lang=lang, zone=zone)


def sms(request: dict[str, Any], lang: str = "en", **changed: Any) -> str:  # noqa: ANN401  # members of SmsFrame
    """Render a request's SMS."""
    frame = msgspec.structs.replace(FRAME[lang], **changed)
    return render_sms(**request, lang=lang, zone="Europe/Moscow", frame=frame)
