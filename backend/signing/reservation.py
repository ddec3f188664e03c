"""Whose turn it is to sign: a lease of the transaction.

1. Who collects leases the transaction for a while; others wait and take over. A crash in between
   loses nothing: when the lease is over, the next caller goes on from the rows.
2. A lease is taken only while the evidence is there, the signer is not
   frozen, the phone stays, and nobody ended the transaction: one conditional statement.
3. A signature that is there already is not made again; see :mod:`backend.signing.storing`.

Nothing here decides whether the signer agreed: the door does, from evidence.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, final
from uuid import UUID, uuid4

import msgspec
from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    and_,
    exists,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from backend.algorithms import REQUEST_SCHEMES, KeyAlgorithm, SignatureScheme
from backend.errors import AlgorithmUnfit, HashNotAuthorized, TransactionOver
from backend.model.steps import Step, change, look, value
from backend.model.tables import (
    Approval,
    Cell,
    Refusal,
    TransactionState,
)
from backend.protocol.ask import HashName
from backend.signers.freeze import not_frozen
from backend.signing.evidence import (
    TRANSACTIONS,
    Entry,
    Evidence,
    approving_phone_stays,
    check_redeemable,
    count_signed,
    evidence_of,
    read_list,
    whole,
)
from backend.signing.hashes import MOST_HASHES
from backend.signing.moves import move
from backend.signing.repetition import check_repeated

log = logging.getLogger(__name__)

LEASE: Final = timedelta(seconds=10)
SIGNATURE: Final = timedelta(milliseconds=1)
SLOW_SIGNATURE: Final = timedelta(milliseconds=6)
"""By RSA."""
LONGEST_LEASE: Final = LEASE + MOST_HASHES * SLOW_SIGNATURE
_T: Final = TRANSACTIONS.c


@final
class Which(msgspec.Struct, frozen=True, kw_only=True):
    """Names a transaction, by parameters; made when the module is loaded, as its statements are."""

    condition: ColumnElement[bool]
    lease: Step
    read: Select[*tuple[Any, ...]]


def which(condition: ColumnElement[bool]) -> Which:
    """Make the statements for transactions that are named so."""
    leasable = and_(
        condition,
        _T.state == TransactionState.APPROVED,
        _T.use_by > value(_T.use_by, "now"),
        # A lease that ends later than any lease can is none: clocks differ, rows may lie.
        or_(
            _T.reserved_until.is_(None),
            _T.reserved_until <= value(_T.use_by, "now"),
            _T.reserved_until > value(_T.use_by, "far"),
        ),
        exists().where(Approval.transaction_id == _T.id, Approval.sealed.is_not(None)),
        ~exists().where(Refusal.transaction_id == _T.id),
        exists().where(
            Cell.id == _T.cell_id,
            or_(
                Cell.certificate_expires_at.is_(None),
                Cell.certificate_expires_at > value(_T.use_by, "now"),
            ),
        ),
        not_frozen(_T.signer_id),
        approving_phone_stays(_T.id),
    )
    lease = (
        update(TRANSACTIONS)
        .where(leasable)
        .values(
            reserved_by=value(_T.reserved_by, "holder"),
            reserved_until=value(_T.reserved_until, "until"),
        )
    )
    columns = [_T[name] for name in _READ]
    return Which(
        condition=condition,
        lease=Step(lease, returning=columns, look=whole),
        read=whole(select(*columns).where(condition).subquery()),
    )


_READ: Final = (
    *("id", "kind", "cell_id", "signer_id", "state", "ask"),
    *("expires_at", "use_by", "signed_count", "document_count"),
)


@final
class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be collected."""

    which: Which
    parameters: dict[str, object]
    """Of ``which``."""
    hashes: tuple[bytes, ...] | None
    """``None`` for the whole list."""
    hash_alg: HashName
    scheme: SignatureScheme | None
    """``None``: as the key signs requests for certificates."""
    messages: Mapping[bytes, bytes]
    """EdDSA: what was hashed, by hash; else empty."""
    algorithms: frozenset[KeyAlgorithm] = frozenset(KeyAlgorithm)
    """Of keys that the caller means."""


@final
class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """Some hashes are ours to sign, until ``LEASE`` is over."""

    holder: UUID
    transaction: UUID
    evidence: Evidence
    scheme: SignatureScheme
    hashes: tuple[bytes, ...]
    """What is to be signed."""
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


def lease_of(wanted: Wanted) -> timedelta:
    """How long a caller may take: a large batch by RSA-4096 is most of a minute's work."""
    slow = wanted.scheme in {SignatureScheme.RSA_PKCS1, SignatureScheme.RSA_PSS}
    return LEASE + len(wanted.hashes or ()) * (SLOW_SIGNATURE if slow else SIGNATURE)


