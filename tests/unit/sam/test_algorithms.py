"""Every key by every scheme and hash: what goes together verifies elsewhere, the rest is refused.

Elsewhere is ``cryptography`` and, as a second opinion, the openssl command.
"""

import subprocess
from itertools import product
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.hashes import HashAlgorithm as Hash
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from backend.algorithms import (
    HashAlgorithm,
    KeyAlgorithm,
    SignatureScheme,
    digest_of,
    goes_together,
)
from backend.errors import DoorRefused, RequestRefused
from backend.protocol.ask import HashName
from backend.protocol.encoding import Octets
from backend.protocol.tree import Documents, Item, item_text, tree_root
from backend.sam.releases import Release
from tests.world.clock import SettableClock
from tests.world.paired_cell import PairedCell, make_cell, ready_cell
from tests.world.sam import SamWorld, open_sam_world, pem, software_hsm
from tests.world.softhsm import softhsm

MESSAGE = b"signed attributes of a contract"
HASHES: dict[HashAlgorithm, Hash] = {
    HashAlgorithm.SHA256: SHA256(),
    HashAlgorithm.SHA384: SHA384(),
    HashAlgorithm.SHA512: SHA512(),
}
NAMES: dict[HashAlgorithm, HashName] = {
    HashAlgorithm.SHA256: "SHA-256",
    HashAlgorithm.SHA384: "SHA-384",
    HashAlgorithm.SHA512: "SHA-512",
}
EVERY = list(product(KeyAlgorithm, SignatureScheme, HashAlgorithm))
GOOD = [one for one in EVERY if goes_together(*one)]
BAD = [one for one in EVERY if not goes_together(*one)]
Cells = dict[KeyAlgorithm, PairedCell]


@pytest.fixture(scope="module")
def all_cells(tmp_path_factory: pytest.TempPathFactory) -> Cells:
    """A cell of each algorithm; RSA keys take their time, so they are made once."""
    folder = tmp_path_factory.mktemp("algorithms") / "vault"
    world = open_sam_world(software_hsm(folder), SettableClock())
    return {algorithm: ready_cell(world, algorithm=algorithm) for algorithm in KeyAlgorithm}


def approved(cell: PairedCell, hash_algorithm: HashAlgorithm, scheme: SignatureScheme) -> Release:
    """Evidence of an approval of the message's hash, with how it is to be signed."""
    digest = digest_of(MESSAGE, hash_algorithm)
    release = cell.release_of(cell.open_signing(digest, hash_alg=NAMES[hash_algorithm]))
    messages = (MESSAGE,) if scheme is SignatureScheme.EDDSA else ()
    return msgspec.structs.replace(release, scheme=scheme, messages=messages)


def tampered(cell: PairedCell, hash_algorithm: HashAlgorithm, scheme: SignatureScheme) -> Release:
    """The same from an ask that was never made: with KS in hand somebody could."""
    voice = cell.world.sam._voice  # KS in an attacker's hand
    opened = cell.open_signing(digest_of(MESSAGE, HashAlgorithm.SHA256))
    digest = Octets(digest_of(MESSAGE, hash_algorithm))
    text = item_text(Item(label="document", type="dtbsr", hash=digest))
    claims = msgspec.structs.replace(
        voice.verified_ask(opened.ask).claims,
        documents=Documents(root=tree_root((text,)), count=1),
        hash_alg=NAMES[hash_algorithm],
    )
    forged = msgspec.structs.replace(opened, ask=voice.ask(claims), items=(text,))
    messages = (MESSAGE,) if scheme is SignatureScheme.EDDSA else ()
    return msgspec.structs.replace(cell.release_of(forged), scheme=scheme, messages=messages)


def verify(key: object, signature: bytes, scheme: SignatureScheme, hashed: HashAlgorithm) -> None:
    """Verify the message's signature with the certificate's key."""
    kind = HASHES[hashed]
    digest = digest_of(MESSAGE, hashed)
    if isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(signature, MESSAGE)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, digest, ec.ECDSA(Prehashed(kind)))
    else:
        assert isinstance(key, rsa.RSAPublicKey)
        pss = padding.PSS(padding.MGF1(kind), kind.digest_size)
        pad = pss if scheme is SignatureScheme.RSA_PSS else padding.PKCS1v15()
        key.verify(signature, digest, pad, Prehashed(kind))


def verify_by_openssl(
    folder: Path,
    certificate: x509.Certificate,
    signature: bytes,
    scheme: SignatureScheme,
    hashed: HashAlgorithm,
) -> None:
    """Verify it by the command line, as a relying party might."""
    public = certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    is_message = scheme is SignatureScheme.EDDSA
    signed = MESSAGE if is_message else digest_of(MESSAGE, hashed)
    for name, content in (("key", public), ("signed", signed), ("signature", signature)):
        (folder / name).write_bytes(content)
    options = ["-rawin"] if is_message else ["-pkeyopt", f"digest:{HASHES[hashed].name}"]
    if scheme is SignatureScheme.RSA_PSS:
        options += ["-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", "rsa_pss_saltlen:digest"]
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key", "-in", "signed"]
    command += ["-sigfile", "signature", *options]
    said = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr


# --- what goes together -----------------------------------------------------------------------


@pytest.mark.parametrize(("algorithm", "scheme", "hashed"), GOOD)
def test_what_goes_together_verifies_elsewhere(
    all_cells: Cells,
    tmp_path: Path,
    algorithm: KeyAlgorithm,
    scheme: SignatureScheme,
    hashed: HashAlgorithm,
) -> None:
    """CSC-91."""
    cell = all_cells[algorithm]
    (signature,) = cell.world.sam.release(approved(cell, hashed, scheme)).signatures

    certificate = x509.load_der_x509_certificate(cell.certificate)
    verify(certificate.public_key(), signature, scheme, hashed)
    verify_by_openssl(tmp_path, certificate, signature, scheme, hashed)


