"""A web site of a few files on ``http://localhost``, where browsers allow all that needs HTTPS."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from threading import Thread
from typing import Any, Final

from cheroot.wsgi import Server

from tests.world.wire_tap import WireTap

TYPES: Final = {"html": "text/html", "js": "text/javascript", "json": "application/json"}


@contextmanager
def serving_files(files: Mapping[str, str], *, tap: WireTap | None = None) -> Iterator[str]:
    """Serve texts by path; gives the origin. The page is ``/index.html``, at ``/`` too."""

    def answer(environ: Mapping[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        path = "/index.html" if path == "/" else path
        text = files.get(path)
        if text is None:
            start_response("404 Not Found", [("Content-Length", "0")])
            return []
        kind = TYPES[path.rpartition(".")[2]]
        start_response("200 OK", [("Content-Type", f"{kind}; charset=utf-8")])
        return [text.encode()]

    server = Server(("127.0.0.1", 0), tap.at(answer) if tap else answer, numthreads=4)
    server.prepare()
    thread = Thread(target=server.serve)
    thread.start()
    try:
        yield f"http://localhost:{server.bind_addr[1]}"
    finally:
        server.stop()
        thread.join()
