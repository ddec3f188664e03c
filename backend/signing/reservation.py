"""One signature for an authorised hash: a lease before the SAM is asked, a row afterwards.

1. Before the SAM is asked, the wanted hashes are leased in a commit of their own, all or none. Who
   finds one leased waits, then takes over: a crash costs the rest of a lease, nothing else.
2. Afterwards receipt and signatures are written in one commit, if the transaction is approved,
   its signer not frozen and the phone not removed. Only what was written leaves the service.
3. The key (transaction, position) lets one of two holders write. The other one's signatures are
   dropped, and it hands out those of the first.
4. With the last signature the transaction is redeemed, and the sealed secret erased.

Nothing here decides whether the signer agreed: the door does, from evidence.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, final
from uuid import UUID, uuid4

import msgspec
from sqlalchemy import ColumnElement, Row, exists, insert, literal, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.algorithms import REQUEST_SCHEMES, SignatureScheme
from backend.errors import HashNotAuthorized, NotApproved, TransactionOver
from backend.model.tables import AuthorisedHash, Receipt, Signature, Transaction, TransactionState
from backend.protocol.ask import HashName
from backend.signers.freeze import not_frozen
from backend.signing.evidence import (
    Entry,
    Evidence,
    approving_phone_stays,
    check_redeemable,
    find,
    read_list,
)
from backend.signing.moves import move
from backend.signing.repetition import check_repeated

log = logging.getLogger(__name__)

LEASE: Final = timedelta(seconds=10)


@final
class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be collected."""

    which: ColumnElement[bool]
    """Names the transaction."""
    hashes: tuple[bytes, ...] | None
    """``None`` for the whole list."""
    hash_alg: HashName
    scheme: SignatureScheme | None
    """``None``: as the key signs requests for certificates."""
    messages: Mapping[bytes, bytes]
    """EdDSA: what was hashed, by hash; else empty."""


@final
class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """Some hashes are ours to sign, until ``LEASE`` is over."""

    holder: UUID
    transaction: UUID
    evidence: Evidence
    scheme: SignatureScheme
    hashes: tuple[bytes, ...]
    """What is leased."""
    positions: tuple[int, ...]
    """Where that stands in the list."""
    messages: tuple[bytes, ...]
    """EdDSA: what was hashed; else empty."""


@final
class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted: some of it perhaps signed before, the rest leased."""

    hashes: tuple[bytes, ...]
    """All that is wanted, in the caller's order."""
    signed_before: dict[bytes, bytes]
    """Signatures by their hash."""
    lease: Lease | None
    """``None``: nothing is left to be signed."""


def reserve(session: Session, wanted: Wanted, *, now: datetime) -> Reservation | None:
    """Lease what is wanted and not signed yet. Commits.

    The transaction's row is locked meanwhile, so that callers take turns.

    Returns:
        ``None`` while somebody else is signing one of the hashes.

    Raises:
        AuthorizationInvalid: there is no such transaction.
        HashNotAuthorized: a hash is not in its list.
        SignerFrozen: the signer's access is locked.
        NotApproved: the approval, or what it sealed, is not there.
        MalformedMessage: the list is none.
        TransactionOver: it is over, or the time to collect is, or the phone was removed.
        RequestRefused: the certificate has expired, or the hash was signed in another way.
    """
    found = find(session, wanted.which)
    check_redeemable(found, now)
    listed = read_list(session, found.id)
    hashes = wanted.hashes or tuple(listed)
    if not listed or not listed.keys() >= set(hashes):
        raise HashNotAuthorized("a hash that was not approved")
    # A row that names no algorithm of ours gets a scheme too: the door refuses it.
    scheme = wanted.scheme or REQUEST_SCHEMES.get(found.algorithm, SignatureScheme.ECDSA)
    made = ((one, listed[one].signature) for one in hashes)
    signed = {one: signature for one, signature in made if signature is not None}
    made_for = {(wanted.messages.get(one, one)): signature for one, signature in signed.items()}
    check_repeated(made_for, spki=found.spki, scheme=scheme, hash_alg=wanted.hash_alg)
    unsigned = [listed[one] for one in hashes if one not in signed]
    if any(_is_leased(entry, now) for entry in unsigned):
        session.commit()
        return None
    lease = None
    if unsigned:
        _end_for_removed_phone(session, found)
        positions = tuple(entry.position for entry in unsigned)
        lease = Lease(
            holder=_lease(session, found.id, positions, now),
            transaction=found.id,
            evidence=_evidence(found, listed.values()),
            scheme=scheme,
            hashes=tuple(entry.hash for entry in unsigned),
            positions=positions,
            messages=tuple(wanted.messages[e.hash] for e in unsigned if e.hash in wanted.messages),
        )
    session.commit()
    return Reservation(hashes=hashes, signed_before=signed, lease=lease)


