"""Bad input has a name and a status, and is never our fault (section 8.1)."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.world.raw_calls import problem

JSON = {"Content-Type": "application/json"}
BODY_CALLS = (
    ("PUT", "/pairing/enrolment"),
    ("PUT", "/transactions/0b7f5f9e-7d1c-4a5e-9f39-2f2c0c3f7a11/approval"),
    ("PUT", "/transactions/0b7f5f9e-7d1c-4a5e-9f39-2f2c0c3f7a11/refusal"),
    ("PUT", "/push-subscription"),
    ("PUT", "/recovery-lock"),
    ("POST", "/freeze"),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
MEMBERS = st.sampled_from(
    ["enrolment", "sealed", "approval", "refusal", "endpoint", "keys", "lock", "p256dh", "auth"]
)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b'{"lock": "a", "lock": "a"}', 400),
        (b'{"lock": "\\ud800"}', 400),
        (b'{"lock": NaN}', 400),
        (b'{"lock": 1e999}', 400),
        (b'{"lock": ' + b"[" * 3000 + b"]" * 3000 + b"}", 400),
        (b"[]", 422),
        (b'"lock"', 422),
        (b"null", 422),
        (b"{}", 422),
        (b'{"lock": null}', 422),
        (b'{"lock": 1}', 422),
        (b'{"lock": {"a": []}}', 422),
        (b'{"lock": "AA", "more": 1}', 422),
        (b'{"lock": "A A"}', 422),
        (b'{"lock": "AA\\n"}', 422),
    ],
)
def test_a_body_that_is_not_the_schemas_is_malformed(
    client: FlaskClient, body: bytes, status: int
) -> None:
    answer = client.put("/recovery-lock", data=body, headers=JSON)

    assert problem(answer) == (status, "malformed")


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jose", ""]
)
def test_a_body_says_that_it_is_json(client: FlaskClient, content_type: str) -> None:
    """A form of a foreign page can send only the other kinds without a preflight."""
    answer = client.put("/recovery-lock", data=b"{}", headers={"Content-Type": content_type})

    assert problem(answer) == (415, "malformed")


def test_a_charset_beside_the_type_is_no_matter(client: FlaskClient) -> None:
    answer = client.post(
        "/freeze", data=b"{}", headers={"Content-Type": "application/json; charset=utf-8"}
    )

    assert problem(answer) == (401, "unauthenticated")


@pytest.mark.parametrize("size", [64 * 1024 + 1, 1024 * 1024])
def test_a_body_is_at_most_64_kib(client: FlaskClient, size: int) -> None:
    answer = client.put("/recovery-lock", data=b" " * size, headers=JSON)

    assert problem(answer) == (413, "malformed")


def test_a_body_of_64_kib_is_read(client: FlaskClient) -> None:
    body = b"{}".rjust(64 * 1024)

    assert problem(client.post("/freeze", data=body, headers=JSON)) == (401, "unauthenticated")


@pytest.mark.parametrize(
    "query", ["wait=26", "wait=-1", "wait=x", "wait=1.5", f"version={'v' * 65}"]
)
def test_a_query_is_bounded(client: FlaskClient, query: str) -> None:
    assert problem(client.get(f"/transactions?{query}")) == (422, "malformed")


def test_a_method_that_is_not_there_names_those_that_are(client: FlaskClient) -> None:
    answer = client.delete("/transactions")

    assert problem(answer) == (405, "malformed")
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


def test_an_address_that_is_not_there_is_not_found(client: FlaskClient) -> None:
    assert problem(client.get("/../etc/passwd")) == (404, "not-found")


@given(call=st.sampled_from(BODY_CALLS), body=st.dictionaries(MEMBERS | st.text(), VALUES))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_json_is_our_fault(
    client: FlaskClient, call: tuple[str, str], body: dict[str, Any]
) -> None:
    method, path = call

    answer = client.open(path, method=method, data=json.dumps(body).encode(), headers=JSON)

    assert 400 <= problem(answer)[0] < 500


@given(body=st.binary(max_size=200), authorization=st.text(max_size=200))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_are_our_fault(client: FlaskClient, body: bytes, authorization: str) -> None:
    header = authorization.encode().decode("latin-1").translate(dict.fromkeys((0, 10, 13)))

    for method, path in (*BODY_CALLS, ("GET", "/pairing"), ("GET", "/transactions")):
        for scheme in ("", "DPoP ", "Bearer "):
            answer = client.open(
                path, method=method, data=body, headers=JSON | {"Authorization": scheme + header}
            )
            assert 400 <= problem(answer)[0] < 500
