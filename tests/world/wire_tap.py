"""Reads along at the door of an application: every request, to the byte."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

Wsgi = Callable[[Any, Any], Iterable[bytes]]


@dataclass(frozen=True)
class Tapped:
    """One request that arrived."""

    where: str
    """Method and address."""
    headers: Mapping[str, str]
    """By their names as WSGI has them."""
    body: bytes

    @property
    def content(self) -> bytes:
        """All of it."""
        lines = [self.where, *(f"{name}: {value}" for name, value in self.headers.items())]
        return "\n".join(lines).encode("latin-1", "replace") + b"\n" + self.body


@dataclass
class WireTap:
    """What arrived at the doors where it stands; from any thread."""

    tapped: list[Tapped] = field(default_factory=list)

    def at(self, app: Wsgi) -> Wsgi:
        """The same application, with somebody who reads along."""

        def tapping(environ: Any, start_response: Any) -> Iterable[bytes]:  # noqa: ANN401  # WSGI
            length = environ.get("CONTENT_LENGTH")
            is_chunked = "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "")
            body = environ["wsgi.input"].read(*([] if is_chunked else [int(length or 0)]))
            environ["wsgi.input"] = BytesIO(body)
            if is_chunked:
                environ["CONTENT_LENGTH"] = str(len(body))
            headers = {name: str(value) for name, value in environ.items() if _is_header(name)}
            where = (
                f"{environ['REQUEST_METHOD']} {environ['wsgi.url_scheme']}://"
                f"{environ['HTTP_HOST']}{environ['PATH_INFO']}?{environ['QUERY_STRING']}"
            )
            self.tapped.append(Tapped(where, headers, body))
            return app(environ, start_response)

        return tapping


def _is_header(name: str) -> bool:
    return name.startswith("HTTP_") or name == "CONTENT_TYPE"
