"""The phone app's own origin: what it answers, and what it tells browsers."""

import gzip

import pytest
from flask.testing import FlaskClient

from backend.settings import Settings
from mobile_api.authenticator.app import create_app
from mobile_api.authenticator.files import served_files
from mobile_api.authenticator.headers import headers

SETTINGS = Settings(
    app_url="https://app.example.org",
    authorization_server_url="https://sign.example.org",
    mobile_api_url="https://api.example.org/phones",
    database_url="postgresql+psycopg://nowhere",
    wait_url="https://wait.example.org",
)


@pytest.fixture(scope="module")
def browser() -> FlaskClient:
    return create_app(SETTINGS).test_client()


def test_every_file_is_served_as_what_it_is(browser: FlaskClient) -> None:
    for path, file in served_files(SETTINGS).items():
        answer = browser.get(path)
        assert (answer.status_code, answer.data) == (200, file.body)
        assert answer.content_type == file.media_type


def test_a_file_that_is_not_listed_is_not_there(browser: FlaskClient) -> None:
    for path in ("/index.html", "/../app.py", "/package.json", "/vendor/jose.d.ts", "/words/"):
        assert browser.get(path).status_code == 404
    assert browser.post("/").status_code == 405


def test_a_browser_that_reads_gzip_gets_gzip(browser: FlaskClient) -> None:
    plain = browser.get("/app.js", headers={"Accept-Encoding": "gzip;q=0"})
    zipped = browser.get("/app.js", headers={"Accept-Encoding": "br, gzip"})
    assert "Content-Encoding" not in plain.headers
    assert zipped.content_encoding == "gzip"
    assert gzip.decompress(zipped.data) == plain.data
    assert "Accept-Encoding" in zipped.vary


def test_what_a_browser_has_is_not_sent_again(browser: FlaskClient) -> None:
    etag = browser.get("/app.js").headers["ETag"]
    answer = browser.get("/app.js", headers={"If-None-Match": etag})
    assert (answer.status_code, answer.data) == (304, b"")
    assert answer.headers["Cache-Control"] == "no-cache"


def test_every_answer_says_what_the_page_may_do(browser: FlaskClient) -> None:
    for path in ("/", "/app.js", "/nowhere"):
        answer = browser.get(path)
        assert headers(SETTINGS).items() <= dict(answer.headers).items()
    policy = headers(SETTINGS)["Content-Security-Policy"].split("; ")
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in str(policy)
    (calls,) = [part for part in policy if part.startswith("connect-src")]
    assert calls.split() == [
        "connect-src",
        "'self'",
        "https://sign.example.org",
        "https://api.example.org",
        "https://wait.example.org",
    ]


def test_https_is_to_stay(browser: FlaskClient) -> None:
    assert "Strict-Transport-Security" in browser.get("/").headers
    assert "Strict-Transport-Security" not in headers(Settings())
