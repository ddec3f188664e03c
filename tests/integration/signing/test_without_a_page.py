"""Codes are typed on our page alone: what a relying party asks by CSC has none."""

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from backend.access.tokens import CallingParty
from backend.credentials.view import credential_for
from backend.csc.calls import is_explicit
from backend.errors import RequestRefused, TooManyTries, WrongCode
from backend.model.tables import TransactionState
from backend.settings import Settings
from tests.world.code_world import CodeWorld, open_code_world
from tests.world.signing_world import SigningWorld, hashes

pytestmark = pytest.mark.sms

ONE = hashes(1)


def beside(world: SigningWorld, *, phone: bool) -> CodeWorld:
    """A signer who may approve by SMS."""
    return open_code_world(
        world.sam, world.sessions, world.clock, phone=phone, certified=True, login="boris"
    )


def test_csc_76_a_signer_without_a_phone_is_not_asked_by_csc(world: SigningWorld) -> None:
    """No SMS goes out whose code could be typed nowhere (T-14); by OAuth the same signer is."""
    boris = beside(world, phone=False)

    with pytest.raises(RequestRefused, match="oauth2code"):
        boris.world.request(*ONE, has_page=False)
    by_oauth = boris.world.request(*ONE)

    assert len(boris.texts(by_oauth.id)) == 1


def test_csc_70_where_there_is_a_phone_no_text_is_written_for_what_has_no_page(
    world: SigningWorld,
) -> None:
    boris = beside(world, phone=True)

    by_csc = boris.world.request(*ONE, has_page=False)
    by_oauth = boris.world.request(*hashes(1, seed="other"))

    assert boris.texts(by_csc.id) == []
    assert boris.row(by_csc.id).sms_due_at is None
    assert len(boris.texts(by_oauth.id)) == 1
    assert boris.world.approve(by_csc.id) is TransactionState.APPROVED


@pytest.mark.parametrize("phone", [False, True])
def test_csc_68_a_signer_without_a_phone_is_authorised_by_oauth_alone(
    world_on_sqlite: SigningWorld, tmp_path: Path, *, phone: bool
) -> None:
    """The key is enabled all the same: password and SMS may stand for the phone."""
    boris = beside(world_on_sqlite, phone=phone)
    world = boris.world
    settings = Settings(data_dir=tmp_path)
    der = x509.load_der_x509_certificate(boris.signer.cell.certificate)
    settings.root_certificate_path.write_bytes(der.public_bytes(Encoding.PEM))
    party = CallingParty(id=world.shop.id, client_id="shop", name="Shop", asks_number=False)

    with world.sessions() as session:
        found = credential_for(
            session,
            credential=boris.signer.cell.made.cell,
            public_keys=world.sam.public_keys,
            settings=settings,
            now=world.clock(),
        )

    assert found.key_enabled
    assert is_explicit(found, party) is phone


def test_csc_53_a_code_is_of_one_transaction_and_tried_three_times(world: SigningWorld) -> None:
    """No call takes it but that of our page: ``authData`` has no values (CSC-79)."""
    boris = beside(world, phone=False)
    one, other = boris.world.request(*ONE), boris.world.request(*hashes(1, seed="other"))
    others_code = boris.code(other.id)

    for _ in range(3):
        with pytest.raises(WrongCode):
            boris.approve(one.id, others_code)
    with pytest.raises(TooManyTries):
        boris.approve(one.id)

    assert boris.world.state(one.id) != TransactionState.APPROVED
    assert boris.approve(other.id, others_code) is TransactionState.APPROVED
