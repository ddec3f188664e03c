"""backend/waiting/connections.py: how much the kernel hands over and keeps."""

import socket

from backend.waiting.connections import RECEIVE_BUFFER, SEND_BUFFER, open_socket


def test_little_is_kept_for_a_connection_either_way() -> None:
    with open_socket("127.0.0.1", 0) as listener:
        listener.settimeout(None)
        with socket.create_connection(listener.getsockname()):
            taken, _ = listener.accept()
            with taken:
                # Linux doubles what is asked for, for its own records.
                for option, most in (
                    (socket.SO_RCVBUF, RECEIVE_BUFFER),
                    (socket.SO_SNDBUF, SEND_BUFFER),
                ):
                    assert taken.getsockopt(socket.SOL_SOCKET, option) <= 2 * most
