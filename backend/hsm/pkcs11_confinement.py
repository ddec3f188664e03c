"""Whether a token is fit to hold cells, asked after each login.

Rules:

1. KP and every service key are there; a public key is proved by a signature of its private one.
2. The two attacks of hsm.md 1 are tried, and must fail: (A) to unwrap a signer's key so that it can
   be read, under every wrapping key; (B) to wrap one under a key that is not ``TRUSTED``.

An HSM that leaves out CKA_UNWRAP_TEMPLATE or CKA_WRAP_WITH_TRUSTED without a word is found here,
before it holds a cell.
"""

from typing import cast

from pkcs11 import Attribute, KeyType, MechanismFlag, PKCS11Error

from backend.algorithms import KeyAlgorithm
from backend.errors import HsmNotReady
from backend.hsm import pkcs11_keys as keys
from backend.hsm import pkcs11_signers_keys as signers_keys
from backend.hsm import pkcs11_templates as templates
from backend.hsm.pkcs11_sessions import TokenSession
from backend.hsm.protocol import SigningServiceKey


def check_token(session: TokenSession) -> dict[SigningServiceKey, bytes]:
    """Check a token; gives the public keys of its service keys, DER SubjectPublicKeyInfo.

    Raises:
        pkcs11.NoSuchKey: a key is missing.
        HsmNotReady: the token lets keys out, or its public keys are not its own.
    """
    keys.prove_presence(session)
    keys.newest_wrapping_key(session)
    for kw in keys.wrapping_keys(session.session):
        signers_keys.prove_wrapping(session, kw)
        _refuse_reading(session, kw)
    _refuse_foreign_wrapping(session)
    return {key: keys.service_public_key(session, key) for key in SigningServiceKey}


def _refuse_reading(session: TokenSession, kw: str) -> None:
    blob = signers_keys.make_wrapped(session, KeyAlgorithm.P256, kw=kw).blob
    readable = {**templates.UNWRAPPING, Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True}
    wrapping = keys.wrapping_key(session, kw)
    try:
        key = signers_keys.unwrap_as(wrapping, KeyAlgorithm.P256, blob=blob, template=readable)
    except PKCS11Error:
        return
    key.destroy()
    raise HsmNotReady(f"{kw} opens keys so that they can be read: it has no CKA_UNWRAP_TEMPLATE")


def _refuse_foreign_wrapping(session: TokenSession) -> None:
    foreign = cast(
        "keys.WrappingKey",
        session.session.generate_key(KeyType.AES, 256, capabilities=MechanismFlag.WRAP),
    )
    public, private = signers_keys.generate_signers_key(session.session, KeyAlgorithm.P256)
    try:
        foreign.wrap_key(private, mechanism=signers_keys.WRAP)
    except PKCS11Error:
        return
    finally:
        for key in (foreign, public, private):
            key.destroy()
    raise HsmNotReady("the HSM wraps keys under any key: it does not obey CKA_WRAP_WITH_TRUSTED")
