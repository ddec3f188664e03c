"""backend/csc/broken_off.py, with real sockets"""

import select
import socket
from collections.abc import Iterator

import pytest

from backend.csc.broken_off import SOCKETS, is_gone

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """The server's end of a connection, and its caller's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        caller = socket.create_connection(listener.getsockname())
        served, _ = listener.accept()
        with served, caller:
            yield served, caller


def heard_of(served: socket.socket) -> None:
    """Wait until what the caller did has arrived."""
    select.select([served], [], [])


@pytest.mark.parametrize("name", SOCKETS)
def test_a_caller_that_waits_is_there(pair: Pair, name: str) -> None:
    assert not is_gone({name: pair[0]})


@pytest.mark.parametrize("name", SOCKETS)
def test_a_caller_that_has_closed_is_gone(pair: Pair, name: str) -> None:
    served, caller = pair
    caller.close()
    heard_of(served)

    assert is_gone({name: served})


def test_a_caller_that_was_cut_off_is_gone(pair: Pair) -> None:
    """A reset connection cannot be read from."""
    served, caller = pair
    served.sendall(b"unread")
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    caller.close()
    heard_of(served)

    assert is_gone({"cellkey.socket": served})


def test_what_a_caller_has_sent_ahead_stays_to_be_read(pair: Pair) -> None:
    """Its next request, pipelined."""
    served, caller = pair
    caller.sendall(b"POST")

    heard_of(served)
    assert not is_gone({"cellkey.socket": served})

    assert served.recv(4) == b"POST"


def test_a_socket_that_is_closed_here_has_no_caller(pair: Pair) -> None:
    pair[0].close()

    assert is_gone({"cellkey.socket": pair[0]})


@pytest.mark.parametrize("environ", [{}, {"cellkey.socket": None}, {"wsgi.input": b""}])
def test_where_the_server_shows_no_socket_the_caller_is_taken_to_wait(
    environ: dict[str, object],
) -> None:
    assert not is_gone(environ)
