"""A reader of server-sent events that goes no further than what has come."""

import http.client
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event."""

    id: str
    data: str


class EventStream:
    """An open stream."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.status = response.status
        self._response = response

    def next(self) -> Event:
        """The next event; waits for it. Comments are heartbeats, and passed over."""
        found: dict[str, str] = {}
        while line := self._response.readline().decode():
            name, _, value = line.rstrip("\n").partition(": ")
            if line == "\n" and "data" in found:
                return Event(id=found["id"], data=found["data"])
            found[name] = value
        raise EOFError("the stream ended")

    def raw_line(self) -> str:
        """The next line, whatever it is; empty at the end."""
        return self._response.readline().decode()


@contextmanager
def event_stream(address: str, *, last_event_id: str | None = None) -> Iterator[EventStream]:
    """Open a stream, as a browser does, at first or with what it had last."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
    headers = {"Accept": "text/event-stream"}
    if last_event_id is not None:
        headers["Last-Event-ID"] = last_event_id
    connection.request("GET", f"{parts.path}/events", headers=headers)
    response = connection.getresponse()
    try:
        yield EventStream(response)
    finally:
        if isinstance(connection.sock, socket.socket):
            connection.sock.close()
        response.close()
        connection.close()
