"""backend/pages: words, languages, style and script."""

import re
from importlib.resources import files

import pytest
from flask import Flask, Response
from werkzeug.test import TestResponse

from backend.pages.look import create_blueprint, page
from backend.pages.words import COOKIE, WORDS
from backend.settings import Settings
from tests.world.browser import Shown

TEMPLATES = [
    path
    for room in ("pages", "oauth")
    for folder in files(f"backend.{room}").joinpath("templates").iterdir()
    for path in folder.iterdir()
]
USED = re.compile(r"words\.([a-z_]+)")


@pytest.fixture
def app() -> Flask:
    app = Flask("backend.pages")
    app.register_blueprint(create_blueprint(Settings(ca_name="CA <b>")))

    @app.get("/over")
    def over() -> Response:
        answer = page("pages/message.html", lang="ru", message="over", error="", description="")
        answer.headers["Cache-Control"] = "no-store"
        answer.headers["Referrer-Policy"] = "no-referrer"
        return answer

    @app.get("/plain")
    def plain() -> Response:
        return page("pages/message.html", message="over", error="", description="")

    return app


def get(app: Flask, address: str, *, lang: str = "en", cookie: str = "") -> TestResponse:
    client = app.test_client()
    if cookie:
        client.set_cookie(COOKIE, cookie)
    return client.get(address, headers={"Accept-Language": lang})


def spoken(answer: TestResponse) -> str:
    found = re.search(r'<html lang="(..)">', answer.get_data(as_text=True))
    assert found
    return found[1]


def test_both_languages_have_every_word() -> None:
    assert WORDS["ru"].keys() == WORDS["en"].keys()
    assert not [word for words in WORDS.values() for word in words.values() if not word.strip()]


def test_both_languages_are_filled_in_with_the_same() -> None:
    gaps = {
        lang: {name: set(re.findall(r"{(\w+)}", word)) for name, word in words.items()}
        for lang, words in WORDS.items()
    }

    assert gaps["ru"] == gaps["en"]


def test_every_word_that_a_page_takes_is_there() -> None:
    used = {word for path in TEMPLATES for word in USED.findall(path.read_text(encoding="utf-8"))}

    assert len(TEMPLATES) > 10
    assert used <= WORDS["en"].keys()


@pytest.mark.parametrize(
    ("address", "lang", "cookie", "expected"),
    [
        ("/plain", "ru-RU,ru;q=0.9,en;q=0.5", "", "ru"),
        ("/plain", "de", "", "en"),
        ("/plain", "en", "ru", "ru"),
        ("/plain?language=en", "ru", "ru", "en"),
        ("/plain?language=xx", "ru", "xx", "ru"),
        ("/over", "en", "", "ru"),
        ("/over", "ru", "en", "en"),
    ],
)
def test_the_signers_choice_goes_before_the_relying_partys_and_the_browsers(
    app: Flask, address: str, lang: str, cookie: str, expected: str
) -> None:
    assert spoken(get(app, address, lang=lang, cookie=cookie)) == expected


def test_a_choice_is_kept_in_a_cookie_of_this_host(app: Flask) -> None:
    chosen = get(app, "/plain?language=ru").headers["Set-Cookie"]

    assert chosen.startswith(f"{COOKIE}=ru; ")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(chosen.split("; "))
    assert "Set-Cookie" not in get(app, "/plain").headers


def test_the_switch_leads_to_the_same_page(app: Flask) -> None:
    told = get(app, '/plain?said=x&bad="><script>', lang="en").get_data(as_text=True)

    assert 'href="?said=x&amp;language=ru" lang="ru"' in told


def test_a_page_runs_and_shows_nothing_of_others(app: Flask) -> None:
    answer = get(app, "/over")
    policy = answer.headers["Content-Security-Policy"]

    assert Shown("/over", answer).page.text
    assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'")
    assert "unsafe" not in policy
    assert "CA &lt;b&gt;" in answer.get_data(as_text=True)


def test_style_and_script_are_kept_and_change_their_address_with_their_contents(
    app: Flask,
) -> None:
    told = get(app, "/plain").get_data(as_text=True)
    addresses = set(re.findall(r'"(/assets/[^"]+)"', told))

    assert {address.rsplit("/")[-1] for address in addresses} == {
        "pages.css",
        "pages.js",
        "mark.svg",
    }
    for address in addresses:
        asset = get(app, address)
        assert asset.status_code == 200
        assert "immutable" in asset.headers["Cache-Control"]
        assert b"http" not in asset.data.replace(b"http://www.w3.org/2000/svg", b"")
    for made_up in ("/assets/0123456789ab/pages.css", "/assets/x/words.json"):
        assert get(app, made_up).status_code == 404


def test_no_page_of_ours_has_style_or_script_in_it() -> None:
    inside = re.compile(r"<style|style=|<script>|\son\w+=|javascript:")

    assert not [path.name for path in TEMPLATES if inside.search(path.read_text(encoding="utf-8"))]
