"""The OpenAPI document, and the page for people."""

import json
import re
from typing import Any

import pytest
from flask.testing import FlaskClient

CALLS = {
    ("get", "/info"),
    ("get", "/pairing"),
    ("put", "/pairing/enrolment"),
    ("get", "/transactions"),
    ("get", "/transactions/{transaction}"),
    ("put", "/transactions/{transaction}/approval"),
    ("put", "/transactions/{transaction}/refusal"),
    ("get", "/relying-parties/stopped"),
    ("delete", "/relying-parties/stopped/{party}"),
    ("put", "/push-subscription"),
    ("delete", "/push-subscription"),
    ("get", "/devices"),
    ("delete", "/devices/{kid}"),
    ("put", "/recovery-lock"),
    ("get", "/security-keys"),
    ("get", "/lock"),
    ("post", "/further-phone"),
    ("put", "/further-phone/enrolment"),
    ("post", "/freeze"),
}
"""docs/phone-protocol.md, 8.2, 8.3 and 8.5, at M."""


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    answer = client.get("/openapi.json")
    assert answer.mimetype == "application/json"
    document: dict[str, Any] = answer.json or {}
    return document


def test_every_call_of_the_protocol_is_documented_and_no_other(document: dict[str, Any]) -> None:
    documented = {
        (method, path)
        for path, calls in document["paths"].items()
        for method in calls
        if method != "parameters"
    }

    assert document["openapi"] == "3.1.0"
    assert documented == CALLS


def test_each_call_says_who_may_call_and_what_an_error_looks_like(
    document: dict[str, Any],
) -> None:
    for path, calls in document["paths"].items():
        for call in (calls[method] for method in calls if method != "parameters"):
            needed = "ticket" if path.startswith("/pairing") else "proof"
            assert call.get("security", []) == ([] if path == "/info" else [{needed: []}])
            assert call["responses"]["default"]["$ref"].endswith("/DEFAULT_ERROR")
    error = document["components"]["responses"]["DEFAULT_ERROR"]
    assert set(error["content"]) == {"application/problem+json"}


def test_no_reference_leads_nowhere(document: dict[str, Any], client: FlaskClient) -> None:
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', client.get("/openapi.json").text):
        found = document
        for part in reference.split("/"):
            found = found[part]


def test_the_page_has_every_call_and_fetches_nothing(client: FlaskClient) -> None:
    page = client.get("/docs").text

    for method, path in CALLS:
        assert f"{method.upper()} {path}" in page
    assert "<script" not in page
    assert "http" not in re.sub(r'<a href="[^"]*">', "", page)
    assert not re.search(r"<(link|img|iframe)", page)


def test_patterns_are_those_of_the_documents_language(document: dict[str, Any]) -> None:
    """ECMA 262, as OpenAPI has it: ``\\Z`` would be a letter there."""
    patterns = re.findall(r'"pattern": "([^"]*)"', json.dumps(document))
    assert patterns
    for pattern in patterns:
        assert pattern.startswith("^")
        assert pattern.endswith("$")
        assert "\\" not in pattern
