"""What browsers are told: the phone app may read, nobody else; nothing is kept."""

import pytest
from flask.testing import FlaskClient

from tests.unit.mobile_api.conftest import APP

ALLOWED = "Access-Control-Allow-Origin"


@pytest.mark.parametrize("path", ["/info", "/transactions", "/nothing"])
def test_the_app_may_read_every_answer_errors_too(client: FlaskClient, path: str) -> None:
    answer = client.get(path, headers={"Origin": APP})

    assert answer.headers[ALLOWED] == APP
    assert "Date" in answer.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        f"{APP}.evil.example",
        "http://app.example.org",
        "null",
        "",
        f"{APP}/",
    ],
)
def test_no_other_origin_may_read(client: FlaskClient, origin: str) -> None:
    answer = client.get("/info", headers={"Origin": origin})

    assert ALLOWED not in answer.headers


def test_the_app_may_send_proofs_and_bodies(client: FlaskClient) -> None:
    answer = client.options(
        "/push-subscription",
        headers={
            "Origin": APP,
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": "authorization, content-type",
        },
    )

    assert answer.status_code == 200
    assert answer.headers[ALLOWED] == APP
    assert "PUT" in answer.headers["Access-Control-Allow-Methods"]
    assert answer.headers["Access-Control-Allow-Headers"] == "Authorization, Content-Type"


@pytest.mark.parametrize("path", ["/info", "/transactions", "/nothing", "/docs"])
def test_an_answer_is_kept_nowhere_and_runs_nothing(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers

    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["Strict-Transport-Security"] == "max-age=63072000"
