"""PDUs of SMPP 3.4, written and read by smpplib.

Of smpplib only this is used: its client blocks, bounds nothing and logs what texts say, and its
way of cutting texts changes them. What a PDU holds is from outside; what cannot be read is an error
of ours, whatever smpplib makes of it.
"""

import re
import struct
from datetime import timedelta
from typing import Any, Final, final

import msgspec
from smpplib import consts, smpp
from smpplib.exceptions import PDUError, UnknownCommandError

from backend.delivery.segmenter import Segment
from backend.delivery.sms_reports import PartState, Report
from backend.errors import MalformedMessage

HEADER_BYTES: Final = 16
LONGEST_PDU: Final = 4096
LONGEST_USER: Final = 15
LONGEST_PASSWORD: Final = 8
MOST_SEQUENCE: Final = 0x7FFFFFFF

OK: Final = int(consts.SMPP_ESME_ROK)
TRY_AGAIN: Final = int(consts.SMPP_ESME_RX_T_APPN)
THROTTLED: Final = frozenset({consts.SMPP_ESME_RTHROTTLED, consts.SMPP_ESME_RMSGQFUL})
UNKNOWN: Final = frozenset(
    {consts.SMPP_ESME_RBINDFAIL, consts.SMPP_ESME_RINVPASWD, consts.SMPP_ESME_RINVSYSID}
)
"""Of an answer to a bind: it does not know us."""
REFUSED: Final = frozenset(
    {
        consts.SMPP_ESME_RINVMSGLEN,
        consts.SMPP_ESME_RINVDSTADR,
        consts.SMPP_ESME_RINVDSTTON,
        consts.SMPP_ESME_RINVDSTNPI,
    }
)
"""Of an answer to a text: it never takes this one."""

_INTERNATIONAL: Final = 1
_SHORT_CODE: Final = 3
_NAME: Final = 5
_E164: Final = 1
_HEADER_FOLLOWS: Final = 0x40
_KIND_OF_DELIVERY: Final = 0x3C
_IS_REPORT: Final = 0x04
_DELIVERED: Final = int(consts.SMPP_MESSAGE_STATE_DELIVERED)
_FAILED: Final = {
    int(consts.SMPP_MESSAGE_STATE_EXPIRED): "expired",
    int(consts.SMPP_MESSAGE_STATE_DELETED): "deleted",
    int(consts.SMPP_MESSAGE_STATE_UNDELIVERABLE): "undeliverable",
    int(consts.SMPP_MESSAGE_STATE_REJECTED): "rejected",
}
_STATES: Final = {
    "DELIVRD": _DELIVERED,
    "EXPIRED": int(consts.SMPP_MESSAGE_STATE_EXPIRED),
    "DELETED": int(consts.SMPP_MESSAGE_STATE_DELETED),
    "UNDELIV": int(consts.SMPP_MESSAGE_STATE_UNDELIVERABLE),
    "REJECTD": int(consts.SMPP_MESSAGE_STATE_REJECTED),
}
"""As the text of a report spells them (SMPP 3.4, appendix B)."""
_REPORT: Final = re.compile(rb"id:(?P<id>\S{1,65})(?=.*?\bstat:(?P<state>[A-Z]{7}))", re.DOTALL)
_ERROR: Final = re.compile(rb"\berr:(?P<code>[0-9A-Za-z]{1,8})")


@final
class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first 16 octets."""

    length: int
    command: int
    status: int
    sequence: int


@final
class PartReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a report says, and of which part."""

    reference: str
    report: Report


def read_header(octets: bytes) -> Header:
    """Read a header.

    Raises:
        MalformedMessage: its length is none of a PDU.
    """
    length, command, status, sequence = struct.unpack(">LLLL", octets)
    if not HEADER_BYTES <= length <= LONGEST_PDU:
        raise MalformedMessage(f"a PDU of {length} octets")
    return Header(length=length, command=command, status=status, sequence=sequence)


def name_of(header: Header) -> str:
    """Name a PDU's command; empty if there is none of that number."""
    try:
        return str(smpp.pdu.command_codes.get_command_name(header.command))
    except UnknownCommandError:
        return ""


# --- what we send -----------------------------------------------------------------


