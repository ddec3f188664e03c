"""A transaction begins: somebody asks the signer.

1. Who asks, for which hashes and in which words is settled here for good: the SAM renders the text
   and signs the ask, and every later step goes by that.
2. One commit holds transaction, authorised hashes and the messages that wake the phones: none of
   them is there without the others.
3. The relying party gets a ``handle``, of which only the hash is kept: whoever reads the database
   can neither poll for the answer nor collect the signatures.
4. While the SAM works, no transaction of the database is open.
5. A relying party asks within its limits (``limits.py``); how often that wakes a phone is another
   matter (``delivery/wakes.py``).
"""

from datetime import UTC, datetime
from hashlib import sha256
from secrets import token_bytes
from typing import Any, Final, Literal, final
from uuid import UUID

import msgspec
from sqlalchemy import Row, insert, select
from sqlalchemy.orm import Session

from backend.delivery.outbox import enqueue_push, enqueue_text
from backend.errors import (
    AlreadyThere,
    NotFound,
    RequestRefused,
    SummaryRefused,
)
from backend.model.tables import (
    FURTHER,
    AuthorisedHash,
    Cell,
    Transaction,
    TransactionState,
)
from backend.protocol.ask import AskingParty, HashName, KeyThumbprints
from backend.protocol.encoding import b64u
from backend.protocol.names import readable_name
from backend.sam.transactions import (
    OpenedTransaction,
    OpenTransaction,
    RequestedItem,
    Transactions,
)
from backend.settings import Settings
from backend.signing.adding import add_asked
from backend.signing.askable import language, needs_certificate, read_cell
from backend.signing.authorization import csc_sad_of
from backend.signing.hashes import check_hashes
from backend.signing.limits import asker, asking, refuse_or_go_on
from backend.signing.number import new_number
from backend.signing.texts import (
    address_of,
    check_answerable,
    refuse_unanswerable,
    text_of,
    times_of,
)
from backend.summary.reading import numbered_labels
from backend.summary.text import Language

HANDLE_BYTES: Final = 32
AUTHORITY: Final = "authority"
"""Id, in an ask's ``rp``, of the authority itself."""


@final
class Requester(msgspec.Struct, frozen=True, kw_only=True):
    """The relying party that asks."""

    id: UUID
    client_id: str
    name: str
    asks_number: bool = False
    """Whether the phone must name the number of the other screen."""


@final
class SignatureOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What a relying party wants to have signed."""

    relying_party: Requester
    credential: UUID
    hashes: tuple[bytes, ...]
    hash_alg: HashName
    labels: tuple[str, ...] | None
    """One for each hash; without them the documents are numbered, each type by itself."""
    fields: dict[str, Any] | None
    """The typed ``transaction``; without it the request is ``generic``."""
    description: str | None
    """The relying party's own words, where there is no typed ``transaction``."""
    lang: Literal["ru", "en"] | None
    """``None``: the signer's."""
    has_page: bool = True
    """Whether a page of ours shows it to the signer; without one a phone alone can answer."""