def reserve(session: Session, wanted: Wanted, *, now: datetime) -> Reservation | None:
    """Lease the transaction, if something that is wanted is not signed yet. Commits.

    Returns:
        ``None`` while somebody else is signing.

    Raises:
        AuthorizationInvalid: there is no such transaction.
        HashNotAuthorized: a hash is not in its list.
        SignerFrozen: the signer's access is locked.
        NotApproved: the approval, or what it sealed, is not there.
        MalformedMessage: the list is none.
        TransactionOver: it is over, or the time to collect is, or the phone was removed.
        RequestRefused: the certificate has expired, or the hash was signed in another way.
    """
    holder = uuid4()
    times = {"now": now, "until": now + lease_of(wanted), "far": now + 2 * LONGEST_LEASE}
    found = wanted.which.lease.run(session, {**wanted.parameters, **times, "holder": holder})
    if found is None:
        return _signed_before(session, wanted, now=now)
    try:
        if _is_stale(found):
            found = look(session, BY_ID.read, {"transaction": found.id}) or found
        reservation = _reservation(wanted, found, holder=holder)
    except Exception:
        _give_back(session, found.id, holder)
        raise
    if reservation.lease is None:
        _give_back(session, found.id, holder)
    return reservation


def _is_stale(found: Row[*tuple[Any, ...]]) -> bool:
    """Whether the list is older than the lease.

    Who waited for the row's lock reads everything else as it was before; somebody may have signed.
    """
    return bool(count_signed(found) != found.signed_count)


def _signed_before(session: Session, wanted: Wanted, *, now: datetime) -> Reservation | None:
    """Give what is there where nothing can be leased, or learn why; ``None`` to wait."""
    found = look(session, wanted.which.read, wanted.parameters)
    check_redeemable(found, now)
    assert found is not None  # noqa: S101  # as just checked
    reservation = _reservation(wanted, found, holder=None)
    if reservation.lease is None:
        return reservation
    if not found.phone_stays:
        because = "the phone that approved was removed"
        move(session, found.id, TransactionState.FAILED, ended_because=because)
        session.commit()
        raise TransactionOver(TransactionState.FAILED)
    return None


def _reservation(
    wanted: Wanted, found: Row[*tuple[Any, ...]], *, holder: UUID | None
) -> Reservation:
    """Compare what is wanted with the list; without a holder the lease is nobody's."""
    if found.algorithm not in wanted.algorithms:
        raise AlgorithmUnfit(f"{found.algorithm} has another")
    listed = read_list(found)
    hashes = wanted.hashes or tuple(listed)
    if not listed or not listed.keys() >= set(hashes):
        raise HashNotAuthorized("a hash that was not approved")
    scheme = wanted.scheme or REQUEST_SCHEMES[found.algorithm]
    signed = _signed(listed, hashes)
    made_for = {(wanted.messages.get(one, one)): signature for one, signature in signed.items()}
    check_repeated(made_for, spki=found.spki, scheme=scheme, hash_alg=wanted.hash_alg)
    unsigned = [listed[one] for one in hashes if one not in signed]
    lease = None
    if unsigned:
        lease = Lease(
            holder=holder or _NOBODY,
            transaction=found.id,
            evidence=evidence_of(found, listed),
            scheme=scheme,
            hashes=tuple(entry.hash for entry in unsigned),
            positions=tuple(entry.position for entry in unsigned),
            messages=_messages(wanted, unsigned),
        )
    return Reservation(hashes=hashes, signed_before=signed, lease=lease)


def _signed(listed: Mapping[bytes, Entry], hashes: Sequence[bytes]) -> dict[bytes, bytes]:
    """Signatures that were made before, by their hash."""
    made = ((one, listed[one].signature) for one in hashes)
    return {one: signature for one, signature in made if signature is not None}


def _messages(wanted: Wanted, unsigned: Sequence[Entry]) -> tuple[bytes, ...]:
    """EdDSA: what is still to be signed; else nothing."""
    return tuple(wanted.messages[each.hash] for each in unsigned if wanted.messages)


def give_back(session: Session, lease: Lease) -> None:
    """Let others sign what we could not. Commits."""
    _give_back(session, lease.transaction, lease.holder)


def _give_back(session: Session, transaction: UUID, holder: UUID) -> None:
    change(session, _GIVE_BACK, {"transaction": transaction, "holder": holder})


# --- the statements -------------------------------------------------------------

_NOBODY: Final = UUID(int=0)
THE_TRANSACTION: Final = value(_T.id, "transaction")
BY_ID: Final = which(_T.id == THE_TRANSACTION)

_GIVE_BACK: Final = (
    update(TRANSACTIONS)
    .where(
        _T.id == THE_TRANSACTION,
        _T.reserved_by == value(_T.reserved_by, "holder"),
    )
    .values(reserved_by=None, reserved_until=None)
)
