"""Whether the service kept its word: the ledger of the clients against the rows.

1. Every acknowledged transaction is there, and is signed, refused or expired.
2. What a phone was told stands: its approval is there to the byte and led to a signature or was
   not collected in time; its refusal led to nothing.
3. What was handed out is what is stored, over a hash that was approved; no hash has two signatures.
4. Receipts are KA's, name what was signed, and no two of a boot have one number.
"""

import base64
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Engine, Row, select

from backend.model.tables import (
    Approval,
    AuthorisedHash,
    Receipt,
    Refusal,
    Signature,
    Transaction,
    TransactionState,
)
from backend.protocol.public_keys import read_public_keys
from backend.protocol.receipt import ReceiptClaims, verify_receipt
from tests.soak.ledger import Flow, Ledger

ENDS = {TransactionState.REDEEMED, TransactionState.REJECTED, TransactionState.EXPIRED}
AFTER = {
    "approved": {TransactionState.REDEEMED, TransactionState.EXPIRED},
    "rejected": {TransactionState.REJECTED},
}


class Rows(NamedTuple):
    """What the database holds in the end."""

    transactions: dict[bytes | None, Row[*tuple[Any, ...]]]
    """By the hash of the handle."""
    signatures: dict[bytes, list[Row[*tuple[Any, ...]]]]
    """By the hash that is signed."""
    receipts: list[tuple[bytes, ReceiptClaims]]
    """With the ``tx_hash`` of the transaction that they lie with."""


def open_transactions(engine: Engine) -> int:
    """How many requests for signatures are not over."""
    opened = select(Transaction.id).where(
        Transaction.kind == "sign", Transaction.state.not_in(ENDS), Transaction.state != "cancelled"
    )
    with engine.connect() as connection:
        return len(connection.execute(opened).all())


def violations(engine: Engine, ledger: Ledger, public_keys: Path) -> Iterator[str]:
    """Everything that must not be; nothing where the service kept its word."""
    yield from ledger.wrong
    rows = _read(engine, public_keys)
    for flow in ledger.flows:
        if flow.handle is not None:
            yield from (f"{flow.label}: {what}" for what in _of_flow(flow, flow.handle, rows))
    yield from _of_answers(ledger, rows)
    yield from _of_all(rows)
    yield from _of_receipts(rows)


def ends(engine: Engine) -> dict[str, int]:
    """How many transactions ended how."""
    with engine.connect() as connection:
        found = connection.scalars(select(Transaction.state).where(Transaction.kind == "sign"))
        return dict(Counter(found))


def _read(engine: Engine, public_keys: Path) -> Rows:
    ka = read_public_keys(public_keys.read_bytes()).ka
    with engine.connect() as connection:
        transactions = connection.execute(
            select(
                *(Transaction.id, Transaction.state, Transaction.handle_hash, Transaction.tx_hash),
                *(Approval.approval, Approval.sealed),
                Refusal.refusal,
            )
            .outerjoin(Approval, Approval.transaction_id == Transaction.id)
            .outerjoin(Refusal, Refusal.transaction_id == Transaction.id)
            .where(Transaction.kind == "sign")
        ).all()
        signed = connection.execute(
            select(
                *(AuthorisedHash.transaction_id, AuthorisedHash.item, AuthorisedHash.hash),
                *(Signature.signature, Transaction.tx_hash),
            )
            .join(Transaction, Transaction.id == AuthorisedHash.transaction_id)
            .join(
                Signature,
                (Signature.transaction_id == AuthorisedHash.transaction_id)
                & (Signature.position == AuthorisedHash.position),
            )
        ).all()
        receipts = connection.execute(
            select(Transaction.tx_hash, Receipt.receipt).join(
                Transaction, Transaction.id == Receipt.transaction_id
            )
        ).all()
    signatures: dict[bytes, list[Row[*tuple[Any, ...]]]] = defaultdict(list)
    for row in signed:
        signatures[row.hash].append(row)
    return Rows(
        transactions={row.handle_hash: row for row in transactions},
        signatures=signatures,
        receipts=[
            (tx_hash, verify_receipt(receipt, expected_ka=ka)) for tx_hash, receipt in receipts
        ],
    )


def _of_flow(flow: Flow, handle: str, rows: Rows) -> Iterator[str]:
    raw = base64.urlsafe_b64decode(handle + "=")
    row = rows.transactions.get(hashlib.sha256(raw).digest())
    if row is None:
        yield "an acknowledged transaction is lost"
        return
    if row.state not in ENDS:
        yield f"an acknowledged transaction ended as {row.state}"
    if flow.signature is None:
        return
    stored = [
        each.signature
        for each in rows.signatures.get(flow.digest, ())
        if each.transaction_id == row.id
    ]
    if stored != [flow.signature]:
        yield "the signature that was handed out is not the one that is stored"
    if row.state != TransactionState.REDEEMED or row.approval is None:
        yield f"a signature was handed out of what is {row.state}"


def _of_answers(ledger: Ledger, rows: Rows) -> Iterator[str]:
    by_id = {str(row.id): row for row in rows.transactions.values()}
    for answer in ledger.answers:
        row = by_id.get(answer.transaction)
        if row is None or row.state not in AFTER[answer.said]:
            yield f"{answer.label}: {answer.said} to the phone, but ended as {row and row.state}"
        elif answer.said == "approved" and row.approval != answer.message:
            yield f"{answer.label}: another approval is stored than the phone sent"
        elif answer.said == "rejected" and row.refusal is None:
            yield f"{answer.label}: the refusal is lost"


def _of_all(rows: Rows) -> Iterator[str]:
    for row in rows.transactions.values():
        if row.sealed is not None:
            yield f"{row.id}: the sealed secret outlived the transaction"
    for found in rows.signatures.values():
        if len({each.signature for each in found}) > 1:
            yield f"two signatures of one hash: {[str(each.transaction_id) for each in found]}"


def _of_receipts(rows: Rows) -> Iterator[str]:
    numbers = Counter((claims.boot, claims.number) for _, claims in rows.receipts)
    for (boot, number), times in numbers.items():
        if times > 1:
            yield f"{times} receipts have number {number} of boot {boot}"
    named = set()
    for tx_hash, claims in rows.receipts:
        if claims.tx_hash != tx_hash:
            yield f"receipt {claims.number} of boot {claims.boot} lies with another transaction"
        named |= {(claims.tx_hash, item.item) for item in claims.signed}
    for found in rows.signatures.values():
        for each in found:
            leaf = hashlib.sha256(b"\0" + each.item.encode()).digest()
            if (each.tx_hash, leaf) not in named:
                yield f"{each.transaction_id}: no receipt names what was signed"
