"""Codes sent to the verified number: each is bound to what it confirms, by a MAC under KP.

A pairing code is bound to one enrolment, so it says which phone is meant, not only that somebody
waits for a code; the code of a transaction is bound to its ask. Three tries for an ask (T-15).
"""

import hmac
from typing import Final, final

from backend.errors import WrongCode
from backend.hsm.protocol import Hsm
from backend.protocol.ask import VerifiedAsk
from backend.protocol.codes import digits
from backend.protocol.enrolment import enrolment_hash
from backend.sam.tries import Tries

PAIRING: Final = b"cell-pair-sms-v1\0"
TRANSACTION: Final = b"cell-sms-v1\0"
TRIES: Final = 3


@final
class PairingCodes:
    """Makes and checks pairing codes, under KP."""

    def __init__(self, hsm: Hsm) -> None:
        """Keep the HSM that holds KP."""
        self._hsm = hsm
        self._tries = Tries(allowed=TRIES)

    def code(self, enrolment: str) -> str:
        """The code of an enrolment."""
        return digits(self._hsm.pepper(PAIRING + enrolment_hash(enrolment)))

    def check(self, unverified_code: str, *, enrolment: str, ask: VerifiedAsk, now: int) -> None:
        """Check a code; the attempt is counted before it is judged.

        Raises:
            WrongCode: it is wrong.
            TooManyTries: three were wrong for this ask.
        """
        left = self._tries.count(ask.tx_hash, until=ask.claims.use_by, now=now)
        given = unverified_code.replace(" ", "").encode("utf-8")
        if not hmac.compare_digest(given, self.code(enrolment).encode("ascii")):
            raise WrongCode(left)
        self._tries.forget(ask.tx_hash)


@final
class SmsCodes:
    """Makes the codes of transactions, under KP; who counts is ``code_approvals.py``."""

    def __init__(self, hsm: Hsm) -> None:
        """Keep the HSM that holds KP."""
        self._hsm = hsm

    def code(self, tx_hash: bytes) -> str:
        """The code of an ask."""
        return digits(self._hsm.pepper(TRANSACTION + tx_hash))
