"""A relying party exchanges its ``csc_sad`` for another one (CSC API 2.0, 11.9).

1. It stands for the same approval, the same hashes and the same time: nothing is prolonged, and
   what the signer did not see is not added.
2. The old one is dead with the commit. So is the handle that it followed from.
3. What is all signed is not exchanged: its ``csc_sad`` has done what it was for.
"""

import secrets
from datetime import datetime
from hashlib import sha256
from typing import Final, final
from uuid import UUID

import msgspec
from sqlalchemy import update
from sqlalchemy.orm import Session

from backend.errors import AuthorizationInvalid, HashNotAuthorized
from backend.model.steps import look
from backend.model.tables import Transaction, TransactionState
from backend.signing.authorization import PHONE, Authorization
from backend.signing.evidence import check_redeemable, read_list
from backend.signing.release import BY_SAD

SAD_BYTES: Final = 32


@final
class Extension(msgspec.Struct, frozen=True, kw_only=True):
    """What a relying party hands in."""

    relying_party: UUID
    csc_sad: str
    credential: UUID
    hashes: tuple[bytes, ...]
    """What it is going to collect; empty: it does not say."""


def extend(session: Session, extension: Extension, *, now: datetime) -> Authorization:
    """Give a new ``csc_sad`` for one that counts. Commits.

    Raises:
        AuthorizationInvalid: it does not count for this relying party and credential, or all is
            signed, or somebody was faster.
        HashNotAuthorized: a hash was not approved.
        SignerFrozen: the signer's access is locked.
        NotApproved: there is no approval.
        TransactionOver: it is over, or the time to collect is.
        RequestRefused: the certificate has expired.
    """
    old = sha256(extension.csc_sad.encode(errors="replace")).digest()
    named = {
        "sad": old,
        "party": extension.relying_party,
        "credential": extension.credential,
    }
    found = look(session, BY_SAD.read, named)
    check_redeemable(found, now)
    assert found is not None  # noqa: S101  # as just checked
    if not read_list(found).keys() >= set(extension.hashes):
        raise HashNotAuthorized("a hash that was not approved")
    csc_sad = secrets.token_urlsafe(SAD_BYTES)
    kept = session.execute(
        update(Transaction)
        .where(
            Transaction.id == found.id,
            Transaction.csc_sad_hash == old,
            Transaction.state == TransactionState.APPROVED,
        )
        .values(csc_sad_hash=sha256(csc_sad.encode()).digest())
        .returning(Transaction.use_by, Transaction.method)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    if kept is None:
        session.rollback()
        raise AuthorizationInvalid("it was exchanged, or all of it is signed")
    session.commit()
    seconds = int((kept.use_by - now).total_seconds())
    return Authorization(csc_sad=csc_sad, expires_in=max(seconds, 1), method=kept.method or PHONE)
