"""The attacks of hsm.md 1, carried out on SoftHSM by a live session with the user's PIN.

The attacker has the inner blob (a stolen database whose outer layer was opened) or catches a key
between its making and its wrapping. Each attack is first shown to succeed where the attributes of
backend/hsm/pkcs11_templates.py are missing, so that its failure says something.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap_with_padding
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pkcs11 import (
    Attribute,
    AttributeReadOnly,
    AttributeSensitive,
    KeyNotWrappable,
    KeyType,
    KeyUnextractable,
    Mechanism,
    MechanismFlag,
    ObjectClass,
    PKCS11Error,
    Session,
    TemplateInconsistent,
)
from pkcs11.constants import DEFAULT

from backend.algorithms import KeyAlgorithm
from backend.hsm import pkcs11_templates as templates
from backend.hsm.pkcs11_signers_keys import generate_signers_key
from tests.world.softhsm import Token

WRAP = Mechanism.AES_KEY_WRAP_PAD
BOTH = MechanismFlag.WRAP | MechanismFlag.UNWRAP
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
FUNCTION_NOT_PERMITTED = "0x68"
ACTION_PROHIBITED = "0x1b"  # CKR_ACTION_PROHIBITED, for which the binding has no class


class Loot(NamedTuple):
    """What the attacker has: a session, a wrapped key, and the wrapping key's handle."""

    session: Session
    wrapping: Any
    blob: bytes
    spki: bytes


def unwrap(loot: Loot, **changes: object) -> Any:  # noqa: ANN401  # the binding makes a class for each key
    template = {**templates.UNWRAPPING}
    template.update({Attribute[name]: value for name, value in changes.items()})
    return loot.wrapping.unwrap_key(
        ObjectClass.PRIVATE_KEY,
        KeyType.EC,
        loot.blob,
        mechanism=WRAP,
        capabilities=MechanismFlag.SIGN,
        template=template,
    )


def unwrap_as_a_generic_secret(loot: Loot) -> Any:  # noqa: ANN401  # as above
    return loot.wrapping.unwrap_key(
        ObjectClass.SECRET_KEY,
        KeyType.GENERIC_SECRET,
        loot.blob,
        mechanism=WRAP,
        capabilities=MechanismFlag.SIGN,
        template={Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True},
    )


@pytest.fixture
def session(token: Token) -> Iterator[Session]:
    token.hsm().random(1)
    with token.attacker() as session:
        yield session


@pytest.fixture
def loot(token: Token, session: Session) -> Loot:
    """A signer's key as Cellkey wraps it."""
    wrapped = token.hsm().generate(KeyAlgorithm.P256)
    (wrapping,) = session.get_objects({Attribute.LABEL: "kw-1"})
    return Loot(session=session, wrapping=wrapping, blob=wrapped.blob, spki=wrapped.spki)


@pytest.fixture
def naive_loot(token: Token, session: Session) -> Loot:
    """The same under a wrapping key without CKA_UNWRAP_TEMPLATE and CKA_TRUSTED."""
    wrapping: Any = session.generate_key(
        KeyType.AES, 256, label="naive", capabilities=BOTH | MechanismFlag.DECRYPT
    )
    public, private = naive_pair(session)
    blob = wrapping.wrap_key(private, mechanism=WRAP)
    return Loot(session=session, wrapping=wrapping, blob=blob, spki=spki_of(public))


def naive_pair(session: Session) -> tuple[Any, Any]:
    """A signer's key without CKA_WRAP_WITH_TRUSTED and CKA_COPYABLE."""
    curve = session.create_domain_parameters(
        KeyType.EC, {Attribute.EC_PARAMS: templates.P256}, local=True
    )
    return curve.generate_keypair(
        capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
        private_template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: True},
    )


def spki_of(public: Any) -> bytes:  # noqa: ANN401  # as above
    point = public[Attribute.EC_POINT][-65:]
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def holds_private_key(stolen: bytes, spki: bytes) -> bool:
    """Whether 32 of these bytes, in a row, are the private key of ``spki``."""
    windows = (int.from_bytes(stolen[at : at + 32]) for at in range(len(stolen) - 31))
    keys = (ec.derive_private_key(d, ec.SECP256R1()).public_key() for d in windows if 0 < d < ORDER)
    return any(
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == spki for key in keys
    )


# --- A: with the blob -------------------------------------------------------------------------


