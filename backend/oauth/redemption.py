"""A code becomes tokens, in one commit, once.

1. What comes a second time was copied: the family ends (``access/families.py``).
2. The access token of scope ``credential`` is the ``csc_sad``: it is made here, in the commit that
   consumes the code, and the transaction ends with it, after five minutes at most (CSC-57).
3. Nothing for a signer who is frozen, and nothing after ``use_by``.
"""

from datetime import datetime, timedelta
from typing import Any, Final, final
from uuid import UUID

import msgspec
from sqlalchemy import Row, select, update
from sqlalchemy.orm import Session

from backend.access.families import end_family
from backend.access.tokens import LIFE, TokenFacts, add_token, new_token, token_hash
from backend.errors import AuthorizationInvalid
from backend.model.tables import (
    Authorization,
    Transaction,
    TransactionState,
)
from backend.oauth.refreshing import FAMILY_LIFE, SignedInFamily, Tokens, service_tokens
from backend.oauth.request import CREDENTIAL, AuthorizationRequest
from backend.protocol.known_types import known
from backend.signers.freeze import not_frozen
from backend.signing.authorization import PHONE

CREDENTIAL_LIFE: Final = timedelta(minutes=5)


@final
class StoredCode(msgspec.Struct, frozen=True, kw_only=True):
    """A code that may be redeemed, and what it stands for."""

    authorization: UUID
    relying_party: UUID
    signer: UUID
    transaction: UUID | None
    request: AuthorizationRequest
    created_at: datetime

    def get_redirect_uri(self) -> str | None:
        """What the token request must name, in Authlib's words."""
        return self.request.redirect_uri if self.request.names_redirect_uri else None


def find_code(
    session: Session, unverified_code: str, *, relying_party: UUID, now: datetime
) -> StoredCode | None:
    """Find a code of this relying party; one that was used before ends its family. Commits."""
    row = session.execute(
        select(
            Authorization.id,
            Authorization.signer_id,
            Authorization.transaction_id,
            Authorization.request,
            Authorization.code_expires_at,
            Authorization.code_used_at,
            Authorization.created_at,
        ).where(
            Authorization.code_hash == token_hash(unverified_code),
            Authorization.relying_party_id == relying_party,
        )
    ).one_or_none()
    if row is not None and row.code_used_at is not None:
        end_family(session, row.id, because="a code came again", now=now)
    session.commit()
    if row is None or row.code_used_at is not None or row.code_expires_at <= now:
        return None
    return StoredCode(
        authorization=row.id,
        relying_party=relying_party,
        signer=row.signer_id,
        transaction=row.transaction_id,
        request=msgspec.json.decode(row.request, type=known(AuthorizationRequest)),
        created_at=row.created_at,
    )


def redeem_code(
    session: Session,
    stored: StoredCode,
    *,
    bound_to: str | None,
    refreshable: bool,
    now: datetime,
) -> Tokens:
    """Consume a code and make its tokens. Commits.

    Raises:
        AuthorizationInvalid: somebody was faster; or what was approved is over, or its signer
            frozen.
    """
    is_service = stored.transaction is None
    kept_until = now + (FAMILY_LIFE if is_service and refreshable else LIFE)
    used = session.scalar(
        update(Authorization)
        .where(
            Authorization.id == stored.authorization,
            Authorization.code_used_at.is_(None),
            Authorization.code_expires_at > now,
            not_frozen(Authorization.signer_id),  # type: ignore[arg-type]  # set with the code
        )
        .values(code_used_at=now, expires_at=kept_until)
        .returning(Authorization.id)
        .execution_options(synchronize_session=False)
    )
    if used is None:
        session.rollback()
        raise AuthorizationInvalid("the code was used, or the signer is frozen")
    if stored.transaction is not None:
        return _redeem_approval(session, stored, stored.transaction, bound_to=bound_to, now=now)
    family = SignedInFamily(
        authorization=stored.authorization,
        relying_party=stored.relying_party,
        signer=stored.signer,
        created_at=stored.created_at,
    )
    return service_tokens(session, family, bound_to=bound_to, refreshable=refreshable, now=now)


def _redeem_approval(
    session: Session,
    stored: StoredCode,
    transaction: UUID,
    *,
    bound_to: str | None,
    now: datetime,
) -> Tokens:
    """Make the ``csc_sad`` of what was approved."""
    token = new_token()
    found = session.execute(
        select(
            Transaction.cell_id,
            Transaction.expires_at,
            Transaction.use_by,
            Transaction.method,
        ).where(Transaction.id == transaction)
    ).one()
    ends_at = min(found.use_by, now + CREDENTIAL_LIFE)
    handed_out = _hand_out(session, transaction, token, found, ends_at=ends_at, now=now)
    if not handed_out:
        session.rollback()
        raise AuthorizationInvalid("what was approved is over")
    facts = TokenFacts(
        relying_party=stored.relying_party,
        scope=CREDENTIAL,
        expires_at=ends_at,
        signer=stored.signer,
        credential=found.cell_id,
        authorization=stored.authorization,
        bound_to=bound_to,
    )
    add_token(session, token, facts, now=now)
    session.commit()
    return Tokens(
        access_token=token,
        scope=CREDENTIAL,
        expires_in=max(int((ends_at - now).total_seconds()), 1),
        credential=found.cell_id,
        request=stored.request,
        method=found.method or PHONE,
    )


def _hand_out(
    session: Session,
    transaction: UUID,
    token: str,
    found: Row[*tuple[Any, ...]],
    *,
    ends_at: datetime,
    now: datetime,
) -> bool:
    handed_out = session.scalar(
        update(Transaction)
        .where(
            Transaction.id == transaction,
            Transaction.state == TransactionState.APPROVED,
            Transaction.use_by > now,
        )
        .values(
            csc_sad_hash=token_hash(token),
            use_by=ends_at,
            expires_at=min(found.expires_at, ends_at),
        )
        .returning(Transaction.id)
        .execution_options(synchronize_session=False)
    )
    return handed_out is not None
