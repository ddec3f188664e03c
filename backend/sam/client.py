"""The SAM in another process, with the same calls as the SAM in this one.

Connections are kept and used again. A call is never repeated by itself: whether a ``release`` took
place is the caller's to find out. Only where the connection was dead before anything was sent is
the call sent on a new one.
"""

import select
import socket
from collections import deque
from pathlib import Path
from typing import Final, TypeVar, final

import msgspec

from backend.errors import MalformedMessage, SamUnavailable
from backend.protocol.known_types import known
from backend.sam.amending import (
    Amend,
    Amended,
    MadeSeed,
    MakeSeed,
    OpenAmendment,
    OpenedAmendment,
    Tighten,
)
from backend.sam.cells import (
    AddSecurityKey,
    ChangedPassword,
    ChangePassword,
    CheckPassword,
    Enrol,
    Enrolled,
    MadeCell,
    MakeCell,
    NextRecord,
    PasswordChecked,
    PasswordSeal,
    PasswordVerifier,
    RemoveDevice,
    RemoveSecurityKey,
    ResetPassword,
    SealedSms,
    SendPairingCode,
    SetPassword,
)
from backend.sam.releases import Release, Released
from backend.sam.service_keys import IssueCertificate, IssuedCertificate, SamHealth
from backend.sam.transactions import (
    ApproveByCode,
    ApprovedByCode,
    CodeSms,
    OpenedTransaction,
    OpenTransaction,
    RenderSms,
)
from backend.sam.wire import (
    Nothing,
    Reply,
    error_from,
    read_members,
    receive_frame,
    send_frame,
    write_call,
)

ANSWER_SECONDS: Final = 60
Result = TypeVar("Result", bound=msgspec.Struct)


@final
class SamClient:
    """All capabilities, over a unix socket."""

    def __init__(self, path: Path) -> None:
        """Remember where the SAM listens; the first call connects."""
        self._path = path
        self._idle: deque[socket.socket] = deque()

    def make_cell(self, request: MakeCell) -> MadeCell:
        """See ``Cells``."""
        return self._call("make_cell", request, MadeCell)

    def open_transaction(self, request: OpenTransaction) -> OpenedTransaction:
        """See ``Transactions``."""
        return self._call("open_transaction", request, OpenedTransaction)

    def make_seed(self, request: MakeSeed) -> MadeSeed:
        """See ``Amendments``."""
        return self._call("make_seed", request, MadeSeed)

    def open_amendment(self, request: OpenAmendment) -> OpenedAmendment:
        """See ``Amendments``."""
        return self._call("open_amendment", request, OpenedAmendment)

    def amend(self, request: Amend) -> Amended:
        """See ``Amendments``."""
        return self._call("amend", request, Amended)

    def tighten(self, request: Tighten) -> Amended:
        """See ``Amendments``."""
        return self._call("tighten", request, Amended)

    def render_sms(self, request: RenderSms) -> CodeSms:
        """See ``Transactions``."""
        return self._call("render_sms", request, CodeSms)

    def approve_by_code(self, request: ApproveByCode) -> ApprovedByCode:
        """See ``Transactions``."""
        return self._call("approve_by_code", request, ApprovedByCode)

    def pairing_code(self, request: SendPairingCode) -> SealedSms:
        """See ``Cells``."""
        return self._call("pairing_code", request, SealedSms)

    def enrol(self, request: Enrol) -> Enrolled:
        """See ``Cells``."""
        return self._call("enrol", request, Enrolled)

    def remove_device(self, request: RemoveDevice) -> NextRecord:
        """See ``Cells``."""
        return self._call("remove_device", request, NextRecord)

    def add_security_key(self, request: AddSecurityKey) -> NextRecord:
        """See ``Cells``."""
        return self._call("add_security_key", request, NextRecord)

    def remove_security_key(self, request: RemoveSecurityKey) -> NextRecord:
        """See ``Cells``."""
        return self._call("remove_security_key", request, NextRecord)

    def check_password(self, request: CheckPassword) -> PasswordChecked:
        """See ``Cells``."""
        return self._call("check_password", request, PasswordChecked)

    def change_password(self, request: ChangePassword) -> ChangedPassword:
        """See ``Cells``."""
        return self._call("change_password", request, ChangedPassword)

    def set_password(self, request: SetPassword) -> PasswordSeal:
        """See ``Cells``."""
        return self._call("set_password", request, PasswordSeal)

    def reset_password(self, request: ResetPassword) -> PasswordVerifier:
        """See ``Cells``."""
        return self._call("reset_password", request, PasswordVerifier)

    def release(self, request: Release) -> Released:
        """See ``Releases``."""
        return self._call("release", request, Released)

    def certificate(self, request: IssueCertificate) -> IssuedCertificate:
        """See ``ServiceKeys``."""
        return self._call("certificate", request, IssuedCertificate)

    def health(self) -> SamHealth:
        """See ``ServiceKeys``."""
        return self._call("health", Nothing(), SamHealth)

    def close(self) -> None:
        """Close the connections that are kept."""
        while self._idle:
            self._idle.pop().close()

    def _call(self, name: str, request: msgspec.Struct, kind: type[Result]) -> Result:
        connection = self._connection()
        try:
            send_frame(connection, write_call(name, request))
            frame = receive_frame(connection)
        except (OSError, SamUnavailable) as error:
            connection.close()
            raise SamUnavailable(f"the SAM at {self._path} does not answer") from error
        if frame is None:
            connection.close()
            raise SamUnavailable(f"the SAM at {self._path} closed the connection")
        self._idle.append(connection)
        return _read(frame, kind)

    def _connection(self) -> socket.socket:
        while self._idle:
            kept = self._idle.pop()
            if _is_alive(kept):
                return kept
            kept.close()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(ANSWER_SECONDS)
        try:
            connection.connect(str(self._path))
        except OSError as error:
            connection.close()
            raise SamUnavailable(f"no SAM listens at {self._path}") from error
        return connection


def _is_alive(kept: socket.socket) -> bool:
    """Whether an idle connection is still open: between calls, nothing but its end can come."""
    coming = select.poll()
    coming.register(kept, select.POLLIN)
    return not coming.poll(0)


def _read(frame: bytes, kind: type[Result]) -> Result:
    try:
        reply = msgspec.json.decode(frame, type=known(Reply))
        if reply.result:
            return read_members(reply.result, kind)
    except (msgspec.MsgspecError, MalformedMessage) as error:
        raise SamUnavailable("the SAM's answer makes no sense") from error
    if reply.error is None:
        raise SamUnavailable("the SAM's answer is empty")
    raise error_from(reply.error)
