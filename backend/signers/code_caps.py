"""The bounds of approvals by code, as the installation has them now (R-126, T-24)."""

from typing import Any

from backend.protocol.record import AmountCap
from backend.settings import Settings


def code_caps(settings: Settings) -> dict[str, Any]:
    """Give the members ``amounts`` and ``sms_delay`` of a record's caps."""
    pairs = (amount.split() for amount in settings.code_amounts)
    return {
        "amounts": tuple(AmountCap(currency=currency, value=value) for currency, value in pairs),
        "sms_delay": settings.sms_delay_seconds,
    }
