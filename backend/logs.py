"""The log of every process.

A line is one JSON object. Of ``extra`` only ``FIELDS`` reach it. Of an exception only what kind it
was and where: its text may hold anything, unless it is an error of ours.
"""

import logging
from contextvars import ContextVar
from datetime import UTC, datetime
from traceback import extract_tb
from typing import TextIO

import msgspec

from backend.errors import CellkeyError

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Id of the web request that is being answered; stands in each of its log lines."""

FIELDS = frozenset(
    {
        "attempts",
        "cell_id",
        "channel",
        "client_id",
        "duration_ms",
        "event_name",
        "method",
        "operator",
        "pairing_id",
        "reason",
        "route",
        "rule",
        "signer_id",
        "state",
        "status",
        "transaction_id",
        "uid",
    }
)
"""What ``extra`` may carry into a log line. Ids and states; no names, numbers, keys or codes."""


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record; a line break in any value is escaped."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_id.get(),
        }
        line |= {name: value for name, value in vars(record).items() if name in FIELDS}
        if record.exc_info and record.exc_info[1]:
            line["error"] = _describe(record.exc_info[1])
        return msgspec.json.encode(line, enc_hook=str).decode()


class PlainLines(logging.Formatter):
    """The same for a person at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record on one line."""
        error = record.exc_info[1] if record.exc_info else None
        parts = [record.levelname.lower(), record.name, record.getMessage()]
        parts += [f"{name}={value}" for name, value in vars(record).items() if name in FIELDS]
        return " ".join(parts if error is None else [*parts, str(_describe(error))])


def configure_logging(stream: TextIO, *, json: bool = True) -> None:
    """Send the log of the whole process to ``stream``, and nothing of it elsewhere."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines() if json else PlainLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # It says twice at each look at the version that it looks.
    logging.getLogger("alembic").setLevel(logging.WARNING)


def _describe(error: BaseException) -> dict[str, object]:
    """Say what kind of error it was and where, without values."""
    frames = [f"{frame.filename}:{frame.lineno}" for frame in extract_tb(error.__traceback__)]
    ours = {"text": str(error)} if isinstance(error, CellkeyError) else {}
    return {"kind": type(error).__qualname__, "where": frames[-8:], **ours}