def test_a_naive_wrapping_key_gives_the_private_value_away(naive_loot: Loot) -> None:
    """The attacks of condition A are real: both succeed without CKA_UNWRAP_TEMPLATE."""
    readable = unwrap(naive_loot, SENSITIVE=False, EXTRACTABLE=True, COPYABLE=DEFAULT)
    assert holds_private_key(readable[Attribute.VALUE], naive_loot.spki)
    secret = unwrap_as_a_generic_secret(naive_loot)
    assert holds_private_key(secret[Attribute.VALUE], naive_loot.spki)


@pytest.mark.parametrize(
    "changes",
    [
        {"SENSITIVE": False, "EXTRACTABLE": True},
        {"SENSITIVE": False},
        {"EXTRACTABLE": True},
        {"PRIVATE": False},
        {"COPYABLE": True},
        {"SENSITIVE": DEFAULT, "EXTRACTABLE": DEFAULT},
        {"COPYABLE": DEFAULT},
    ],
)
def test_a_key_cannot_be_unwrapped_so_that_it_can_be_read(
    loot: Loot, changes: dict[str, object]
) -> None:
    """hsm.md 1 A, first attack."""
    with pytest.raises(TemplateInconsistent):
        unwrap(loot, **changes)


def test_a_key_cannot_be_unwrapped_as_a_generic_secret(loot: Loot) -> None:
    """hsm.md 1 A, second attack: it would give the whole PKCS#8."""
    with pytest.raises(TemplateInconsistent):
        unwrap_as_a_generic_secret(loot)


def test_a_blob_cannot_be_decrypted_as_data(loot: Loot, naive_loot: Loot) -> None:
    """A key that wraps and decrypts undoes its own wrapping, block by block (RFC 3394, 2.2.2)."""
    naive: Any = naive_loot.wrapping
    assert len(naive.decrypt(naive_loot.blob, mechanism=Mechanism.AES_ECB)) == 80
    # The binding hides decrypt() of a key without CKA_DECRYPT; the attacker calls it nevertheless.
    forced = type(naive)(loot.wrapping.wrapper)
    for mechanism in (Mechanism.AES_ECB, Mechanism.AES_CBC_PAD, Mechanism.AES_CTR, WRAP):
        with pytest.raises(PKCS11Error):
            forced.decrypt(loot.blob, mechanism=mechanism, mechanism_param=bytes(16))
    with pytest.raises(PKCS11Error, match=FUNCTION_NOT_PERMITTED):
        forced.decrypt(loot.blob, mechanism=Mechanism.AES_ECB)


def test_an_opened_key_can_be_neither_read_nor_wrapped(loot: Loot) -> None:
    key = unwrap(loot)
    assert key[Attribute.SENSITIVE]
    assert not key[Attribute.EXTRACTABLE]
    with pytest.raises(AttributeSensitive):
        key[Attribute.VALUE]
    with pytest.raises(KeyUnextractable):
        loot.wrapping.wrap_key(key, mechanism=WRAP)


# --- parking the opened key --------------------------------------------------------------------


def test_an_opened_key_cannot_be_unwrapped_onto_the_token(loot: Loot, naive_loot: Loot) -> None:
    """A parked key would sign after its approval, and without the cell's secret."""
    assert unwrap(naive_loot, TOKEN=True, COPYABLE=DEFAULT)[Attribute.TOKEN]
    with pytest.raises(TemplateInconsistent):
        unwrap(loot, TOKEN=True)


def test_an_opened_key_cannot_be_copied_onto_the_token(loot: Loot, naive_loot: Loot) -> None:
    """Not in hsm.md: C_CopyObject parks a key whose template only says TOKEN=False."""
    parked = unwrap(naive_loot, COPYABLE=DEFAULT)
    parked.copy({Attribute.TOKEN: True})
    key = unwrap(loot)
    for template in ({Attribute.TOKEN: True}, {Attribute.LABEL: "mine"}):
        with pytest.raises(PKCS11Error, match=ACTION_PROHIBITED):
            key.copy(template)
    stored = {Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.TOKEN: True}
    labels = [each[Attribute.LABEL] for each in loot.session.get_objects(stored)]
    assert sorted(labels) == ["", "ca", "ka", "ks"]  # "" is the naive one's copy


# --- B: a key between its making and its wrapping ------------------------------------------------


def own_wrapping_key(session: Session) -> Any:  # noqa: ANN401  # as above
    """An AES key whose value the attacker knows."""
    return session.create_object(
        {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.AES,
            Attribute.VALUE: bytes(32),
            Attribute.WRAP: True,
        }
    )


