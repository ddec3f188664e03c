"""Which algorithms an HSM offers, and what is particular to some of them."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.serialization import load_der_public_key
from hypothesis import given
from hypothesis import strategies as st
from pkcs11 import Attribute, Mechanism, MechanismInvalid, Slot

from backend.algorithms import (
    LONGEST_SIGNED_MESSAGE,
    HashAlgorithm,
    KeyAlgorithm,
    SignatureScheme,
)
from backend.errors import RequestRefused
from backend.hsm.pkcs11 import Pkcs11OpenedKey
from backend.hsm.pkcs11_keys import ecdsa_sig_value
from backend.hsm.pkcs11_signers_keys import generate_signers_key, has_rsa
from backend.hsm.protocol import OpenedKey
from tests.world.hsms import Place, software_place
from tests.world.softhsm import Token

if TYPE_CHECKING:
    from backend.hsm.pkcs11_keys import SigningKey

RSA = {KeyAlgorithm.RSA_2048, KeyAlgorithm.RSA_3072, KeyAlgorithm.RSA_4096}


def sign_message(key: OpenedKey, message: bytes) -> bytes:
    (signature,) = key.sign_all(
        (message,), scheme=SignatureScheme.EDDSA, hash_algorithm=HashAlgorithm.SHA512
    )
    return signature


# --- what is offered ------------------------------------------------------------------------


def test_software_cells_keep_keys_of_every_algorithm(tmp_path: Path) -> None:
    assert software_place(tmp_path).hsm.offered() == set(KeyAlgorithm)


def test_softhsm_2_6_keeps_all_but_ed25519(shared_token: Token) -> None:
    """hsm.md 1: it makes such a key and signs with it, but C_WrapKey gives KEY_NOT_WRAPPABLE."""
    hsm = shared_token.hsm()
    assert hsm.offered() == set(KeyAlgorithm) - {KeyAlgorithm.ED25519}
    assert hsm.offered() is hsm.offered()


class _OtherSlot:
    """A slot whose token knows other mechanisms."""

    def __init__(self, *mechanisms: Mechanism, longest: int | None) -> None:
        self._mechanisms = set(mechanisms)
        self.max_key_length = longest

    def get_mechanisms(self) -> set[Mechanism]:
        return self._mechanisms

    def get_mechanism_info(self, mechanism: Mechanism) -> "_OtherSlot":
        if mechanism not in self._mechanisms:
            raise MechanismInvalid
        return self


BOTH = (Mechanism.RSA_PKCS, Mechanism.RSA_PKCS_PSS)
MAKING = Mechanism.RSA_PKCS_KEY_PAIR_GEN


@pytest.mark.parametrize(
    ("slot", "offered"),
    [
        (_OtherSlot(*BOTH, MAKING, longest=4096), RSA),
        (_OtherSlot(*BOTH, MAKING, longest=3072), RSA - {KeyAlgorithm.RSA_4096}),
        (_OtherSlot(*BOTH, MAKING, longest=None), set()),
        (_OtherSlot(*BOTH, longest=4096), set()),
        (_OtherSlot(Mechanism.RSA_PKCS, MAKING, longest=4096), set()),
    ],
    ids=["all", "up to 3072", "no length", "makes none", "no PSS"],
)
def test_rsa_is_offered_as_the_token_says(slot: _OtherSlot, offered: set[KeyAlgorithm]) -> None:
    assert {one for one in RSA if has_rsa(cast("Slot", slot), one)} == offered


# --- Ed25519 --------------------------------------------------------------------------------


def test_a_software_cell_signs_messages_by_ed25519(tmp_path: Path) -> None:
    """RFC 8032: the message itself, of any length up to the bound."""
    hsm = software_place(tmp_path).hsm
    wrapped = hsm.generate(KeyAlgorithm.ED25519)
    key = load_der_public_key(wrapped.spki)
    assert isinstance(key, Ed25519PublicKey)
    with hsm.opened(algorithm=KeyAlgorithm.ED25519, blob=wrapped.blob, kw=wrapped.kw) as opened:
        for message in (b"", b"signed attributes", bytes(LONGEST_SIGNED_MESSAGE)):
            key.verify(sign_message(opened, message), message)
        with pytest.raises(RequestRefused, match="more than"):
            sign_message(opened, bytes(LONGEST_SIGNED_MESSAGE + 1))


def test_a_token_signs_messages_by_ed25519_with_a_key_that_it_could_keep(
    shared_token: Token,
) -> None:
    """SoftHSM 2.7 keeps it too (decision 0010); with 2.6.1 all but the wrapping can be shown."""
    shared_token.hsm().random(1)
    with shared_token.attacker() as session:
        public, private = generate_signers_key(session, KeyAlgorithm.ED25519)
        key = Ed25519PublicKey.from_public_bytes(public[Attribute.EC_POINT][-32:])
        further = shared_token.hsm()._sessions().borrowed
        key_inside = cast("SigningKey", private)
        opened = Pkcs11OpenedKey(KeyAlgorithm.ED25519, key_inside, further=further)
        for message in (b"signed attributes", bytes(LONGEST_SIGNED_MESSAGE)):
            key.verify(sign_message(opened, message), message)


# --- ECDSA ----------------------------------------------------------------------------------


@given(st.sampled_from((32, 48)), st.data())
def test_a_signature_is_der_as_another_library_writes_it(size: int, data: st.DataObject) -> None:
    """RFC 3279, 2.2.3; also where r or s is short, nought, or has its highest bit set."""
    number = st.integers(0, 2 ** (8 * size) - 1) | st.sampled_from((0, 1, 127, 128, 255, 256))
    r, s = data.draw(number), data.draw(number)
    assert ecdsa_sig_value(r.to_bytes(size) + s.to_bytes(size)) == encode_dss_signature(r, s)


def test_a_longer_hash_is_cut_to_the_curve_s_size(place: Place) -> None:
    """FIPS 186-5, 6.4.1: a verifier cuts it too."""
    wrapped = place.hsm.generate(KeyAlgorithm.P384)
    key = load_der_public_key(wrapped.spki)
    assert isinstance(key, EllipticCurvePublicKey)
    digest = hashlib.sha512(b"a contract").digest()
    with place.hsm.opened(algorithm=KeyAlgorithm.P384, blob=wrapped.blob, kw=wrapped.kw) as opened:
        (signature,) = opened.sign_all(
            (digest,), scheme=SignatureScheme.ECDSA, hash_algorithm=HashAlgorithm.SHA512
        )
    key.verify(signature, digest, ECDSA(Prehashed(SHA512())))
