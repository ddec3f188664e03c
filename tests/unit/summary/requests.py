"""Requests that the tests begin with; a test changes one thing."""

import copy
import json
from pathlib import Path
from typing import Any, Final

from backend.summary.render import render
from backend.summary.text import Text

HERE: Final = Path(__file__).parent
GOLDEN: Final = HERE / "golden"


def golden(name: str) -> dict[str, Any]:
    """Read a request: what ``render`` takes but the language."""
    request: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    return request


def with_field(request: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """Copy a request with one field set; objects on the way are made where they are absent."""
    changed = copy.deepcopy(request)
    *groups, name = path.split(".")
    place = changed["fields"]
    for group in groups:
        place = place.setdefault(group, {})
    place[name] = value
    return changed


def without_field(request: dict[str, Any], path: str) -> dict[str, Any]:
    """Copy a request with one field left out."""
    changed = copy.deepcopy(request)
    *groups, name = path.split(".")
    place = changed["fields"]
    for group in groups:
        place = place[group]
    del place[name]
    return changed


def rendered(request: dict[str, Any], lang: str = "en") -> Text:
    """Render a request."""
    return render(**request, lang=lang)
