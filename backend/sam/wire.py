"""The SAM's calls as bytes: a length, then JSON, read into the capabilities' types on both sides.

A frame is a 4-byte big-endian length and that many bytes of JSON. A call is
``{"call": name, "request": {…}}``, an answer ``{"result": {…}}`` or ``{"error": {…}}``. An error
names a class of :mod:`backend.errors`; an unknown one becomes ``SamUnavailable``.
"""

import base64
import socket
import struct
from typing import Final, TypeVar, final

import msgspec

from backend import errors
from backend.errors import CellkeyError, SamUnavailable
from backend.protocol.encoding import Octets, Octets32
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

LENGTH: Final = struct.Struct(">I")
LONGEST_FRAME: Final = 16 * 1024 * 1024
"""A release of 10 000 items has room in it."""


@final
class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The request of a call that takes none."""


Members = TypeVar("Members", bound=msgspec.Struct)

CALLS: Final[dict[str, tuple[type[msgspec.Struct], type[msgspec.Struct]]]] = {
    "make_cell": (MakeCell, MadeCell),
    "open_transaction": (OpenTransaction, OpenedTransaction),
    "make_seed": (MakeSeed, MadeSeed),
    "open_amendment": (OpenAmendment, OpenedAmendment),
    "amend": (Amend, Amended),
    "tighten": (Tighten, Amended),
    "render_sms": (RenderSms, CodeSms),
    "approve_by_code": (ApproveByCode, ApprovedByCode),
    "pairing_code": (SendPairingCode, SealedSms),
    "enrol": (Enrol, Enrolled),
    "remove_device": (RemoveDevice, NextRecord),
    "add_security_key": (AddSecurityKey, NextRecord),
    "remove_security_key": (RemoveSecurityKey, NextRecord),
    "check_password": (CheckPassword, PasswordChecked),
    "change_password": (ChangePassword, ChangedPassword),
    "set_password": (SetPassword, PasswordSeal),
    "reset_password": (ResetPassword, PasswordVerifier),
    "release": (Release, Released),
    "certificate": (IssueCertificate, IssuedCertificate),
    "health": (Nothing, SamHealth),
}
"""Every call there is: its request and its result."""


@final
class Call(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call on the wire; the request is read once its name is known."""

    call: str
    request: msgspec.Raw


@final
class ErrorReply(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A refusal on the wire; the members that its class has."""

    name: str
    message: str
    rule: int | None = None
    field: str | None = None
    tries_left: int | None = None
    retry_after_seconds: int | None = None


NO_RESULT: Final = msgspec.Raw()


@final
class Reply(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """An answer on the wire: one of the two."""

    result: msgspec.Raw = NO_RESULT
    error: ErrorReply | None = None


def error_reply(error: CellkeyError) -> ErrorReply:
    """Write an error."""
    return ErrorReply(
        name=type(error).__name__,
        message=getattr(error, "reason", str(error)),
        rule=getattr(error, "rule", None),
        field=getattr(error, "field", None),
        tries_left=getattr(error, "tries_left", None),
        retry_after_seconds=getattr(error, "retry_after_seconds", None),
    )


def error_from(reply: ErrorReply) -> CellkeyError:
    """Read an error back."""
    kind = getattr(errors, reply.name, None)
    if not (isinstance(kind, type) and issubclass(kind, CellkeyError)):
        return SamUnavailable(f"the SAM answered {reply.name[:40]}: {reply.message[:200]}")
    if issubclass(kind, errors.Refused):
        return kind(reply.rule or 0, reply.message)
    if issubclass(kind, errors.SummaryRefused):
        field = reply.field or "fields"
        return kind(field, reply.message.removeprefix(f"{field}: "))
    if issubclass(kind, errors.WrongCode):
        return kind(reply.tries_left or 0)
    if issubclass(kind, errors.TooManyTries | errors.TooManyRequests):
        return kind(reply.message, reply.retry_after_seconds)  # type: ignore[arg-type]  # written by error_reply
    return kind(reply.message)


def send_frame(connection: socket.socket, body: bytes) -> None:
    """Send one frame."""
    connection.sendall(LENGTH.pack(len(body)) + body)


def receive_frame(connection: socket.socket) -> bytes | None:
    """Receive one frame; ``None`` when the other side has closed between frames.

    Raises:
        SamUnavailable: it closed within one, or announced too long a one.
    """
    head = _receive(connection, LENGTH.size)
    if head is None:
        return None
    (length,) = LENGTH.unpack(head)
    if length > LONGEST_FRAME:
        raise SamUnavailable("a frame that is too long")
    body = _receive(connection, length)
    if body is None:
        raise SamUnavailable("closed within a frame")
    return body


def _receive(connection: socket.socket, length: int) -> bytes | None:
    parts: list[bytes] = []
    missing = length
    while missing:
        part = connection.recv(min(missing, 1 << 16))
        if not part:
            if parts:
                raise SamUnavailable("closed within a frame")
            return None
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def write_call(name: str, request: msgspec.Struct) -> bytes:
    """Write a call."""
    return msgspec.json.encode(Call(call=name, request=_raw(request)))


def write_result(result: msgspec.Struct) -> bytes:
    """Write an answer that is a result."""
    return msgspec.json.encode(Reply(result=_raw(result)))


def write_error(error: CellkeyError) -> bytes:
    """Write an answer that is an error."""
    return msgspec.json.encode(Reply(error=error_reply(error)))


def read_members(raw: msgspec.Raw, kind: type[Members]) -> Members:
    """Read a request, or a result, into its type.

    Raises:
        msgspec.MsgspecError: it is not of that type.
    """
    return msgspec.json.decode(raw, type=known(kind), dec_hook=_octets)


def _raw(members: msgspec.Struct) -> msgspec.Raw:
    # Octets, too, are written as plain base64 here: this is not a message of the protocol.
    return msgspec.Raw(msgspec.json.encode(members, enc_hook=bytes))


def _octets(kind: type[object], value: object) -> object:
    if kind in {Octets, Octets32} and isinstance(value, str):
        return kind(base64.b64decode(value, validate=True))
    raise ValueError("not base64")
