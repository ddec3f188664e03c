"""A phone adds a security key of its own, or removes one: the record's next epoch, at once.

1. Adding is the signer's word, which the SAM checks (``sam/security_keys.py``); a freeze stops it.
   Removing needs nothing, and no freeze stops it.
2. What was added already is not added again: an answer that was lost may be asked for again.
3. The SAM is asked before anything is written. Where the record went on meanwhile, nothing is.
"""

import logging
from datetime import datetime

from sqlalchemy.orm import Session

from backend.access.phones import ProvenCall, use_up
from backend.errors import NotFound, PairingConflict
from backend.model.epochs import follow
from backend.protocol.security_key import read_security_key
from backend.sam.cells import AddSecurityKey, Cells, NextRecord, RemoveSecurityKey
from backend.signers.freeze import refuse_frozen

log = logging.getLogger(__name__)


def add_security_key(
    session: Session, cells: Cells, *, call: ProvenCall, message: str, now: datetime
) -> None:
    """Have the SAM believe a further passkey of the phone that calls. Commits.

    Args:
        session: no transaction of it is open while the SAM works.
        cells: who decides.
        call: by the phone; its proof is used up.
        message: ``cell-security-key+jwt``, not verified yet.
        now: the time.

    Raises:
        MalformedMessage: the message is not this phone's.
        SignerFrozen: the signer's access is locked.
        SecurityKeyRefused: a rule of the SAM was not kept.
        PairingConflict: the record went on meanwhile; make another message.
        ProofReplayed: the request came before.
    """
    phone = call.phone
    new = read_security_key(message, expected_device=phone.device).webauthn.registration.id
    refuse_frozen(session, phone.signer)
    session.rollback()
    if any(key.id == new for key in phone.device.security_keys):
        use_up(session, call.proof)
        session.commit()
        return
    following = cells.add_security_key(AddSecurityKey(record=phone.record, message=message))
    refuse_frozen(session, phone.signer)
    _follow(session, call, following, now=now)
    log.warning("security key added", extra={"cell_id": phone.cell})


def remove_security_key(
    session: Session, cells: Cells, *, call: ProvenCall, credential: bytes, now: datetime
) -> None:
    """Have the SAM believe a security key of the phone that calls no more. Commits.

    Raises:
        NotFound: the phone has no such key.
        PairingConflict: the record went on meanwhile.
        ProofReplayed: the request came before.
    """
    phone = call.phone
    if all(key.id != credential for key in phone.device.security_keys):
        raise NotFound("this phone has no such security key")
    session.rollback()
    removal = RemoveSecurityKey(record=phone.record, kid=phone.kid, id=credential)
    _follow(session, call, cells.remove_security_key(removal), now=now)
    log.warning("security key removed", extra={"cell_id": phone.cell})


def _follow(session: Session, call: ProvenCall, following: NextRecord, *, now: datetime) -> None:
    use_up(session, call.proof)
    if not follow(
        session, call.phone.cell, record=following.record, epoch=following.epoch, now=now
    ):
        session.rollback()
        raise PairingConflict("the record went on meanwhile")
    session.commit()
