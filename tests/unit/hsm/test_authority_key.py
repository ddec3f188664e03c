"""The CA's key in the HSM, and the root certificate that it signs for itself."""

import copy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.verification import PolicyBuilder, Store

from backend.errors import HsmNotReady
from backend.hsm.authority_key import AuthorityKey
from backend.hsm.protocol import SigningServiceKey
from backend.hsm.root_certificate import make_root_certificate
from backend.hsm.software import SoftwareHsm
from tests.world.hsms import Place, open_vault

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def hsm(tmp_path: Path) -> SoftwareHsm:
    SoftwareHsm.initialise(tmp_path / "vault")
    return open_vault(tmp_path / "vault")


def test_the_root_is_a_ca_of_the_given_name_for_20_years(place: Place) -> None:
    """RFC 5280, 4.2.1.3 and 4.2.1.9."""
    root = make_root_certificate(place.hsm, ca_name="УЦ «Пример»", now=NOW)
    root.verify_directly_issued_by(root)
    assert root.subject == root.issuer
    assert root.subject.rfc4514_string() == "CN=УЦ «Пример»"
    constraints = root.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=True, path_length=None)
    usage = root.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    granted = {name.removeprefix("_") for name, value in vars(usage.value).items() if value}
    assert granted == {"key_cert_sign", "crl_sign"}
    assert root.not_valid_before_utc <= NOW
    assert root.not_valid_after_utc.year == 2046
    assert isinstance(root.signature_hash_algorithm, hashes.SHA256)
    public_key = place.hsm.public_key(SigningServiceKey.AUTHORITY)
    assert AuthorityKey(place.hsm).public_key() == root.public_key()
    assert root.public_bytes(Encoding.DER).find(public_key) > 0


def test_a_certificate_by_the_authority_s_key_is_believed_with_its_root(hsm: SoftwareHsm) -> None:
    """A path that is checked by code that is not ours."""
    root = make_root_certificate(hsm, ca_name="Example", now=NOW)
    key = ec.generate_private_key(ec.SECP256R1())
    authority = AuthorityKey(hsm)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key())
    leaf = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(root.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=365))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("example.org")]), critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.OID_CLIENT_AUTH]), critical=False)
        .add_extension(issuer, critical=False)
        .sign(authority, hashes.SHA256())
    )
    verifier = PolicyBuilder().store(Store([root])).time(NOW).build_client_verifier()
    assert verifier.verify(leaf, []).chain == [leaf, root]


def test_it_signs_by_ecdsa_with_sha_256_only(hsm: SoftwareHsm) -> None:
    key = AuthorityKey(hsm)
    assert key.key_size == 256
    assert key.curve.name == "secp256r1"
    key.public_key().verify(
        key.sign(b"data", ec.ECDSA(hashes.SHA256())), b"data", ec.ECDSA(hashes.SHA256())
    )
    for algorithm in (ec.ECDSA(hashes.SHA384()), ec.ECDSA(Prehashed(hashes.SHA256()))):
        with pytest.raises(TypeError):
            key.sign(bytes(32), algorithm)


@pytest.mark.parametrize(
    "use",
    [
        lambda key: key.private_numbers(),
        lambda key: key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        lambda key: key.exchange(ec.ECDH(), key.public_key()),
        copy.copy,
        copy.deepcopy,
    ],
    ids=["numbers", "bytes", "exchange", "copy", "deepcopy"],
)
def test_it_does_nothing_else(hsm: SoftwareHsm, use: Callable[[AuthorityKey], object]) -> None:
    """The key stays in the HSM."""
    with pytest.raises(TypeError):
        use(AuthorityKey(hsm))


def test_an_authority_s_key_on_no_curve_is_refused(
    hsm: SoftwareHsm, monkeypatch: pytest.MonkeyPatch
) -> None:
    ed25519 = bytes.fromhex("302a300506032b6570032100") + bytes(32)
    monkeypatch.setattr(hsm, "public_key", lambda _key: ed25519)
    with pytest.raises(HsmNotReady):
        AuthorityKey(hsm)
