"""Rows of a signer with phones that can be woken, and transactions that wait for them."""

import base64
import os
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy.orm import Session

from backend.model.tables import (
    Cell,
    Device,
    PushSubscription,
    Signer,
    Transaction,
    TransactionState,
)

LIFE = timedelta(seconds=300)


def b64u(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def point(key: ec.EllipticCurvePublicKey) -> bytes:
    """The key as browsers write it: an uncompressed point."""
    return key.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )


class PhoneKeys:
    """The keys of one subscription; only the phone has the private one (RFC 8291, 3.1)."""

    def __init__(self) -> None:
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.auth = os.urandom(16)

    @property
    def p256dh_text(self) -> str:
        return b64u(point(self.private.public_key()))

    @property
    def auth_text(self) -> str:
        return b64u(self.auth)


def add_cell(session: Session, *, now: datetime, lang: str = "en") -> UUID:
    """Add a signer and a cell; gives the cell."""
    signer = Signer(
        id=uuid4(),
        login=uuid4().hex,
        name="Ann Example",
        subject=b"name",
        number=None,
        lang=lang,
        zone="Europe/Moscow",
        password_salt=b"salt",
        password_verifier=None,
        password_change_due=False,
        registered_by="operator",
        registered_at=now,
    )
    cell = Cell(
        id=uuid4(),
        signer_id=signer.id,
        algorithm="P-256",
        spki=b"spki",
        blob=b"blob",
        epoch=1,
        certificate=None,
        certificate_expires_at=None,
        created_at=now,
    )
    session.add(signer)
    session.flush()
    session.add(cell)
    session.flush()
    return cell.id


def add_phone(
    session: Session,
    cell: UUID,
    *,
    now: datetime,
    endpoint: str | None = "https://push.cellkey.test/wpush/v2/phone",
    keys: PhoneKeys | None = None,
    **device: datetime,
) -> bytes:
    """Add a phone, with a subscription unless ``endpoint`` is ``None``; gives its kid."""
    kid = os.urandom(32)
    values = {"removal_asked_at": None, "removed_at": None} | device
    session.add(
        Device(
            kid=kid,
            cell_id=cell,
            request_kid=os.urandom(32),
            kind="virtual",
            paired_at=now,
            **values,
        )
    )
    session.flush()
    if endpoint is not None:
        keys = keys or PhoneKeys()
        session.add(
            PushSubscription(
                kid=kid,
                endpoint=endpoint,
                p256dh=keys.p256dh_text,
                auth=keys.auth_text,
                created_at=now,
            )
        )
    session.flush()
    return kid


def add_transaction(
    session: Session,
    cell: UUID,
    *,
    now: datetime,
    state: TransactionState = TransactionState.PENDING,
    life: timedelta = LIFE,
) -> UUID:
    """Add a transaction that waits for this cell's phones."""
    owner = session.get_one(Cell, cell).signer_id
    transaction = Transaction(
        id=uuid4(),
        kind="sign",
        cell_id=cell,
        signer_id=owner,
        relying_party_id=None,
        epoch=1,
        state=state.value,
        ask="ask with CANARY inside",
        tx_hash=os.urandom(32),
        hash_alg=None,
        handle_hash=None,
        csc_sad_hash=None,
        created_at=now,
        expires_at=now + life,
        use_by=now + life,
        sent_at=None,
        delivered_at=None,
        seen_at=None,
        answered_at=None,
        ended_because=None,
    )
    session.add(transaction)
    session.flush()
    return transaction.id
