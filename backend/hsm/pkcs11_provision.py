"""Making the keys of a token: what ``cellkey hsm init`` does with a PKCS#11 HSM.

Rules:

- Only what is missing is made, KS last: a token with KS is whole, and is refused. So what was
  interrupted may be repeated.
- A token of the given name is taken; without one, an empty slot is initialised. A token that holds
  anything is never initialised again.
- KW is made by the security officer, who alone can set ``TRUSTED``; all other keys by the user.
"""

from pathlib import Path
from typing import Final

from pkcs11 import (
    Attribute,
    KeyType,
    Mechanism,
    MechanismFlag,
    NoSuchToken,
    ObjectClass,
    PKCS11Error,
    Session,
    Token,
    TokenFlag,
)

from backend.errors import AlreadyThere, HsmUnavailable
from backend.hsm import pkcs11_keys as keys
from backend.hsm import pkcs11_templates as templates
from backend.hsm.pkcs11_binding import Module, TemplateMapper, load_module
from backend.hsm.protocol import SigningServiceKey

_BITS: Final = 256
_LAST: Final = keys.service_key_label(SigningServiceKey.RECORDS)


def provision(*, module: Path, token: str, so_pin: str, pin: str) -> None:
    """Make the service keys of a token.

    Raises:
        AlreadyThere: they are made already; they stay as they are.
        HsmUnavailable: the HSM refuses something: a PIN, a mechanism, an attribute.
    """
    loaded = load_module(module)
    with loaded.use():
        try:
            _provision(loaded, token, so_pin=so_pin, pin=pin)
        except PKCS11Error as error:
            raise HsmUnavailable(f"the HSM refused ({type(error).__name__})") from error


def _provision(module: Module, label: str, *, so_pin: str, pin: str) -> None:
    token = _token(module, label, so_pin=so_pin)
    if token.flags & TokenFlag.USER_PIN_INITIALIZED:
        with token.open(user_pin=pin) as session:
            if list(session.get_objects(_named(templates.FIND_SIGNING_KEY, _LAST))):
                raise AlreadyThere(f"the token {label} has its keys already")
    with token.open(rw=True, so_pin=so_pin, attribute_mapper=TemplateMapper()) as session:
        if not token.flags & TokenFlag.USER_PIN_INITIALIZED:
            session.init_pin(pin)
        if not keys.wrapping_keys(session):
            make_wrapping_key(session, "kw-1")
    with token.open(rw=True, user_pin=pin) as session:
        _make_pepper_key(session)
        for key in reversed(SigningServiceKey):  # KS is the first, so it is made last
            _make_service_key(session, keys.service_key_label(key))


def make_wrapping_key(session: Session, kw: str) -> None:
    """Make a wrapping key in a session of the security officer, opened with a TemplateMapper."""
    session.generate_key(
        KeyType.AES,
        _BITS,
        label=kw,
        store=True,
        capabilities=MechanismFlag.WRAP | MechanismFlag.UNWRAP,
        template=templates.KW,
    )


def _token(module: Module, label: str, *, so_pin: str) -> Token:
    try:
        return module.token(label)
    except NoSuchToken:
        for slot in module.slots():
            if not slot.get_token().flags & TokenFlag.TOKEN_INITIALIZED:
                module.initialise_token(slot, so_pin=so_pin, label=label)
                return module.token(label)
    raise HsmUnavailable(f"there is no token {label}, nor an empty slot to make it in")


def _make_pepper_key(session: Session) -> None:
    if list(session.get_objects(_named(templates.FIND_MAC_KEY, keys.PEPPER))):
        return
    session.generate_key(
        KeyType.GENERIC_SECRET,
        _BITS,
        label=keys.PEPPER,
        store=True,
        capabilities=MechanismFlag.SIGN,
        mechanism=Mechanism.GENERIC_SECRET_KEY_GEN,
        template=templates.STAYING_KEY,
    )


def _make_service_key(session: Session, label: str) -> None:
    if list(session.get_objects(_named(templates.FIND_SIGNING_KEY, label))):
        return
    half_a_pair = {Attribute.CLASS: ObjectClass.PUBLIC_KEY, Attribute.LABEL: label}
    for alone in list(session.get_objects(half_a_pair)):
        alone.destroy()
    curve = session.create_domain_parameters(
        KeyType.EC, {Attribute.EC_PARAMS: templates.P256}, local=True
    )
    curve.generate_keypair(
        label=label,
        store=True,
        capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
        public_template=templates.STAYING_PUBLIC_KEY,
        private_template=templates.STAYING_KEY,
    )


def _named(template: templates.Template, label: str) -> templates.Template:
    return {**template, Attribute.LABEL: label}
