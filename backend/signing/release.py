"""Signatures leave the service: what the signer approved, collected by who asked for it.

1. Only the relying party that asked, by its ``csc_sad``, for that credential, and hashes that were
   approved. Hashes are compared as bytes.
2. The hashes are leased, the SAM asks its own seven rules (``backend/sam/door.py``) and signs, the
   signatures are written; then they are handed out. Whatever crashes in between, the next call goes
   on from there (``reservation.py``).
3. What the door refuses is over: the transaction fails. Only where the caller asked wrongly (the
   door's rule 5), or the SAM was not there, may it ask again.
"""

import logging
import time
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import Final, final
from uuid import UUID

import msgspec
from sqlalchemy import and_
from sqlalchemy.orm import Session

from backend.algorithms import HashAlgorithm, KeyAlgorithm, SignatureScheme, digest_of
from backend.errors import (
    CellkeyError,
    DoorRefused,
    RequestRefused,
    SamUnavailable,
    TransactionOver,
)
from backend.model.steps import value
from backend.model.tables import TransactionState
from backend.protocol.ask import HashName
from backend.sam.releases import Release, Released, Releases
from backend.signing.evidence import TRANSACTIONS
from backend.signing.hashes import check_hashes
from backend.signing.moves import move
from backend.signing.request import AUTHORITY
from backend.signing.reservation import LEASE, Lease, Wanted, give_back, reserve, which
from backend.signing.storing import store

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.05
PATIENCE: Final = 2 * LEASE
"""How long a caller waits for another one that is signing the same hashes."""
CALLERS_RULE: Final = 5
"""The door's rule that the caller may keep better next time."""

Clock = Callable[[], datetime]

_T: Final = TRANSACTIONS.c
BY_SAD: Final = which(
    and_(
        _T.csc_sad_hash == value(_T.csc_sad_hash, "sad"),
        _T.relying_party_id == value(_T.relying_party_id, "party"),
        _T.cell_id == value(_T.cell_id, "credential"),
        _T.kind == "sign",
    )
)
_REQUEST: Final = which(and_(_T.id == value(_T.id, "request"), _T.kind == "certificate_request"))


@final
class Collector(msgspec.Struct, frozen=True, kw_only=True):
    """The relying party that collects."""

    id: UUID
    client_id: str


@final
class Collection(msgspec.Struct, frozen=True, kw_only=True):
    """What a relying party collects."""

    relying_party: Collector
    csc_sad: str
    credential: UUID
    hashes: tuple[bytes, ...]
    hash_alg: HashName
    scheme: SignatureScheme
    algorithms: frozenset[KeyAlgorithm] = frozenset(KeyAlgorithm)
    """Of keys that may sign as the caller names it."""
    messages: tuple[bytes, ...] | None = None
    """What was hashed, one for each hash: EdDSA signs that itself."""


def release(
    session: Session,
    releases: Releases,
    collection: Collection,
    *,
    now: Clock,
    pause: Callable[[float], None] = time.sleep,
) -> tuple[bytes, ...]:
    """Give a relying party its signatures. Commits before and after the SAM is asked.

    Args:
        session: in whose transactions it happens; none is open while the SAM works.
        releases: the SAM, as far as signatures go.
        collection: what is wanted.
        now: tells the time.
        pause: waits so many seconds for another caller.

    Returns:
        The signatures, in the order of the hashes. A repeat gives the same.

    Raises:
        AuthorizationInvalid: the ``csc_sad`` is not for this relying party and credential.
        HashNotAuthorized: a hash was not approved.
        SignerFrozen: the signer's access is locked.
        NotApproved: there is no approval.
        TransactionOver: it is over, or the door refused its evidence.
        RequestRefused: hashes, scheme or algorithm do not fit, or the certificate has expired.
        MalformedMessage: a row of the list holds something else.
        SamUnavailable: the SAM does not answer, or other callers keep it busy; try again.
        HsmUnavailable: the HSM does not work; try again.
    """
    check_hashes(collection.hashes, collection.hash_alg)
    messages = _messages(collection)
    csc_sad = collection.csc_sad.encode(errors="replace")
    wanted = Wanted(
        which=BY_SAD,
        parameters={
            "sad": sha256(csc_sad).digest(),
            "party": collection.relying_party.id,
            "credential": collection.credential,
        },
        hashes=collection.hashes,
        hash_alg=collection.hash_alg,
        scheme=collection.scheme,
        algorithms=collection.algorithms,
        messages=messages,
    )
    rp = collection.relying_party.client_id
    return _collect(session, releases, wanted, rp=rp, now=now, pause=pause)


