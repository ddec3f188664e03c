"""``cellkey sam``: the SAM behind a unix socket.

Peers are admitted by user id, as the kernel tells it (SO_PEERCRED); others are closed without a
word. A connection carries calls one after the other; each has its thread.
"""

import logging
import os
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, final

import msgspec

from backend.errors import CellkeyError, MalformedMessage, SamUnavailable
from backend.protocol.known_types import known
from backend.sam.housekeeping import keep_house
from backend.sam.module import Sam
from backend.sam.wire import (
    CALLS,
    Call,
    Nothing,
    read_members,
    receive_frame,
    send_frame,
    write_error,
    write_result,
)

log = logging.getLogger(__name__)

CREDENTIALS: Final = struct.Struct("3i")
"""struct ucred of unix(7): pid, uid, gid."""
SOCKET_MODE: Final = 0o660

Answer = Callable[[msgspec.Struct], msgspec.Struct]


@final
class SamServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answers the SAM's calls on a unix socket."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, path: Path, *, sam: Sam, peers: frozenset[int]) -> None:
        """Listen; a socket left by a dead server is replaced.

        Args:
            path: of the socket.
            sam: who answers.
            peers: user ids that are admitted.
        """
        self.sam = sam
        self.peers = peers
        self.answers: Mapping[str, Answer] = {
            name: getattr(sam, name) for name in CALLS if name != "health"
        }
        path.unlink(missing_ok=True)
        super().__init__(str(path), Conversation)
        path.chmod(SOCKET_MODE)

    def serve(self, stop: threading.Event) -> None:
        """Serve until told to stop, and keep house meanwhile."""
        serving = threading.Thread(target=self.serve_forever, name="sam-accept")
        serving.start()
        try:
            keep_house(self.sam, stop)
        finally:
            self.shutdown()
            serving.join()
            self.server_close()


class Conversation(socketserver.BaseRequestHandler):
    """One connection."""

    server: SamServer

    def handle(self) -> None:
        """Answer calls until the peer closes."""
        connection: socket.socket = self.request
        uid = _peer_uid(connection)
        if uid not in self.server.peers:
            log.warning("a peer is not admitted", extra={"uid": uid})
            return
        try:
            while (frame := receive_frame(connection)) is not None:
                send_frame(connection, answer(frame, self.server))
        except (OSError, SamUnavailable) as error:
            log.info("a connection broke", extra={"reason": str(error)})


def answer(unverified_frame: bytes, server: SamServer) -> bytes:
    """Answer one call."""
    try:
        call = msgspec.json.decode(unverified_frame, type=known(Call))
        kind, _ = CALLS[call.call]
        request = read_members(call.request, kind)
        if isinstance(request, Nothing):
            return write_result(server.sam.health())
        return write_result(server.answers[call.call](request))
    except (msgspec.MsgspecError, KeyError) as error:
        return write_error(MalformedMessage(f"not a call of the SAM: {error}"))
    except CellkeyError as error:
        return write_error(error)
    except Exception:  # the process's outer edge: one call's failure ends no other
        log.exception("a call failed")
        return write_error(SamUnavailable("the SAM failed; its log says why"))


def _peer_uid(connection: socket.socket) -> int:
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    _, uid, _ = CREDENTIALS.unpack(credentials)
    return int(uid)


def admitted(peers: tuple[int, ...]) -> frozenset[int]:
    """The user ids that are admitted: those named, and our own."""
    return frozenset({*peers, os.getuid()})
