"""The app with the parts that production has, from the envelope to what OpenSSL verifies."""

import base64
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from authlib.integrations.requests_client import OAuth2Session
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import Browser, expect
from sqlalchemy import select

from backend.access.registrations import RegistrationChange
from backend.access.relying_parties import add_relying_party
from backend.delivery.worker_keys import read_vapid_key
from backend.model.tables import Cell, Transaction
from backend.wiring import utc_now
from tests.world.authority import Authority
from tests.world.chromium import OpenPage, another_page
from tests.world.chromium_push import (
    deliver,
    subscribe_by,
    tap_notification,
    wait_for_subscription,
)
from tests.world.csc_client import ECDSA_SHA256, SHA256, texts
from tests.world.fake_camera import FakeCamera
from tests.world.handset import Handset
from tests.world.oauth_client import CALLBACK, VERIFIER, b64url
from tests.world.postgres import Postgres
from tests.world.production_authority import running_production
from tests.world.push_phone import PushPhone, phones_session
from tests.world.push_service import PushService, running_push_service
from tests.world.service import NEW_PASSWORD
from tests.world.shop_door import ShopDoor

pytestmark = pytest.mark.sms

DOCUMENTS = (b"Contract 17: forty chairs", "Договор № 18: сорок столов".encode())
HASHES = tuple(sha256(document).digest() for document in DOCUMENTS)


@pytest.fixture
def push(tmp_path: Path) -> Iterator[PushService]:
    with running_push_service(ca_out=tmp_path / "push-ca.pem") as service:
        yield service


@pytest.fixture
def authority(tmp_path: Path, postgres: Postgres, push: PushService) -> Iterator[Authority]:
    name = postgres.create_database()
    with running_production(tmp_path, push, database=postgres.url(name)) as running:
        yield running
    postgres.drop_database(name)


@pytest.fixture
def handset(authority: Authority, chromium: Browser) -> Iterator[Handset]:
    made = Handset(chromium, authority)
    yield made
    made.close()


@pytest.fixture
def push_phone(authority: Authority, push: PushService) -> Iterator[PushPhone]:
    with phones_session(push) as http:
        yield PushPhone(http, push, vapid=read_vapid_key(authority.settings).public_key())


@pytest.fixture
def shop(authority: Authority) -> Iterator[OAuth2Session]:
    """A relying party, whose page shows the number that the phone asks for."""
    change = RegistrationChange(
        grants=("authorization_code",),
        scopes=("credential",),
        redirect_uris=(CALLBACK,),
        asks_number=True,
    )
    with authority.sessions() as session:
        party = add_relying_party(
            session, name="Shop", client_id=None, now=utc_now(), change=change
        )
    with OAuth2Session(
        party.client_id,
        party.client_secret,
        scope="credential",
        redirect_uri=CALLBACK,
        code_challenge_method="S256",
    ) as client:
        yield client


def test_two_documents_are_signed_from_the_envelope_to_openssl(
    authority: Authority,
    handset: Handset,
    push_phone: PushPhone,
    camera: FakeCamera,
    shop: OAuth2Session,
    open_page: OpenPage,
    tmp_path: Path,
) -> None:
    """QR code by camera, SMS, first approval; sign-in, push, number, approval, signatures."""
    here = authority.settings.authorization_server_url
    signer = authority.register()
    subscribe_by(handset, push_phone)
    handset.pair(signer, camera=camera)
    handset.certify(signer)
    wait_for_subscription(handset, push_phone)

    desk = open_page()
    ShopDoor(desk)
    address, state = shop.create_authorization_url(
        f"{here}/oauth2/authorize",
        code_verifier=VERIFIER,
        credentialID=str(signer.cell),
        numSignatures=str(len(HASHES)),
        hashes=",".join(map(b64url, HASHES)),
        hashAlgorithmOID=SHA256,
    )
    desk.goto(address)
    desk.locator("#login").fill(signer.login)
    desk.locator("#password").fill(NEW_PASSWORD)
    with another_page(desk):
        desk.locator("#password").press("Enter")
    number = desk.locator("#number").inner_text()

    with authority.sessions() as session:
        query = select(Transaction.id).where(
            Transaction.cell_id == signer.cell, Transaction.kind == "sign"
        )
        transaction = session.scalars(query).one()
    deliver(handset, push_phone, transaction)
    tap_notification(handset)
    expect(handset.at("request")).to_contain_text("Shop")
    handset.type(number=number)
    handset.approve()

    desk.wait_for_url(f"{CALLBACK}?code=*")
    shop.fetch_token(
        f"{here}/oauth2/token",
        authorization_response=desk.url,
        state=state,
        code_verifier=VERIFIER,
    )
    wanted = {"credentialID": str(signer.cell), "hashes": texts(HASHES), "signAlgo": ECDSA_SHA256}
    answer = shop.post(f"{here}/csc/v2/signatures/signHash", json=wanted)
    assert answer.status_code == 200, answer.text
    with authority.sessions() as session:
        certificate = session.get_one(Cell, signer.cell).certificate
    assert certificate is not None
    for document, signature in zip(DOCUMENTS, answer.json()["signatures"], strict=True):
        verify(tmp_path, certificate, document, base64.b64decode(signature))


def verify(folder: Path, certificate: bytes, document: bytes, signature: bytes) -> None:
    """Have OpenSSL verify a signature over a document by a certificate's key."""
    key = x509.load_der_x509_certificate(certificate).public_key()
    for name, content in [
        ("key.pem", key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)),
        ("signature", signature),
        ("document", document),
    ]:
        (folder / name).write_bytes(content)
    words = ("openssl", "dgst", "-sha256", "-verify", "key.pem", "-signature", "signature")
    said = subprocess.run([*words, "document"], cwd=folder, check=True, capture_output=True)
    assert said.stdout == b"Verified OK\n"