@pytest.mark.parametrize("algorithm", KeyAlgorithm)
def test_a_certificate_of_every_key_is_the_authority_s(
    all_cells: Cells, tmp_path: Path, algorithm: KeyAlgorithm
) -> None:
    """Its request was signed by the key itself, or there would be no certificate."""
    cell = all_cells[algorithm]
    (tmp_path / "root").write_bytes(pem(cell.world.root))
    (tmp_path / "certificate").write_bytes(pem(cell.certificate))
    command = ["openssl", "verify", "-no_check_time", "-CAfile", "root", "certificate"]
    assert subprocess.run(command, cwd=tmp_path, check=False, capture_output=True).returncode == 0
    certificate = x509.load_der_x509_certificate(cell.certificate)
    public = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert public == cell.made.spki


# --- what does not ----------------------------------------------------------------------------


@pytest.mark.parametrize(("algorithm", "scheme", "hashed"), BAD)
def test_what_does_not_go_together_is_refused_at_the_door(
    all_cells: Cells, algorithm: KeyAlgorithm, scheme: SignatureScheme, hashed: HashAlgorithm
) -> None:
    """Rule 5, whatever a row says."""
    cell = all_cells[algorithm]
    with pytest.raises(DoorRefused) as caught:
        cell.world.sam.release(tampered(cell, hashed, scheme))
    assert caught.value.rule == 5
    assert scheme in caught.value.reason


@pytest.mark.parametrize("hashed", [HashAlgorithm.SHA384, HashAlgorithm.SHA512])
def test_a_hash_that_the_key_does_not_sign_is_not_asked_for(
    all_cells: Cells, hashed: HashAlgorithm
) -> None:
    cell = all_cells[KeyAlgorithm.P256]
    with pytest.raises(RequestRefused, match=hashed):
        cell.open_signing(digest_of(MESSAGE, hashed), hash_alg=NAMES[hashed])


# --- Ed25519 signs messages -------------------------------------------------------------------


@pytest.mark.parametrize(
    "messages",
    [(), (b"another",), (MESSAGE, MESSAGE), (digest_of(MESSAGE, HashAlgorithm.SHA512),)],
    ids=["none", "another", "one too many", "its hash"],
)
def test_ed25519_signs_no_message_whose_hash_was_not_approved(
    all_cells: Cells, messages: tuple[bytes, ...]
) -> None:
    """Rule 5; decision 0010."""
    cell = all_cells[KeyAlgorithm.ED25519]
    release = approved(cell, HashAlgorithm.SHA512, SignatureScheme.EDDSA)
    with pytest.raises(DoorRefused) as caught:
        cell.world.sam.release(msgspec.structs.replace(release, messages=messages))
    assert (caught.value.rule, caught.value.reason) == (5, "a message whose hash was not approved")


def test_ed25519_signs_messages_in_the_order_requested(all_cells: Cells) -> None:
    cell = all_cells[KeyAlgorithm.ED25519]
    messages = tuple(f"message {number}".encode() for number in range(3))
    digests = (digest_of(message, HashAlgorithm.SHA512) for message in messages)
    release = cell.release_of(cell.open_signing(*digests, hash_alg="SHA-512"))
    wanted = msgspec.structs.replace(release, requested=(2, 0), messages=(messages[2], messages[0]))
    signatures = cell.world.sam.release(wanted).signatures
    key = x509.load_der_x509_certificate(cell.certificate).public_key()
    assert isinstance(key, ed25519.Ed25519PublicKey)
    key.verify(signatures[0], messages[2])
    key.verify(signatures[1], messages[0])


def test_other_keys_take_no_messages(all_cells: Cells) -> None:
    cell = all_cells[KeyAlgorithm.P256]
    release = approved(cell, HashAlgorithm.SHA256, SignatureScheme.ECDSA)
    with pytest.raises(DoorRefused, match="messages where none are wanted"):
        cell.world.sam.release(msgspec.structs.replace(release, messages=(MESSAGE,)))


# --- what an HSM cannot -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def softhsm_world() -> SamWorld:
    return open_sam_world(softhsm().new_token().hsm(), SettableClock())


def test_a_cell_that_the_hsm_cannot_keep_is_not_begun(softhsm_world: SamWorld) -> None:
    """SoftHSM 2.6.1 does not wrap Ed25519 keys (hsm.md 1)."""
    with pytest.raises(RequestRefused, match=r"cannot keep Ed25519 keys .* it keeps P-256, P-384"):
        make_cell(softhsm_world, algorithm=KeyAlgorithm.ED25519)


def test_health_names_what_the_hsm_can_keep(softhsm_world: SamWorld, world: SamWorld) -> None:
    assert world.sam.health().algorithms == tuple(KeyAlgorithm)
    assert softhsm_world.sam.health().algorithms == tuple(KeyAlgorithm)[:-1]


@pytest.mark.parametrize("algorithm", [KeyAlgorithm.P384, KeyAlgorithm.RSA_4096])
def test_a_token_s_cell_gets_its_certificate_and_signs(
    softhsm_world: SamWorld, algorithm: KeyAlgorithm
) -> None:
    cell = ready_cell(softhsm_world, algorithm=algorithm)
    release = approved(cell, HashAlgorithm.SHA512, cell.scheme)
    (signature,) = softhsm_world.sam.release(release).signatures
    key = x509.load_der_x509_certificate(cell.certificate).public_key()
    verify(key, signature, cell.scheme, HashAlgorithm.SHA512)
