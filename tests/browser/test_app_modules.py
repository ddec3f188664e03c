"""The app's protocol modules in a real browser: what Node checks, checked by Chromium."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, Route

from tests.world.chromium import OpenPage

ROOT = Path(__file__).parents[2]
CLAIMS = ROOT / "tests/authenticator/vector_claims.mjs"
STATIC = ROOT / "mobile_api/authenticator/static"
ORIGIN = "https://modules.example"
CHECK = """
async (vectors) => {
  const { claims } = await import("/claims.js");
  const load = (name) => import(`/protocol/${name}.js`);
  const fail = (message) => { throw new Error(message ?? "a claim does not hold"); };
  const text = (value) => JSON.stringify(value, (_name, member) =>
    ArrayBuffer.isView(member) ? Array.from(member)
    : member && typeof member === "object" && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort()) : member);
  const assert = {
    equal: (one, other, message) => one === other || fail(message ?? `${one} is not ${other}`),
    deepEqual: (one, other) => text(one) === text(other) || fail(`${text(one)} ${text(other)}`),
    throws: (work, _kind, message) => { try { work(); } catch { return; } fail(message); },
    rejects: async (work, _kind, message) => {
      try { await work; } catch { return; }
      fail(message);
    },
  };
  const failed = {};
  for (const [sentence, claim] of Object.entries(claims)) {
    try { await claim(vectors, load, assert); } catch (error) { failed[sentence] = String(error); }
  }
  return { count: Object.keys(claims).length, failed };
}
"""


def serve(route: Route) -> None:
    """The modules as they are, from an origin that exists nowhere."""
    path = route.request.url.removeprefix(ORIGIN)
    if path == "/":
        route.fulfill(body="<!doctype html>", content_type="text/html")
        return
    file = CLAIMS if path == "/claims.js" else STATIC / path.removeprefix("/")
    route.fulfill(body=file.read_bytes(), content_type="text/javascript")


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    opened = open_page()
    opened.route(f"{ORIGIN}/**", serve)
    opened.goto(f"{ORIGIN}/")
    return opened


def test_the_modules_agree_with_the_vectors_in_a_browser_too(page: Page) -> None:
    vectors = (ROOT / "docs/test-vectors.json").read_text("utf-8")
    found = page.evaluate(f"(text) => ({CHECK})(JSON.parse(text))", vectors)
    assert found["failed"] == {}
    assert found["count"] > 15
