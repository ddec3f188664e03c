"""A recovery code of a paired phone: made, shown once, its lock handed in (section 5).

The code and CS never leave the phone. The lock is handed in before the code is told; a newer one
replaces it.
"""

import os

from backend.virtual_phone.calls import PhoneCalls
from backend.virtual_phone.encoding import SECRET_LENGTH, in_groups, raw_uuid, secret_text
from backend.virtual_phone.jose import jwk_of
from backend.virtual_phone.keystore import Device
from backend.virtual_phone.locks import make_recovery_lock, open_device_lock
from backend.virtual_phone.phone_keys import approval_key, unlock

GROUP = 5


def make_code(device: Device, calls: PhoneCalls) -> str:
    """Make a code and hand in its lock; the code as 26 characters in groups of five.

    Raises:
        MessageRefused: the device lock is not this phone's.
        ServerRefused: the lock was not taken.
    """
    cell = raw_uuid(device.cell)
    kid = jwk_of(approval_key(device.keys)).thumbprint()
    opened = unlock(device.keys, cell=cell, challenge=os.urandom(32))
    secret = open_device_lock(calls.lock(), cell=cell, kid=kid, unlock=opened.key)
    code = os.urandom(SECRET_LENGTH)
    calls.keep_recovery_lock(make_recovery_lock(secret, code=code, cell=cell))
    return in_groups(secret_text(code), size=GROUP)
