"""A browser without a network: cookies, forms without scripts, redirects as RFC 9110 has them.

It stays on our origin: where a redirect leads elsewhere, it stops and tells where to. It keeps a
page's form-action, as browsers do, and sends a form only with the fields that the page has.
"""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlsplit

from werkzeug.test import TestResponse

from tests.world.service import Service


@dataclass
class Form:
    """A form of a page."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)


class _Page(HTMLParser):
    """Finds forms, and whether the page would do what our pages must not."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.refresh: str | None = None
        self.back = ""
        self.text = ""
        self.feed(html)

    def form(self, which: int | str) -> Form:
        """Find a form by number, or by a part of its address."""
        if isinstance(which, int):
            return self.forms[which]
        (found,) = (form for form in self.forms if which in form.action)
        return found

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        assert tag != "style"
        assert tag != "script" or given["src"].startswith("/assets/")
        assert not [name for name in given if name == "style" or name.startswith("on")]
        if tag == "form":
            assert given["method"] == "post"
            self.forms.append(Form(given.get("action", "")))
        if tag == "input":
            self.forms[-1].fields[given["name"]] = given.get("value", "")
        if tag == "meta" and given.get("http-equiv") == "refresh":
            self.refresh = given["content"]

        if given.get("id") == "back":
            self.back = given["href"]

    def handle_data(self, data: str) -> None:
        self.text += data


@dataclass
class Shown:
    """What the browser ends up with: a page of ours, or an address elsewhere."""

    address: str
    answer: TestResponse

    @property
    def page(self) -> _Page:
        """The page, after a look at what must protect it."""
        assert self.answer.mimetype == "text/html", self.address
        headers = self.answer.headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        return _Page(self.answer.get_data(as_text=True))

    @property
    def left_for(self) -> str:
        """The address elsewhere to which the browser goes, or the page's last link leads."""
        if self.answer.status_code in {302, 303}:
            return self.address
        assert self.page.back, self.page.text
        return self.page.back

    @property
    def told(self) -> dict[str, str]:
        """What the relying party is told by an address elsewhere, also by way of a last page."""
        pairs = parse_qsl(urlsplit(self.left_for).query, keep_blank_values=True)
        assert len(pairs) == len(dict(pairs))
        return dict(pairs)


class Browser:
    """One person's browser."""

    def __init__(
        self, service: Service, *, languages: str = "en", address: str = "192.0.2.1"
    ) -> None:
        self._origin = service.settings.authorization_server_url
        # Believed only where the service has a proxy.
        self._headers = {"Accept-Language": languages, "X-Forwarded-For": address}
        self.client = service.client()
        self.shown: Shown | None = None

    def open(self, address: str) -> Shown:
        """Open an address and go where it leads."""
        return self._go(address, method="GET", data=None, targets=None)

    def again(self) -> Shown:
        """Open the same page once more, as its refresh does."""
        assert self.shown is not None
        return self.open(self.shown.address)

    def fetch(self, address: str, **form: str) -> TestResponse:
        """Ask for something without showing it, as a page's script does; with a form, post it."""
        return self.client.open(
            address,
            method="POST" if form else "GET",
            data=form or None,
            headers=self._headers,
            base_url=self._origin,
        )

    def send_also(self, **typed: str) -> Shown:
        """Send the first form, and what a button of it or a script adds to its fields."""
        assert self.shown is not None
        form = self.shown.page.form(0)
        address = form.action or self.shown.address
        return self._go(address, method="POST", data=form.fields | typed, targets=["'self'"])

    def send(self, which: int | str = 0, **typed: str) -> Shown:
        """Send a form of the page that is shown: by its number, or by what it is for."""
        assert self.shown is not None
        form = self.shown.page.form(which)
        assert typed.keys() <= form.fields.keys() | {"csrf_token"}
        policy = self.shown.answer.headers["Content-Security-Policy"]
        (rule,) = (part for part in policy.split("; ") if part.startswith("form-action"))
        return self._go(
            form.action or self.shown.address,
            method="POST",
            data=form.fields | typed,
            targets=rule.split()[1:],
        )

    def _go(
        self, address: str, *, method: str, data: dict[str, str] | None, targets: list[str] | None
    ) -> Shown:
        for _ in range(5):
            path = address.removeprefix(self._origin)
            answer = self.client.open(
                path, method=method, data=data, headers=self._headers, base_url=self._origin
            )
            if answer.status_code not in {302, 303}:
                self.shown = Shown(path, answer)
                return self.shown
            address, method, data = answer.headers["Location"], "GET", None
            if not address.startswith("/") and not address.startswith(self._origin):
                parts = urlsplit(address)
                assert targets is None or f"{parts.scheme}://{parts.netloc}" in targets
                return Shown(address, answer)
        raise AssertionError("redirects without end")
