"""Making the keys of a token (``cellkey hsm init``)."""

import pytest
from pkcs11 import Attribute, KeyType, MechanismFlag, ObjectClass, PinIncorrect, Slot, TokenFlag

from backend.algorithms import KeyAlgorithm
from backend.errors import AlreadyThere, HsmUnavailable
from backend.hsm.pkcs11 import Pkcs11Hsm
from backend.hsm.pkcs11_binding import Module, load_module
from backend.hsm.pkcs11_provision import provision
from tests.world.softhsm import MODULE, PIN, SO_PIN, SoftHsm, Token, log_everybody_out, softhsm


def hsm_of(label: str) -> Pkcs11Hsm:
    return Pkcs11Hsm(module=MODULE, token=label, read_pin=lambda: PIN, pauses_seconds=())


def initialised_token(store: SoftHsm, *, with_pin: bool) -> str:
    """A token as a vendor's tool leaves it: named, with a security officer, without keys."""
    label = store.new_label()
    module = load_module(MODULE)
    module.started()
    slot = next(
        slot for slot in module.slots() if not slot.get_token().flags & TokenFlag.TOKEN_INITIALIZED
    )
    module.initialise_token(slot, so_pin=SO_PIN, label=label)
    if with_pin:
        with module.token(label).open(rw=True, so_pin=SO_PIN) as session:
            session.init_pin(PIN)
    return label


def test_an_empty_slot_becomes_a_token_with_all_keys(token: Token) -> None:
    with token.attacker() as session:
        found = sorted(
            (key[Attribute.LABEL], key[Attribute.CLASS].name) for key in session.get_objects()
        )
    assert found == [
        ("ca", "PRIVATE_KEY"),
        ("ca", "PUBLIC_KEY"),
        ("ka", "PRIVATE_KEY"),
        ("ka", "PUBLIC_KEY"),
        ("kp", "SECRET_KEY"),
        ("ks", "PRIVATE_KEY"),
        ("ks", "PUBLIC_KEY"),
        ("kw-1", "SECRET_KEY"),
    ]


def test_the_wrapping_key_wraps_and_does_nothing_else(token: Token) -> None:
    """hsm.md 1: what the security officer makes."""
    with token.attacker() as session:
        (kw,) = session.get_objects({Attribute.LABEL: "kw-1"})
        powers = {
            power
            for power in MechanismFlag
            if power.name in Attribute.__members__
            and power.name in {"ENCRYPT", "DECRYPT", "SIGN", "VERIFY", "WRAP", "UNWRAP", "DERIVE"}
            and kw[Attribute[power.name]]
        }
        assert powers == {MechanismFlag.WRAP, MechanismFlag.UNWRAP}
        assert kw[Attribute.KEY_TYPE] is KeyType.AES
        assert kw[Attribute.VALUE_LEN] == 32
        for attribute in ("TRUSTED", "SENSITIVE", "LOCAL", "NEVER_EXTRACTABLE"):
            assert kw[Attribute[attribute]]
        for attribute in ("EXTRACTABLE", "MODIFIABLE", "COPYABLE", "PRIVATE"):
            assert not kw[Attribute[attribute]]


@pytest.mark.parametrize("with_pin", [True, False])
def test_a_token_that_a_vendor_s_tool_initialised_gets_its_keys(with_pin: bool) -> None:  # noqa: FBT001  # a case of the test
    label = initialised_token(softhsm(), with_pin=with_pin)
    provision(module=MODULE, token=label, so_pin=SO_PIN, pin=PIN)
    assert hsm_of(label).generate(KeyAlgorithm.P256).kw == "kw-1"


def test_an_interrupted_initialisation_is_finished_and_keeps_what_was_made(token: Token) -> None:
    before = token.hsm().pepper(b"password")
    with token.attacker() as session:
        for label in ("ks", "ka"):
            for half in list(session.get_objects({Attribute.LABEL: label})):
                half.destroy()
    token.initialise()
    hsm = token.hsm()
    assert hsm.pepper(b"password") == before
    assert hsm.generate(KeyAlgorithm.P256).kw == "kw-1"
    with pytest.raises(AlreadyThere):
        token.initialise()


def test_a_half_of_a_pair_that_was_left_alone_is_not_kept(token: Token) -> None:
    """A crash between destroying and making must not leave two public keys of one name."""
    with token.attacker() as session:
        (private,) = session.get_objects(
            {Attribute.LABEL: "ks", Attribute.CLASS: ObjectClass.PRIVATE_KEY}
        )
        private.destroy()
    token.initialise()
    assert token.hsm().health()["token"] == token.label


@pytest.mark.parametrize(
    ("so_pin", "pin"), [("wrong so pin", PIN), (SO_PIN, "wrong pin")], ids=["so", "user"]
)
def test_a_wrong_pin_makes_nothing(so_pin: str, pin: str) -> None:
    label = initialised_token(softhsm(), with_pin=True)
    with pytest.raises(HsmUnavailable, match=PinIncorrect.__name__):
        provision(module=MODULE, token=label, so_pin=so_pin, pin=pin)
    log_everybody_out()
    with load_module(MODULE).token(label).open(user_pin=PIN) as session:
        assert list(session.get_objects()) == []


def test_a_pin_that_the_token_does_not_take_is_told() -> None:
    label = softhsm().new_label()
    with pytest.raises(HsmUnavailable):
        provision(module=MODULE, token=label, so_pin="1", pin=PIN)
    with pytest.raises(HsmUnavailable):
        provision(module=MODULE, token=label, so_pin=SO_PIN, pin="1")
    provision(module=MODULE, token=label, so_pin=SO_PIN, pin=PIN)
    hsm_of(label).health()


def test_without_the_token_and_without_an_empty_slot_nothing_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A token that holds anything is never initialised again."""
    store = softhsm()
    before = set(store.tokens.iterdir())
    monkeypatch.setattr(Module, "slots", full_slots)
    with pytest.raises(HsmUnavailable, match="empty slot"):
        provision(module=MODULE, token=store.new_label(), so_pin=SO_PIN, pin=PIN)
    assert set(store.tokens.iterdir()) == before


def full_slots(module: Module) -> list[Slot]:
    """SoftHSM always has one empty slot more; this HSM has none."""
    return [slot for slot in module._library().get_slots() if slot.get_token().label]