def release_certificate_request(
    session: Session,
    releases: Releases,
    *,
    transaction: UUID,
    now: Clock,
    pause: Callable[[float], None] = time.sleep,
) -> bytes:
    """Give the signature over an approved certificate request. Commits as :func:`release` does.

    Raises:
        AuthorizationInvalid: there is no such certificate request.
        CellkeyError: whatever :func:`release` raises.
    """
    wanted = Wanted(
        which=_REQUEST,
        parameters={"request": transaction},
        hashes=None,
        hash_alg="SHA-256",
        scheme=None,
        messages={},
    )
    # Its list has one item; what a row may add to it, the door or the authority will refuse.
    return _collect(session, releases, wanted, rp=AUTHORITY, now=now, pause=pause)[0]


def _messages(collection: Collection) -> dict[bytes, bytes]:
    """Give the messages by their hashes. The SAM says the same; here nothing is reserved yet."""
    if collection.scheme is not SignatureScheme.EDDSA:
        if collection.messages is not None:
            raise RequestRefused("messages are handed in for Ed25519 alone")
        return {}
    if collection.messages is None:
        raise RequestRefused("Ed25519 signs messages, not hashes: hand them in as `messages`")
    hash_algorithm = HashAlgorithm(collection.hash_alg)
    hashes = tuple(digest_of(message, hash_algorithm) for message in collection.messages)
    if hashes != collection.hashes:
        raise RequestRefused("messages are not what the hashes were made of, in that order")
    return dict(zip(hashes, collection.messages, strict=True))


def _collect(
    session: Session,
    releases: Releases,
    wanted: Wanted,
    *,
    rp: str,
    now: Clock,
    pause: Callable[[float], None],
) -> tuple[bytes, ...]:
    """Lease, sign, write, hand out; wait where somebody else is doing it."""
    give_up_at = now() + PATIENCE
    while now() <= give_up_at:
        reservation = reserve(session, wanted, now=now())
        if reservation is None:
            pause(POLL_SECONDS)
            continue
        signatures = reservation.signed_before
        lease = reservation.lease
        if lease is not None:
            released = _ask_the_door(session, releases, lease, rp=rp)
            made, receipt = released.signatures, released.receipt
            if not store(session, lease, signatures=made, receipt=receipt, now=now()):
                continue
            signatures |= dict(zip(lease.hashes, made, strict=True))
        return tuple(signatures[one] for one in reservation.hashes)
    raise SamUnavailable("others are collecting the same signatures; try again")


def _ask_the_door(session: Session, releases: Releases, lease: Lease, *, rp: str) -> Released:
    """Ask the SAM to sign what is leased; where it does not, leave the lease to others."""
    evidence = lease.evidence
    request = Release(
        record=evidence.record,
        blob=evidence.blob,
        ask=evidence.ask,
        items=evidence.items,
        approval=evidence.approval,
        sealed=evidence.sealed,
        requested=lease.positions,
        scheme=lease.scheme,
        messages=lease.messages,
        rp=rp,
    )
    try:
        return releases.release(request)
    except DoorRefused as refusal:
        log.warning(
            "the door refused",
            extra={
                "transaction_id": lease.transaction,
                "rule": refusal.rule,
                "reason": refusal.reason,
            },
        )
        if refusal.rule != CALLERS_RULE:
            _fail(session, lease.transaction, because=str(refusal))
            raise TransactionOver(TransactionState.FAILED) from refusal
        give_back(session, lease)
        raise RequestRefused(refusal.reason) from refusal
    except CellkeyError:
        give_back(session, lease)
        raise


def _fail(session: Session, transaction: UUID, *, because: str) -> None:
    """End what the door will not open. Commits."""
    move(session, transaction, TransactionState.FAILED, ended_because=because)
    session.commit()
