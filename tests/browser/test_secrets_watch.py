"""The watch over secrets finds each way by which a page could let one out."""

import base64
from collections.abc import Iterator
from hashlib import sha256

import pytest
from playwright.sync_api import Browser, Page

from backend.protocol.encoding import secret_text
from tests.world.chromium import LONGEST_MS, wait_until
from tests.world.secrets_watch import Watch, extractable_keys, writings
from tests.world.small_site import serving_files
from tests.world.wire_tap import WireTap
from tests.world.worker import eventually

CODE = bytes(range(100, 116))
PAGE = "<!doctype html><title>x</title><script type=module src=/page.js></script>"
SCRIPT = """
window.b64 = bytes => btoa(String.fromCharCode(...bytes));
window.keep = value => new Promise((resolve, reject) => {
  const opening = indexedDB.open("kept", 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("store");
  opening.onsuccess = () => {
    const storing = opening.result.transaction("store", "readwrite");
    storing.objectStore("store").put(value, "key");
    storing.oncomplete = () => { opening.result.close(); resolve(); };
  };
  opening.onerror = reject;
});
await navigator.serviceWorker.register("/worker.js");
await navigator.serviceWorker.ready;
window.ready = true;
"""
WORKER = """
addEventListener("activate", event => event.waitUntil(clients.claim()));
addEventListener("message", event => event.waitUntil(
  fetch("/index.html", {method: "POST", body: event.data}).then(() => event.ports[0].postMessage(1))
));
"""
BY_WORKER = """
const channel = new MessageChannel();
const done = new Promise(resolve => channel.port1.onmessage = resolve);
(await navigator.serviceWorker.ready).active.postMessage(secret, [channel.port2]);
await done;
"""


@pytest.fixture(scope="module")
def tap() -> WireTap:
    return WireTap()


@pytest.fixture(scope="module")
def origin(tap: WireTap) -> Iterator[str]:
    files = {"/index.html": PAGE, "/page.js": SCRIPT, "/worker.js": WORKER}
    with serving_files(files, tap=tap) as origin:
        yield origin


@pytest.fixture(scope="module")
def page(chromium: Browser, origin: str) -> Iterator[Page]:
    context = chromium.new_context()
    context.set_default_timeout(LONGEST_MS)
    page = context.new_page()
    page.goto(origin)
    page.wait_for_function("window.ready")
    yield page
    context.close()


@pytest.fixture
def watch(page: Page, tap: WireTap) -> Watch:
    return Watch(page.context, tap)


@pytest.fixture
def secret(page: Page, request: pytest.FixtureRequest) -> bytes:
    """Another for each test, so that none finds what an earlier one left."""
    made = sha256(request.node.name.encode()).digest()
    page.evaluate("bytes => window.secret = Uint8Array.from(bytes)", list(made))
    return made


def test_a_page_that_keeps_its_secret_lets_nothing_out(
    page: Page, watch: Watch, origin: str, secret: bytes
) -> None:
    page.evaluate("fetch('/index.html', {method: 'POST', body: 'something else'})")
    assert watch.leaks(page, secret=secret) == []
    assert watch.origins == {origin}


@pytest.mark.parametrize(
    "leak",
    [
        "await fetch('/index.html', {method: 'POST', body: secret})",
        "await fetch('/index.html', {method: 'POST', body: new Blob([secret])})",
        "await fetch('/index.html', {method: 'POST', body: JSON.stringify({s: b64(secret)})})",
        "await fetch('/index.html', {method: 'POST', body: JSON.stringify([...secret])})",
        "await fetch('/index.html', {headers: {'X-Secret': secret.toHex()}})",
        "await fetch('/index.html?s=' + escape(String.fromCharCode(...secret)))",
        "await fetch('/index.html?s=' + secret.toBase64({alphabet: 'base64url'}))",
        "navigator.sendBeacon('/index.html', secret)",
        "await fetch('/index.html', {method: 'POST', body: b64([1, 2, ...secret, 3])})",
        "new Image().src = '/picture.png?' + secret.toHex().toUpperCase()",
        BY_WORKER,
    ],
)
def test_what_is_sent_is_seen(page: Page, watch: Watch, secret: bytes, leak: str) -> None:
    page.evaluate(f"async () => {{ {leak} }}")
    eventually(lambda: bool(watch.leaks(secret=secret)))


@pytest.mark.usefixtures("secret")
def test_what_the_service_worker_asks_for_is_seen(page: Page, watch: Watch) -> None:
    page.evaluate(f"async () => {{ {BY_WORKER} }}")
    wait_until(page, lambda: any(request.service_worker for request in watch.requests))
    assert [request.method for request in watch.requests if request.service_worker] == ["POST"]


@pytest.mark.parametrize(
    "leak",
    [
        "await keep(secret)",
        "await keep({deep: [new Map([['in', secret.buffer]])]})",
        "await keep(secret.toHex())",
        "await keep(new Blob([secret]))",
        "await keep(String.fromCharCode(...secret))",
        "localStorage.s = b64(secret)",
        "sessionStorage.s = secret.join()",
        "document.cookie = 's=' + secret.toHex()",
        "history.pushState({secret}, '')",
        "location.hash = secret.toHex()",
        "await (await caches.open('c')).put('/kept', new Response(secret))",
        "await (await caches.open('c')).put('/kept?' + secret.toHex(), new Response())",
    ],
)
def test_what_is_kept_is_seen(page: Page, watch: Watch, secret: bytes, leak: str) -> None:
    page.evaluate(f"async () => {{ {leak} }}")
    assert watch.leaks(page, secret=secret)


def test_a_key_that_can_be_read_is_seen(page: Page) -> None:
    make = """async ([extractable]) => keep(await crypto.subtle.generateKey(
      {name: "ECDH", namedCurve: "P-256"}, extractable, ["deriveBits"]))"""
    page.evaluate(make, [False])
    assert extractable_keys(page) == []
    page.evaluate(make, [True])
    assert extractable_keys(page) == ["IndexedDB kept/store/key.privateKey"]


def test_a_code_is_known_in_its_letters_and_base64_at_each_place() -> None:
    forms = writings(CODE)
    assert secret_text(CODE).encode() in forms
    for before in (b"", b"x", b"xx", b"xxx"):
        text = base64.b64encode(before + CODE + b"after")
        assert any(form in text for form in forms)
