"""A web server on this machine, for what is to be met over a real socket."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from backend.virtual_phone.transport import Request
from tests.unit.virtual_phone.paper_service import PaperService

Application = Callable[[dict[str, Any], Callable[..., object]], list[bytes]]


class Quiet(WSGIRequestHandler):
    """Writes no access log."""

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@contextmanager
def serving(application: Application) -> Iterator[str]:
    """Serve an application; its address."""
    with make_server("127.0.0.1", 0, application, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def on_the_web(paper: PaperService) -> Application:
    """The paper service as an application."""

    def application(environ: dict[str, Any], start: Callable[..., object]) -> list[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        query = f"?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else ""
        request = Request(
            method=environ["REQUEST_METHOD"],
            url=f"http://{environ['HTTP_HOST']}{environ['PATH_INFO']}{query}",
            headers={"Authorization": environ.get("HTTP_AUTHORIZATION", "")},
            body=environ["wsgi.input"].read(length) if length else None,
        )
        answer = paper.send(request, timeout_seconds=1)
        headers = [("Date", answer.headers["date"]), ("Content-Length", str(len(answer.body)))]
        start(f"{answer.status} Said", headers)
        return [answer.body]

    return application
