"""Relying parties that are not ours, against the running server: their own sequences."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes as primitives
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from backend.algorithms import KeyAlgorithm
from backend.wiring import utc_now
from tests.world.documenso_client import DocumensoClient
from tests.world.kotlin_client import KotlinClient
from tests.world.oauth_client import CALLBACK, OauthClient, an_oauth_client
from tests.world.service import Service, hashes
from tests.world.serving import serving
from tests.world.signers_browser import browses


@pytest.fixture
def served(tmp_path: Path, algorithm: KeyAlgorithm) -> Iterator[Service]:
    """The service on the loopback; its signer has a phone and a certificate."""
    with serving(tmp_path, clock=utc_now) as service:
        service.signing_phone(service.register(algorithm=algorithm))
        yield service


def certificate(shop: OauthClient) -> x509.Certificate:
    return shop.csc(client_token(shop)).certificate()


def client_token(shop: OauthClient) -> str:
    token = shop.session().fetch_token(f"{shop.here}/oauth2/token", grant_type="client_credentials")
    return str(token["access_token"])


@pytest.mark.parametrize("algorithm", [KeyAlgorithm.P256])
def test_csc_05_54_55_139_a_client_as_eudis_kotlin_library_signs(served: Service) -> None:
    shop = an_oauth_client(served)
    client = KotlinClient(
        service=shop.here,
        client_id=shop.party.client_id,
        secret=shop.party.client_secret,
        redirect_uri=CALLBACK,
        browse=lambda address: browses(served, address),
    )
    wanted = hashes(3)

    info = client.resolve()
    (credential,) = client.list_credentials(client.authorize_service()).credentialInfos
    token = client.authorize_credential(credential.credentialID, wanted)
    made = client.sign(token, credential, wanted)

    assert "signatures/signHash" in info.methods
    key = certificate(shop).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    for digest, signature in zip(wanted, made, strict=True):
        key.verify(signature, digest, ec.ECDSA(Prehashed(primitives.SHA256())))


@pytest.mark.parametrize("algorithm", [KeyAlgorithm.P384, KeyAlgorithm.RSA_3072], ids=str)
def test_csc_130_140_a_client_as_documenso_signs(served: Service, algorithm: KeyAlgorithm) -> None:
    """It takes the strongest hash that the key names."""
    shop = an_oauth_client(served)
    client = DocumensoClient(
        service=shop.here,
        client_id=shop.party.client_id,
        secret=shop.party.client_secret,
        redirect_uri=CALLBACK,
        browse=lambda address: browses(served, address),
    )
    documents = [b"Contract 17", b"Annex A"]

    made = client.sign(documents, description="Contract 17")

    key = certificate(shop).public_key()
    for document, signature in zip(documents, made, strict=True):
        digest, whole = hashlib.sha512(document).digest(), Prehashed(primitives.SHA512())
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, digest, PKCS1v15(), whole)
        else:
            assert isinstance(key, ec.EllipticCurvePublicKey)
            key.verify(signature, digest, ec.ECDSA(whole))
