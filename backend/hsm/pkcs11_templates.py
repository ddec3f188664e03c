"""What each key on a token may do and may not; by these attributes it is also found again.

Rules (reference: hsm.md 1, conditions A and B):

- KW wraps and unwraps and does nothing else; it is ``TRUSTED``, which only the security officer can
  make it, and what it unwraps keeps to :data:`UNWRAPPED`.
- A signer's key leaves the token only wrapped under a ``TRUSTED`` key.
- An opened key can neither be read, nor wrapped, nor stored; nor copied, because a copy could be
  stored.
- A key that stays was made on the token and never could leave it. A key that somebody brought in
  under the same name lacks ``LOCAL`` or ``NEVER_EXTRACTABLE``, so it is not found.
"""

from typing import Any, Final

from pkcs11 import Attribute, KeyType, ObjectClass
from pkcs11.constants import DEFAULT
from pkcs11.util.ec import encode_named_curve_parameters

Template = dict[Attribute, Any]

P256: Final = encode_named_curve_parameters("secp256r1")
"""CKA_EC_PARAMS of P-256."""

P384: Final = encode_named_curve_parameters("secp384r1")
"""CKA_EC_PARAMS of P-384."""

ED25519_FORMS: Final = (bytes.fromhex("130c656477617264733235353139"), bytes.fromhex("06032b6570"))
"""CKA_EC_PARAMS of Ed25519: the name of PKCS #11 3.0, the OID of 3.1; tokens know one of them."""

UNWRAPPED: Final[Template] = {
    Attribute.CLASS: ObjectClass.PRIVATE_KEY,
    Attribute.TOKEN: False,
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.COPYABLE: False,
    Attribute.SIGN: True,
}
"""CKA_UNWRAP_TEMPLATE of KW. SoftHSM wants every attribute of it named again at each unwrapping."""

UNWRAPPING: Final[Template] = {
    **UNWRAPPED,
    # The binding would add these, which a private key does not have.
    Attribute.ENCRYPT: DEFAULT,
    Attribute.WRAP: DEFAULT,
    Attribute.VERIFY: DEFAULT,
}
"""Template with which a signer's key is unwrapped."""

KW: Final[Template] = {
    # Only the security officer can set TRUSTED, and it can make no private object.
    Attribute.PRIVATE: False,
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.MODIFIABLE: False,
    Attribute.COPYABLE: False,
    Attribute.TRUSTED: True,
    Attribute.UNWRAP_TEMPLATE: UNWRAPPED,
}
"""Template of a wrapping key."""

SIGNERS_KEY: Final[Template] = {
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: True,
    Attribute.WRAP_WITH_TRUSTED: True,
    Attribute.COPYABLE: False,
}
"""Template of a signer's private key, between its making and its wrapping."""

STAYING_KEY: Final[Template] = {
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.MODIFIABLE: False,
    Attribute.COPYABLE: False,
}
"""Template of a private or secret key that never leaves: KS, KA, CA, KP and KE."""

STAYING_PUBLIC_KEY: Final[Template] = {Attribute.MODIFIABLE: False, Attribute.COPYABLE: False}
"""Template of the public half of KS, KA and CA."""

_MADE_HERE: Final[Template] = {
    Attribute.TOKEN: True,
    Attribute.LOCAL: True,
    Attribute.SENSITIVE: True,
    Attribute.NEVER_EXTRACTABLE: True,
}
FIND_KW: Final[Template] = {
    Attribute.CLASS: ObjectClass.SECRET_KEY,
    Attribute.KEY_TYPE: KeyType.AES,
    Attribute.TRUSTED: True,
    **_MADE_HERE,
}
"""Finds wrapping keys."""

FIND_MAC_KEY: Final[Template] = {
    Attribute.CLASS: ObjectClass.SECRET_KEY,
    Attribute.KEY_TYPE: KeyType.GENERIC_SECRET,
    **_MADE_HERE,
}
"""Finds KP and KE."""

FIND_SIGNING_KEY: Final[Template] = {
    Attribute.CLASS: ObjectClass.PRIVATE_KEY,
    Attribute.KEY_TYPE: KeyType.EC,
    **_MADE_HERE,
}
"""Finds the private half of KS, KA and CA."""

FIND_PUBLIC_KEY: Final[Template] = {
    Attribute.CLASS: ObjectClass.PUBLIC_KEY,
    Attribute.KEY_TYPE: KeyType.EC,
    Attribute.TOKEN: True,
    Attribute.LOCAL: True,
}
"""Finds their public half; whoever uses it must prove that it belongs to the private one."""