@final
class RequestedTransaction(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked, and what the relying party polls by."""

    id: UUID
    handle: bytes
    """256 random bits, for that relying party alone."""
    expires_at: datetime


@final
class OpenedEnrolment(msgspec.Struct, frozen=True, kw_only=True):
    """An ask to enrol that no row knows yet."""

    id: UUID
    ask: str
    expires_at: datetime
    row: dict[str, object]


# --- by a relying party ---------------------------------------------------------


def request_signatures(
    session: Session,
    transactions: Transactions,
    order: SignatureOrder,
    *,
    settings: Settings,
    now: datetime,
) -> RequestedTransaction:
    """Ask a signer, in a relying party's name, for signatures. Commits.

    Raises:
        NotFound: there is no such credential, or it has no certificate yet.
        SignerFrozen: the signer's access is locked.
        RequestRefused: hashes, labels or the certificate's time do not fit.
        SummaryRefused: a field cannot be shown to a signer (T-06).
        RecordRefused: the cell's record does not allow it.
        TooManyRequests: this relying party asks too often, or this signer too much at a time.
        PartyStopped: the signer said "not me" to this relying party.
    """
    check_hashes(order.hashes, order.hash_alg)
    party = order.relying_party
    may = asker(relying_party=party.id, settings=settings, now=now)
    cell = read_cell(session, order.credential, asker=may)
    asked = asking(signer=cell.signer_id, relying_party=party.id, settings=settings)
    if not cell.may_ask:
        refuse_or_go_on(session, asked, now=now)
    if cell.certificate is None or cell.certificate_expires_at is None:
        raise NotFound("no such credential")
    refuse_unanswerable(cell, has_page=order.has_page)
    if cell.certificate_expires_at <= now:
        raise RequestRefused("the certificate has expired")
    lang = order.lang or language(cell.lang)
    exp = int(now.timestamp()) + settings.transaction_seconds
    fields = _fields(order)
    ask = OpenTransaction(
        record=cell.record,
        kind="sign",
        rp=AskingParty(id=party.client_id, name=party.name),
        lang=lang,
        zone=cell.zone,
        fields=fields,
        items=_items(order, fields, lang=lang),
        hash_alg=order.hash_alg,
        exp=exp,
        use_by=exp + settings.use_seconds,
        number_asked=party.asks_number,
        sms=address_of(cell, settings) if order.has_page else None,
    )
    opened = transactions.open_transaction(ask)
    check_answerable(cell, opened)
    handle = token_bytes(HANDLE_BYTES)
    row = transaction_row(cell, ask, opened, now=now) | {
        "relying_party_id": party.id,
        "handle_hash": sha256(handle).digest(),
        "csc_sad_hash": sha256(csc_sad_of(handle).encode()).digest(),
        "number": new_number() if party.asks_number else None,
    }
    at_once = settings.pushes_per_ten_minutes
    listed = list(zip(opened.items, opened.hashes, strict=True))
    text = None if opened.sms is None else text_of(opened.sms)
    add_asked(session, row, listed, asked, at_once=at_once, now=now, sms=text)
    return RequestedTransaction(id=opened.id, handle=handle, expires_at=_instant(exp))


def _fields(order: SignatureOrder) -> dict[str, Any]:
    """Give the typed request; a description belongs to the ``generic`` one alone."""
    if order.fields is None:
        description = {} if order.description is None else {"description": order.description}
        return {"type": "generic", **description}
    if order.description is not None:
        raise SummaryRefused("description", "stands in the transaction, not beside it")
    return order.fields


def _items(
    order: SignatureOrder, fields: dict[str, Any], *, lang: Language
) -> tuple[RequestedItem, ...]:
    labels = order.labels or numbered_labels(fields, count=len(order.hashes), lang=lang)
    if len(labels) != len(order.hashes):
        raise RequestRefused("one label for each hash")
    return tuple(
        RequestedItem(label=label, hash=wanted)
        for label, wanted in zip(labels, order.hashes, strict=True)
    )


# --- by the authority -----------------------------------------------------------


def request_certificate(
    session: Session, transactions: Transactions, *, cell: UUID, settings: Settings, now: datetime
) -> UUID:
    """Ask a signer for the first approval, that of the certificate request. Commits.

    Two clerks may come at once: the cell's row is locked before the last look, one of them goes on.

    Returns:
        The transaction.

    Raises:
        NotFound: there is no such cell.
        SignerFrozen: the signer's access is locked.
        AlreadyThere: see :func:`~backend.signing.askable.needs_certificate`.
        CredentialDisabled: no phone is paired, and no SMS can be written.
        SummaryRefused: the registered name cannot be shown, or is not the certificate's.
        RecordRefused: the record does not allow it.
    """
    found = read_cell(session, cell)
    exp = int(now.timestamp()) + settings.first_approval_seconds
    ask = OpenTransaction(
        record=found.record,
        kind="certificate_request",
        rp=AskingParty(id=AUTHORITY, name=settings.ca_name),
        lang=language(found.lang),
        zone=found.zone,
        fields={
            "type": "certificate_request",
            "subject": b64u(found.subject),
            "name": readable_name(found.subject),
            "ca": settings.ca_name,
            "algorithm": found.algorithm,
        },
        items=(),
        hash_alg="SHA-256",
        exp=exp,
        use_by=exp + settings.use_seconds,
        sms=address_of(found, settings),
    )
    opened = transactions.open_transaction(ask)
    session.execute(select(Cell.id).where(Cell.id == cell).with_for_update(key_share=True))
    if session.scalar(select(Cell.id).where(Cell.id == cell, needs_certificate())) is None:
        raise AlreadyThere("there is a certificate, a request for it, or nobody to ask")
    check_answerable(found, opened)
    session.execute(insert(Transaction).values(transaction_row(found, ask, opened, now=now)))
    _add_list(session, opened)
    enqueue_push(session, transaction=opened.id, cell=cell, now=now, expires_at=_instant(exp))
    if opened.sms is not None:
        enqueue_text(session, transaction=opened.id, text=text_of(opened.sms))
    session.commit()
    return opened.id


def request_enrolment(
    session: Session,
    transactions: Transactions,
    *,
    cell: UUID,
    signer_name: str,
    settings: Settings,
    now: datetime,
    use_seconds: int,
    further: KeyThumbprints | None = None,
) -> OpenedEnrolment:
    """Ask a phone to enrol. Writes nothing: :func:`add_enrolment` does, in the ticket's commit.

    Args:
        session: read from; the read is ended by a commit.
        transactions: who signs the ask.
        cell: what the phone is to be paired with.
        signer_name: whose signature that is, as the phone shows it.
        settings: the authority's name.
        now: from when on.
        use_seconds: how long the pairing may take, from its ticket to its confirmation.
        further: the keys of a further phone, which a paired one has to approve.

    Raises:
        NotFound: there is no such cell.
        SignerFrozen: the signer's access is locked.
        SummaryRefused: the name cannot be shown.
        RecordRefused: the record does not allow it.
    """
    found = read_cell(session, cell)
    use_by = int(now.timestamp()) + use_seconds
    ask = OpenTransaction(
        record=found.record,
        kind="enrol",
        rp=AskingParty(id=AUTHORITY, name=settings.ca_name),
        lang=language(found.lang),
        zone=found.zone,
        fields={"type": "enrol", "name": signer_name},
        items=(),
        hash_alg=None,
        exp=use_by,
        use_by=use_by,
        key_thumbprints=further,
    )
    opened = transactions.open_transaction(ask)
    row = transaction_row(found, ask, opened, now=now)
    if further is not None:
        row["kind"] = FURTHER
    return OpenedEnrolment(id=opened.id, ask=opened.ask, expires_at=_instant(use_by), row=row)


def add_enrolment(session: Session, opened: OpenedEnrolment) -> None:
    """Write an ask to enrol. Does not commit."""
    session.execute(insert(Transaction).values(opened.row))


# --- for all of them ------------------------------------------------------------


def _instant(unix_seconds: int) -> datetime:
    return datetime.fromtimestamp(unix_seconds, UTC)


def transaction_row(
    cell: Row[*tuple[Any, ...]], ask: OpenTransaction, opened: OpenedTransaction, *, now: datetime
) -> dict[str, object]:
    """Make the row of a transaction that the SAM opened."""
    return {
        "id": opened.id,
        "kind": ask.kind,
        "cell_id": cell.id,
        "signer_id": cell.signer_id,
        "epoch": opened.epoch,
        "state": TransactionState.PENDING,
        "ask": opened.ask,
        "tx_hash": opened.tx_hash,
        "hash_alg": ask.hash_alg,
        "created_at": now,
        "expires_at": _instant(ask.exp),
        "use_by": _instant(ask.use_by),
        "document_count": len(opened.items),
        **times_of(opened.sms),
    }


def _add_list(session: Session, opened: OpenedTransaction) -> None:
    rows = [
        {"transaction_id": opened.id, "position": position, "item": item, "hash": wanted}
        for position, (item, wanted) in enumerate(zip(opened.items, opened.hashes, strict=True))
    ]
    session.execute(insert(AuthorisedHash), rows)
