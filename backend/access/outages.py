"""What is down and may be up again in a moment: every API says 503 and when to repeat."""

from typing import Final

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from backend.errors import HsmUnavailable, Overloaded, SamUnavailable

OUTAGES: Final = (
    HsmUnavailable,
    InterfaceError,
    OperationalError,
    Overloaded,
    PoolTimeout,
    SamUnavailable,
)
RETRY_SECONDS: Final = 2
"""For ``Retry-After``."""
