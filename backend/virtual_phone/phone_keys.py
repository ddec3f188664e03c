"""The phone's three keys, and how each kind of phone keeps them (sections 5 and 6).

Approval and request keys lie in the state file. So does the unlock key of a ``virtual`` phone; a
browser has it wrapped under the PRF output of its passkey, and every use asks the passkey.
"""

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from backend.virtual_phone.authenticator import Assertion, Passkey, get
from backend.virtual_phone.encoding import b64u, unb64u
from backend.virtual_phone.errors import CannotAnswer
from backend.virtual_phone.invitation import PhoneKeys
from backend.virtual_phone.jose import jwk_of, key_bytes, key_from, new_key
from backend.virtual_phone.keystore import Keys
from backend.virtual_phone.locks import (
    BY_KEY,
    prf_salt,
    security_key_salt,
    unwrap_unlock,
    wrap_unlock,
)


class OpenKeys(msgspec.Struct, frozen=True, kw_only=True):
    """All three private keys at hand, as at pairing."""

    approval: ec.EllipticCurvePrivateKey
    request: ec.EllipticCurvePrivateKey
    unlock: ec.EllipticCurvePrivateKey

    def public(self) -> PhoneKeys:
        """Public halves."""
        return PhoneKeys(
            approval=jwk_of(self.approval),
            request=jwk_of(self.request),
            unlock=jwk_of(self.unlock),
        )


class Unlocked(msgspec.Struct, frozen=True, kw_only=True):
    """The unlock key, and the assertion that it cost."""

    key: ec.EllipticCurvePrivateKey
    assertion: Assertion | None


def new_keys() -> OpenKeys:
    """Three new keys."""
    return OpenKeys(approval=new_key(), request=new_key(), unlock=new_key())


def approval_key(keys: Keys) -> ec.EllipticCurvePrivateKey:
    """The key that approves."""
    return key_from(unb64u(keys.approval))


def request_key(keys: Keys) -> ec.EllipticCurvePrivateKey:
    """The key that signs requests and refusals."""
    return key_from(unb64u(keys.request))


def unlock(
    keys: Keys, *, cell: bytes, challenge: bytes, security_key: str | None = None
) -> Unlocked:
    """The unlock key; a browser's passkey signs ``challenge`` for it.

    Args:
        keys: as the phone keeps them.
        cell: which the key opens.
        challenge: what it is wanted for.
        security_key: id of the one that answers instead.

    Raises:
        CannotAnswer: the phone has no such security key.
    """
    if security_key is not None:
        return _by_security_key(keys, security_key, cell=cell, challenge=challenge)
    if keys.passkey is None:
        return Unlocked(key=key_from(unb64u(keys.unlock)), assertion=None)
    assertion, output = get(keys.passkey, challenge=challenge, salt=prf_salt(cell))
    key = unwrap_unlock(keys.unlock, prf_output=output, cell=cell)
    return Unlocked(key=key, assertion=assertion)


def _by_security_key(keys: Keys, security_key: str, *, cell: bytes, challenge: bytes) -> Unlocked:
    for held in keys.security_keys:
        if held.passkey.id == security_key:
            salt = security_key_salt(cell)
            assertion, output = get(held.passkey, challenge=challenge, salt=salt)
            key = unwrap_unlock(held.wrapped, prf_output=output, cell=cell, info=BY_KEY)
            return Unlocked(key=key, assertion=assertion)
    raise CannotAnswer("this phone has no such security key")


def keep(keys: OpenKeys) -> Keys:
    """The keys of a virtual phone, as the state file has them."""
    return Keys(
        approval=b64u(key_bytes(keys.approval)),
        request=b64u(key_bytes(keys.request)),
        unlock=b64u(key_bytes(keys.unlock)),
    )


def keep_wrapped(keys: OpenKeys, *, passkey: Passkey, prf_output: bytes, cell: bytes) -> Keys:
    """The keys of a browser: unlock only under the passkey's PRF output."""
    wrapped = wrap_unlock(keys.unlock, prf_output=prf_output, cell=cell)
    return msgspec.structs.replace(keep(keys), unlock=wrapped, passkey=passkey)