def test_a_naive_signer_s_key_is_stolen_by_wrapping_it(session: Session) -> None:
    """The attack of condition B is real: it succeeds without CKA_WRAP_WITH_TRUSTED."""
    public, private = naive_pair(session)
    blob = own_wrapping_key(session).wrap_key(private, mechanism=WRAP)
    assert holds_private_key(aes_key_unwrap_with_padding(bytes(32), blob), spki_of(public))


@pytest.mark.parametrize("algorithm", [KeyAlgorithm.P256, KeyAlgorithm.RSA_2048])
def test_a_signer_s_key_cannot_be_wrapped_under_an_attacker_s_key(
    session: Session, algorithm: KeyAlgorithm
) -> None:
    """hsm.md 1 B."""
    _public, private = generate_signers_key(session, algorithm)
    with pytest.raises(KeyNotWrappable):
        own_wrapping_key(session).wrap_key(private, mechanism=WRAP)


def test_a_signer_s_key_cannot_be_freed_from_its_condition(session: Session) -> None:
    """Neither changed in place nor in a copy."""
    _public, private = generate_signers_key(session, KeyAlgorithm.P256)
    with pytest.raises(PKCS11Error):
        private[Attribute.WRAP_WITH_TRUSTED] = False
    with pytest.raises(PKCS11Error, match=ACTION_PROHIBITED):
        private.copy({Attribute.WRAP_WITH_TRUSTED: False})
    with pytest.raises(AttributeSensitive):
        private[Attribute.VALUE]


def test_the_user_cannot_make_a_trusted_key(session: Session) -> None:
    """Only the security officer sets CKA_TRUSTED, and nobody is the security officer at work."""
    trusted = {Attribute.TRUSTED: True, Attribute.WRAP: True}
    value = {
        Attribute.CLASS: ObjectClass.SECRET_KEY,
        Attribute.KEY_TYPE: KeyType.AES,
        Attribute.VALUE: bytes(32),
    }
    with pytest.raises(AttributeReadOnly):
        session.create_object({**value, **trusted})
    with pytest.raises(AttributeReadOnly):
        session.generate_key(KeyType.AES, 256, template=trusted)
    own = own_wrapping_key(session)
    with pytest.raises(AttributeReadOnly):
        own[Attribute.TRUSTED] = True


# --- the keys that stay ------------------------------------------------------------------------


def staying_keys(session: Session) -> Iterator[Any]:
    for label in ("kw-1", "kp", "ks", "ka", "ca", "ke-7"):
        for key in session.get_objects({Attribute.LABEL: label}):
            if key[Attribute.CLASS] is not ObjectClass.PUBLIC_KEY:
                yield key


def test_a_key_that_stays_cannot_leave(token: Token, session: Session) -> None:
    """KW, KP, KS, KA, the CA's and KE: not read, not wrapped, not changed, not copied."""
    hsm = token.hsm()
    hsm.make_hour_key(7)
    wrapping: Any
    (wrapping,) = session.get_objects({Attribute.LABEL: "kw-1"})
    attacks: list[Callable[[Any], object]] = [
        lambda key: key[Attribute.VALUE],
        lambda key: wrapping.wrap_key(key, mechanism=WRAP),
        lambda key: own_wrapping_key(session).wrap_key(key, mechanism=WRAP),
        lambda key: key.__setitem__(Attribute.SENSITIVE, bool(0)),
        lambda key: key.__setitem__(Attribute.LABEL, "another"),
        lambda key: key.copy({Attribute.TOKEN: False}),
        lambda key: key.copy({Attribute.EXTRACTABLE: True}),
    ]
    keys = list(staying_keys(session))
    assert len(keys) == 6
    for key in keys:
        for attack in attacks:
            with pytest.raises(PKCS11Error):
                attack(key)


def test_a_wrapping_key_cannot_be_given_other_powers(session: Session) -> None:
    (wrapping,) = session.get_objects({Attribute.LABEL: "kw-1"})
    for power in (Attribute.DECRYPT, Attribute.ENCRYPT, Attribute.DERIVE, Attribute.SIGN):
        with pytest.raises(PKCS11Error):
            wrapping[power] = True
        with pytest.raises(PKCS11Error):
            wrapping.copy({power: True, Attribute.TOKEN: False})
    with pytest.raises((PKCS11Error, NotImplementedError)):
        wrapping[Attribute.UNWRAP_TEMPLATE] = {}
