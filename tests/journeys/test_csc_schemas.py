"""The published schemas of our ``transaction`` member, as a relying party reads and uses them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry

from backend.summary.catalogue import KINDS
from tests.unit.summary.requests import GOLDEN, golden
from tests.world.csc_client import CscClient

PAGE = (Path(__file__).resolve().parents[2] / "docs/relying-party.md").read_text()
EXAMPLES = [
    text
    for text in re.findall(r"^```json\n(\{.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    if '"type"' in text
]
ASKED_FOR = sorted(name for name, kind in KINDS.items() if kind.ask == "sign")
OURS = sorted(set(KINDS) - set(ASKED_FOR))
REQUESTS = sorted(path.stem for path in GOLDEN.glob("*.json") if "schema" not in path.name)


_READ: dict[str, dict[str, Any]] = {}
"""By name: to check a schema takes longer than to use it, and the service does not change."""


def schema(shop: CscClient, name: str = "transaction") -> dict[str, Any]:
    if name not in _READ:
        _READ[name] = read(shop, name)
    return _READ[name]


def read(shop: CscClient, name: str) -> dict[str, Any]:
    answer = shop.service.client().get(f"/csc/schemas/{name}.json")
    assert answer.status_code == 200
    assert answer.mimetype == "application/schema+json"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    found: dict[str, Any] = json.loads(answer.data)
    Draft202012Validator.check_schema(found)
    return found


def faults(found: dict[str, Any], request: object) -> list[str]:
    """Where a request does not keep the schema; nothing is fetched."""
    validator = Draft202012Validator(
        found, registry=Registry(), format_checker=FormatChecker(["date"])
    )
    return [error.json_path for error in validator.iter_errors(request)]


@pytest.mark.parametrize("name", ["transaction", *ASKED_FOR])
def test_a_schemas_address_is_its_id(calm_shop: CscClient, name: str) -> None:
    here = calm_shop.service.settings.authorization_server_url

    assert schema(calm_shop, name)["$id"] == f"{here}/csc/schemas/{name}.json"


@pytest.mark.parametrize("name", REQUESTS)
def test_every_golden_request_keeps_the_schema_of_its_kind_and_of_any(
    calm_shop: CscClient, name: str
) -> None:
    request = golden(name)["fields"]
    if request["type"] in OURS:
        assert faults(schema(calm_shop), request) == ["$.type"]
        return
    assert faults(schema(calm_shop, request["type"]), request) == []
    assert faults(schema(calm_shop), request) == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: json.loads(text)["type"])
def test_every_example_of_the_page_keeps_the_schema(calm_shop: CscClient, example: str) -> None:
    assert faults(schema(calm_shop), json.loads(example)) == []


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"type": "unknown"}, "$.type"),
        ({"type": ...}, "$"),
        ({"purpose": ...}, "$"),
        ({"purpose": 7}, "$.purpose"),
        ({"purpose": "x" * 400}, "$.purpose"),
        ({"more": "x"}, "$"),
        ({"amount": {"value": "1", "currency": "RUB"}}, "$.amount"),
        ({"payee": {"name": "Romashka", "account": "no account"}}, "$.payee.account"),
    ],
    ids=str,
)
def test_a_fault_is_told_by_its_place(
    calm_shop: CscClient, changed: dict[str, object], where: str
) -> None:
    """And what the schema refuses, the service refuses too."""
    given = golden("payment_least")["fields"] | changed
    request = {name: value for name, value in given.items() if value is not ...}

    assert faults(schema(calm_shop), request) == [where]
    body = {
        "credentialID": calm_shop.credential,
        "numSignatures": 1,
        "hashes": ["A" * 43],
        "hashAlgorithmOID": "2.16.840.1.101.3.4.2.1",
        "transaction": request,
    }
    assert calm_shop.post("v2/credentials/authorize", body).status_code == 400


@pytest.mark.parametrize("name", [*OURS, "unknown", "..%2Ftransaction"])
def test_there_is_a_schema_of_what_may_be_asked_for_alone(calm_shop: CscClient, name: str) -> None:
    assert calm_shop.service.client().get(f"/csc/schemas/{name}.json").status_code == 404


def test_the_schema_of_any_kind_has_each_of_them(calm_shop: CscClient) -> None:
    whole = schema(calm_shop)

    for kind in ASKED_FOR:
        alone = schema(calm_shop, kind)
        assert whole["$defs"][kind].items() <= alone.items()
    assert whole["properties"]["type"]["enum"] == ASKED_FOR
