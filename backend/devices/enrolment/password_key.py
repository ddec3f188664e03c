"""The password, typed again, where it is to bring the cell's secret.

1. Here and in the SAM it opens a lock only for the holder of a ticket, which the same password gave
   a moment ago, and only beside the pairing code.
2. It is checked before a code is counted: a slip of the finger costs none. A try is counted before
   it is checked, as everywhere (T-16).
"""

from datetime import datetime

from sqlalchemy.orm import Session

from backend.devices.enrolment.held import HeldPairing, presented
from backend.errors import HsmUnavailable, MalformedMessage, PairingOver, SamUnavailable
from backend.protocol.enrolment import read_enrolment
from backend.sam.cells import Cells, PasswordKey
from backend.signers import password


def password_key(
    session: Session,
    cells: Cells,
    held: HeldPairing,
    *,
    unverified_password: str | None,
    now: datetime,
) -> PasswordKey | None:
    """Check the password, where the phone brought no secret; ``None`` where it did. Commits.

    Raises:
        MalformedMessage: there is no password, and it is needed.
        WrongPassword: it is wrong.
        TooManyTries: too many were, or another try runs; nothing was checked.
        PairingOver: the password lock was destroyed meanwhile.
        SamUnavailable: the SAM does not answer; the try does not count.
    """
    if read_enrolment(presented(held)).sealed is not None:
        return None
    if unverified_password is None:
        raise MalformedMessage("the phone brought no secret: the password is needed again")
    if held.password_lock is None or held.verifier is None:
        raise PairingOver("the password opens this cell no more: use the recovery code")
    tries = password.Tries(used=held.password_tries, last_at=held.password_tried_at)
    password.refuse_paused(tries, now=now)
    hashed = password.argon2_hash(unverified_password, held.salt)
    password.count_try(session, signer=held.signer, tries=tries, now=now)
    try:
        password.check(
            cells,
            signer=held.signer,
            password_hash=hashed,
            verifier=held.verifier,
            ask=None,
        )
    except (SamUnavailable, HsmUnavailable):
        password.give_try_back(session, signer=held.signer)
        raise
    password.forget_tries(session, signer=held.signer)
    return PasswordKey(lock=held.password_lock, password_hash=hashed)
