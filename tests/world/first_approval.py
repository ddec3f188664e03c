"""The first approval: the authority asks, the phone says yes, the certificate is issued."""

from uuid import UUID

from sqlalchemy import select

from backend.credentials.issue import issue_certificate
from backend.model.tables import Lock, Transaction
from backend.pki.authority import Authority
from backend.signing.approval import approve
from backend.signing.release import release_certificate_request
from backend.signing.request import request_certificate
from tests.world.counter import Counter
from tests.world.paper_phone import read


def ask(counter: Counter) -> UUID:
    """What the clerk asks once a phone is paired."""
    with counter.session_factory() as session:
        return request_certificate(
            session,
            counter.world.sam,
            cell=counter.cell,
            settings=counter.settings,
            now=counter.clock(),
        )


def say_yes(counter: Counter, transaction: UUID) -> None:
    """What the phone answers."""
    signed = read(
        counter.row(select(Transaction.ask).where(Transaction.id == transaction)),
        counter.public_keys.ks,
    )
    lock = counter.row(select(Lock.lock).where(Lock.kind == "device"))
    approval, sealed = counter.phone.approve(signed, counter.phone.secret_in_lock(lock))
    phone = counter.paired_phone()
    with counter.session_factory() as session:
        approve(
            session,
            phone=phone,
            transaction=transaction,
            approval=approval,
            sealed=sealed,
            public_keys=counter.public_keys,
            now=counter.clock(),
        )


def sign_request(counter: Counter, transaction: UUID) -> bytes:
    with counter.session_factory() as session:
        return release_certificate_request(
            session, counter.world.sam, transaction=transaction, now=counter.clock
        )


def issue(
    counter: Counter,
    transaction: UUID,
    signature: bytes | None = None,
    authority: Authority | None = None,
) -> bool:
    """What the clerk does with the answer."""
    signed = sign_request(counter, transaction) if signature is None else signature
    with counter.session_factory() as session:
        return issue_certificate(
            session,
            authority or Authority(counter.world.sam),
            transaction=transaction,
            signature=signed,
            now=counter.clock(),
        )
