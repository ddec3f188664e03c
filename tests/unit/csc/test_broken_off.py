"""Whether the caller is still there, told by a real socket (CSC-128)."""

import socket
from collections.abc import Iterator

import pytest

from backend.csc.broken_off import SOCKETS, is_gone

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture(params=[None, 3600.0])
def connection(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Our end and the caller's; servers set a timeout, which must never be waited for."""
    ours, theirs = socket.socketpair()
    ours.settimeout(request.param)
    yield ours, theirs
    ours.close()
    theirs.close()


@pytest.mark.parametrize("name", SOCKETS)
def test_a_caller_that_waits_is_there(connection: Pair, name: str) -> None:
    assert not is_gone({name: connection[0]})


def test_a_caller_that_has_sent_more_is_there_and_loses_nothing(connection: Pair) -> None:
    ours, theirs = connection
    theirs.send(b"more")
    assert not is_gone({SOCKETS[0]: ours})
    assert ours.recv(10) == b"more"


def test_a_caller_that_has_closed_is_gone(connection: Pair) -> None:
    ours, theirs = connection
    theirs.close()
    assert is_gone({SOCKETS[0]: ours})


def test_a_connection_that_the_server_has_closed_is_gone(connection: Pair) -> None:
    connection[0].close()
    assert is_gone({SOCKETS[0]: connection[0]})


def test_nobody_is_gone_where_the_server_shows_no_socket() -> None:
    assert not is_gone({})
    assert not is_gone({SOCKETS[0]: object()})
