"""A signer without a phone: from the counter to a signature, by password and SMS."""

from typing import Final

import msgspec
import pytest
from sqlalchemy import select

from backend.algorithms import SignatureScheme
from backend.cli.clerk import make_clerk
from backend.devices.own_password import change_first_password
from backend.model.tables import Cell, OutboxMessage, Transaction, TransactionState
from backend.protocol.sms import open_sms
from backend.signers.sign_in import SignIn
from backend.signing.approval_by_code import approve_by_code
from backend.signing.authorization import Authorization, authorization
from backend.signing.release import Collection, Collector, release
from backend.signing.request import SignatureOrder, request_signatures
from tests.world.code_cell import code_in
from tests.world.counter import APPLICANT, Counter
from tests.world.signing_world import add_party, hashes

pytestmark = pytest.mark.sms

OWN: Final = "ein Pferd frisst Gurken"


def test_a_signer_without_a_phone_gets_a_certificate_and_signs(counter: Counter) -> None:
    """Design 8, 9: password lock under the first password, sealed anew by the forced change."""
    counter.register(msgspec.structs.replace(APPLICANT, by_sms=True))
    work(counter)
    assert counter.rows(select(Transaction.id)) == []

    choose_password(counter)
    work(counter)
    (request,) = counter.rows(select(Transaction.id))
    approve(counter, request)
    work(counter)
    assert counter.row(select(Cell.certificate)) is not None

    shop = add_party(counter.session_factory, counter.clock, "shop", "Shop")
    wanted = hashes(2)
    with counter.session_factory() as session:
        requested = request_signatures(
            session,
            counter.world.sam,
            SignatureOrder(
                relying_party=shop,
                credential=counter.cell,
                hashes=wanted,
                hash_alg="SHA-256",
                labels=None,
                fields=None,
                description=None,
                lang=None,
            ),
            settings=counter.settings,
            now=counter.clock(),
        )
    approve(counter, requested.id)
    with counter.session_factory() as session:
        found = authorization(
            session, handle=requested.handle, relying_party=shop.id, now=counter.clock()
        )
        assert isinstance(found, Authorization)
        assert found.method == "password+sms"
        signatures = release(
            session,
            counter.world.sam,
            Collection(
                relying_party=Collector(id=shop.id, client_id=shop.client_id),
                csc_sad=found.csc_sad,
                credential=counter.cell,
                hashes=wanted,
                hash_alg="SHA-256",
                scheme=SignatureScheme.ECDSA,
            ),
            now=counter.clock,
        )
    assert len(signatures) == 2
    assert counter.rows(select(Transaction.method)) == ["password+sms", "password+sms"]


def test_who_may_pair_a_phone_is_not_asked_before_one_is_paired(counter: Counter) -> None:
    counter.register()
    work(counter)
    assert counter.rows(select(Transaction.id)) == []


def work(counter: Counter) -> None:
    """What the clerk finds to do."""
    clerk = make_clerk(
        counter.settings, counter.session_factory, counter.world.sam, clock=counter.clock
    )
    while clerk.run_once():
        pass


def choose_password(counter: Counter) -> None:
    typed = SignIn(
        login=counter.envelope.login,
        unverified_password=counter.envelope.first_password,
    )
    with counter.session_factory() as session:
        change_first_password(
            session,
            counter.world.sam,
            typed,
            new_password=OWN,
            ks=counter.public_keys.ks,
            now=counter.clock(),
        )


def approve(counter: Counter, transaction: object) -> None:
    sealed = counter.rows(
        select(OutboxMessage.sealed_sms)
        .where(OutboxMessage.transaction_id == transaction, OutboxMessage.channel == "sms")
        .order_by(OutboxMessage.due_at.desc())
    )[0]
    code = code_in(open_sms(sealed, counter.world.worker_key).text)
    with counter.session_factory() as session:
        state = approve_by_code(
            session,
            counter.world.sam,
            transaction=transaction,  # type: ignore[arg-type]  # an id of a row
            signer=counter.signer,
            method="password+sms",
            unverified_password=OWN,
            unverified_code=code,
            now=counter.clock(),
        )
    assert state is TransactionState.APPROVED