def store(
    session: Session, lease: Lease, *, signatures: Sequence[bytes], receipt: str, now: datetime
) -> bool:
    """Write what the SAM signed. Commits, or leaves no trace.

    Returns:
        Whether these are the ones to hand out; ``False``: others came first.

    Raises:
        SignerFrozen: the signer was frozen meanwhile.
        TransactionOver: the transaction was ended meanwhile.
    """
    receipt_id = _add_receipt(session, lease.transaction, receipt)
    if receipt_id is None:
        session.rollback()
        _lost(lease, "the transaction was ended, its signer frozen, or the phone removed")
        check_redeemable(find(session, Transaction.id == lease.transaction), now)
        session.commit()
        return False
    rows = [
        {
            "transaction_id": lease.transaction,
            "position": position,
            "signature": signature,
            "receipt_id": receipt_id,
            "signed_at": now,
        }
        for position, signature in zip(lease.positions, signatures, strict=True)
    ]
    try:
        session.execute(insert(Signature), rows)
    except IntegrityError:
        session.rollback()
        _lost(lease, "another holder of the lease was faster")
        return False
    move(session, lease.transaction, TransactionState.REDEEMED, _all_signed(lease.transaction))
    session.commit()
    return True


def give_back(session: Session, lease: Lease) -> None:
    """Let others sign what we could not. Commits."""
    session.execute(
        update(AuthorisedHash)
        .where(
            AuthorisedHash.transaction_id == lease.transaction,
            AuthorisedHash.reserved_by == lease.holder,
        )
        .values(reserved_by=None, reserved_until=None)
        .execution_options(synchronize_session=False)
    )
    session.commit()


def _end_for_removed_phone(session: Session, found: Row[*tuple[Any, ...]]) -> None:
    """End what was approved by a phone that is removed; what was signed before stays."""
    if found.phone_stays:
        return
    because = "the phone that approved was removed"
    move(session, found.id, TransactionState.FAILED, ended_because=because)
    session.commit()
    raise TransactionOver(TransactionState.FAILED)


def _is_leased(entry: Entry, now: datetime) -> bool:
    """A lease that ends later than any lease can is none: clocks differ, rows may lie."""
    return entry.reserved_until is not None and now < entry.reserved_until <= now + 2 * LEASE


def _lease(session: Session, transaction: UUID, positions: Sequence[int], now: datetime) -> UUID:
    holder = uuid4()
    session.execute(
        update(AuthorisedHash)
        .where(AuthorisedHash.transaction_id == transaction, AuthorisedHash.position.in_(positions))
        .values(reserved_by=holder, reserved_until=now + LEASE)
        .execution_options(synchronize_session=False)
    )
    return holder


def _evidence(found: Row[*tuple[Any, ...]], listed: Iterable[Entry]) -> Evidence:
    if found.sealed is None:
        raise NotApproved("what the signer sealed is not there any more")
    return Evidence(
        record=found.record,
        blob=found.blob,
        ask=found.ask,
        items=tuple(entry.item for entry in listed),
        approval=found.approval,
        sealed=found.sealed,
    )


def _add_receipt(session: Session, transaction: UUID, receipt: str) -> UUID | None:
    """Add the receipt, if signatures may still leave; the transaction's row is locked by it."""
    receipt_id = uuid4()
    still_approved = (
        select(literal(receipt_id), Transaction.id, literal(receipt))
        .where(
            Transaction.id == transaction,
            Transaction.state == TransactionState.APPROVED,
            not_frozen(Transaction.signer_id),
            approving_phone_stays(),
        )
        .with_for_update(key_share=True)
    )
    columns = ["id", "transaction_id", "receipt"]
    return session.scalar(
        insert(Receipt).from_select(columns, still_approved).returning(Receipt.id)
    )


def _all_signed(transaction: UUID) -> ColumnElement[bool]:
    """Say in SQL that each authorised hash has its signature."""
    signature = exists().where(
        Signature.transaction_id == transaction, Signature.position == AuthorisedHash.position
    )
    return ~exists().where(AuthorisedHash.transaction_id == transaction, ~signature)


def _lost(lease: Lease, reason: str) -> None:
    """Say why a receipt's number will be missing (design, invariant 4)."""
    log.warning(
        "signatures dropped, nobody received them",
        extra={"transaction_id": lease.transaction, "reason": reason},
    )