def bind(*, user: str, password: str, sequence: int) -> bytes:
    """Sign in, to send and to hear reports."""
    return _written("bind_transceiver", sequence, system_id=user, password=password)


def submit(
    part: Segment, *, number: str, sender: str, valid_for: timedelta, sequence: int
) -> bytes:
    """Send a part, and ask for its report."""
    source_ton, source_npi = _kind_of_sender(sender)
    return _written(
        "submit_sm",
        sequence,
        source_addr_ton=source_ton,
        source_addr_npi=source_npi,
        source_addr=sender.removeprefix("+"),
        dest_addr_ton=_INTERNATIONAL,
        dest_addr_npi=_E164,
        destination_addr=number.removeprefix("+"),
        esm_class=_HEADER_FOLLOWS if part.header else 0,
        validity_period=_period(valid_for),
        registered_delivery=1,
        data_coding=int(part.alphabet),
        short_message=part.header + part.body,
    )


def plain(command: str, *, sequence: int, status: int = OK) -> bytes:
    """Write a PDU that is nothing but its header, or an empty message id after it."""
    return _written(command, sequence, status=status)


def _written(command: str, sequence: int, *, status: int = OK, **members: object) -> bytes:
    pdu = smpp.make_pdu(command, client=None, sequence=sequence, **members)
    pdu.sequence, pdu.status = sequence, status
    octets: bytes = pdu.generate()
    return octets


def _kind_of_sender(sender: str) -> tuple[int, int]:
    if sender.startswith("+"):
        return _INTERNATIONAL, _E164
    return (_SHORT_CODE, 0) if sender.isdecimal() else (_NAME, 0)


def _period(left: timedelta) -> str:
    """Write how long a text is good, counted from now (SMPP 3.4, 7.1.1.2)."""
    seconds = max(1, int(left.total_seconds()))
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"0000{min(days, 30):02}{hours:02}{minutes:02}{seconds:02}000R"


# --- what we hear -----------------------------------------------------------------


def read_reference(octets: bytes) -> str:
    """Read from an answer what the SMS centre calls a part.

    Raises:
        MalformedMessage: it says nothing.
    """
    reference = _text(_read(octets).message_id)
    if not reference:
        raise MalformedMessage("the SMS centre does not say what it calls a text")
    return reference


def read_report(octets: bytes) -> PartReport | None:
    """Read a report on a part; ``None`` where it is none, or says nothing final.

    Raises:
        MalformedMessage: it cannot be read.
    """
    pdu = _read(octets)
    if (pdu.esm_class or 0) & _KIND_OF_DELIVERY != _IS_REPORT:
        return None
    written = pdu.short_message or b""
    found = _REPORT.search(written)
    reference = _text(getattr(pdu, "receipted_message_id", None))
    state = getattr(pdu, "message_state", None)
    if found is not None:
        reference = reference or _text(found["id"])
        state = state or _STATES.get(_text(found["state"]))
    if not reference:
        raise MalformedMessage("a report names no text")
    if state == _DELIVERED:
        return PartReport(reference=reference, report=Report(state=PartState.DELIVERED))
    if state not in _FAILED:
        return None
    code = _ERROR.search(written)
    reason = _FAILED[state] + (f", error {_text(code['code'])}" if code else "")
    return PartReport(
        reference=reference, report=Report(state=PartState.FAILED, unverified_reason=reason)
    )


def _read(octets: bytes) -> Any:  # noqa: ANN401  # smpplib ships no types
    try:
        return smpp.parse_pdu(octets, client=_NOBODY, allow_unknown_opt_params=True)
    except (PDUError, UnknownCommandError, struct.error) as error:
        raise MalformedMessage("a PDU that cannot be read") from error
    except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
        # What smpplib makes of a member where it does not belong.
        raise MalformedMessage("a PDU that cannot be read") from error


def _text(octets: object) -> str:
    return octets.decode("latin-1").strip("\0 ") if isinstance(octets, bytes) else ""


@final
class _Nobody:
    """Stands where smpplib wants a client: sequences are ours."""

    sequence = 0

    def next_sequence(self) -> int:
        return 0


_NOBODY: Final = _Nobody()
