"""The signer's phones and what protects them: removal, push, recovery, the freeze (8.3)."""

from collections.abc import Mapping
from typing import Any

from backend.devices.listing import ListedDevice, lock_of, phones_of
from backend.devices.push import subscribe, unsubscribe
from backend.devices.recovery import store_recovery_lock
from backend.devices.removal import ask_removal
from backend.errors import MalformedMessage, NotFound
from backend.protocol.encoding import unb64u
from backend.protocol.record import record_hash
from backend.signers.freeze import BY_PHONE, freeze
from backend.wiring import db
from mobile_api.blueprint import Blueprint
from mobile_api.callers import PROOF, calling_phone, reading_phone
from mobile_api.schemas import (
    DevicesAnswer,
    EmptyBody,
    LockAnswer,
    RecoveryLockBody,
    SecurityKeysAnswer,
    SubscriptionBody,
)
from mobile_api.services import services

blueprint = Blueprint("devices", __name__, description="The phones of a cell.")


@blueprint.get("/devices")
@blueprint.response(200, DevicesAnswer)
@blueprint.doc(security=PROOF)
def list_devices() -> Mapping[str, tuple[ListedDevice, ...]]:
    """The phones of this cell."""
    phone = calling_phone()
    return {"devices": phones_of(db.session(), phone=phone)}


@blueprint.delete("/devices/<kid>")
@blueprint.response(204)
@blueprint.doc(security=PROOF)
def remove_device(kid: str) -> None:
    """Stop a phone at once; the cell's record follows within seconds."""
    phone = calling_phone()
    ask_removal(db.session(), phone=phone, kid=_kid(kid), now=services().clock())


@blueprint.get("/security-keys")
@blueprint.response(200, SecurityKeysAnswer)
@blueprint.doc(security=PROOF)
def list_security_keys() -> Mapping[str, object]:
    """The security keys of this phone, and the hash of the record that a further one follows."""
    phone = reading_phone()
    keys = phone.device.security_keys
    return {"record": record_hash(phone.record), "security_keys": [{"id": key.id} for key in keys]}


@blueprint.put("/push-subscription")
@blueprint.arguments(SubscriptionBody())
@blueprint.response(204)
@blueprint.doc(security=PROOF)
def put_subscription(body: Mapping[str, Any]) -> None:
    """Say where this phone is woken; the newest subscription stands."""
    here, phone = services(), calling_phone()
    subscribe(
        db.session(),
        phone=phone,
        endpoint=body["endpoint"],
        p256dh=body["keys"]["p256dh"],
        auth=body["keys"]["auth"],
        again=body["again"],
        allowed_hosts=here.push_hosts,
        now=here.clock(),
    )


@blueprint.delete("/push-subscription")
@blueprint.response(204)
@blueprint.doc(security=PROOF)
def delete_subscription() -> None:
    """Wake this phone no more."""
    phone = calling_phone()
    unsubscribe(db.session(), phone=phone)


@blueprint.get("/lock")
@blueprint.response(200, LockAnswer)
@blueprint.doc(security=PROOF)
def show_lock() -> Mapping[str, str]:
    """This phone's device lock, without a transaction: to make a new recovery code."""
    phone = reading_phone()
    return {"lock": lock_of(db.session(), phone=phone)}


@blueprint.put("/recovery-lock")
@blueprint.arguments(RecoveryLockBody())
@blueprint.response(204)
@blueprint.doc(security=PROOF)
def put_recovery_lock(body: Mapping[str, str]) -> None:
    """Keep the lock under the recovery code; a newer one replaces it."""
    phone = calling_phone()
    store_recovery_lock(db.session(), phone=phone, lock=body["lock"], now=services().clock())


@blueprint.post("/freeze")
@blueprint.arguments(EmptyBody())
@blueprint.response(204)
@blueprint.doc(security=PROOF)
def freeze_signer(_body: Mapping[str, Any]) -> None:
    """Lock the signer's access; two people at the authority lift it."""
    phone = calling_phone()
    freeze(db.session(), signer=phone.signer, by=BY_PHONE, now=services().clock())


def _kid(text: str) -> bytes:
    try:
        return unb64u(text)
    except MalformedMessage as error:
        raise NotFound("the cell has no such phone") from error
