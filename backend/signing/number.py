"""Number matching: the phone names the two digits that the other screen shows (T-01).

1. They are made here and stand in the transaction's row: no phone is told them, and CSC tells them
   to nobody. Only our own page shows them (``oauth.pages``), to who began the transaction there.
2. Compared once, in constant time. Another number ends the transaction: one guess in a hundred.
3. Against approving by habit, nothing more. The door has no rule of it.
"""

from hmac import compare_digest
from secrets import randbelow
from typing import Final

from backend.errors import WrongNumber
from backend.protocol.approval import ApprovalClaims
from backend.protocol.ask import VerifiedAsk

NUMBERS: Final = 100


def new_number() -> str:
    """Make two digits."""
    return f"{randbelow(NUMBERS):02}"


def check_number(claims: ApprovalClaims, *, ask: VerifiedAsk, expected: str | None) -> None:
    """Check the number in an approval; that it stands there exactly if asked was checked before.

    Args:
        claims: of the approval.
        ask: says whether a number is asked; a row could be written to say otherwise.
        expected: of the row. Without it no number is right.

    Raises:
        WrongNumber: it is another one.
    """
    if not ask.claims.number_asked:
        return
    if not compare_digest(claims.number or "", expected or "none"):
        raise WrongNumber("the number is not that of the other screen")
