"""A further phone, which proves nothing but its request key until another one approved it (8.5)."""

from collections.abc import Mapping
from typing import Any

from flask import request

from backend.access.doorman import network_of
from backend.devices.further_device import FurtherView, further_view, store_further_enrolment
from backend.protocol.enrolment import read_enrolment
from backend.protocol.jose import read_jwk
from backend.wiring import db
from mobile_api.blueprint import Blueprint
from mobile_api.callers import PROOF, callers_possession
from mobile_api.schemas import (
    FurtherEnrolmentBody,
    FurtherPhoneAnswer,
    FurtherPhoneBody,
    FurtherStateAnswer,
)
from mobile_api.services import services

blueprint = Blueprint("further_phone", __name__, description="A phone that another one adds.")


@blueprint.post("/further-phone")
@blueprint.arguments(FurtherPhoneBody())
@blueprint.response(200, FurtherPhoneAnswer)
@blueprint.doc(security=PROOF)
def show_further_phone(body: Mapping[str, Any]) -> FurtherView:
    """How far the phone with this request key is. 404 until a paired phone has read its QR code."""
    here, now = services(), services().clock()
    here.strangers.take(network_of(request.remote_addr), now=now)
    key = read_jwk(body["request"])
    here.sightings.use_up(callers_possession(key))
    return further_view(db.session(), request_key=key, public_keys=here.public_keys, now=now)


@blueprint.put("/further-phone/enrolment")
@blueprint.arguments(FurtherEnrolmentBody())
@blueprint.response(200, FurtherStateAnswer)
@blueprint.doc(security=PROOF)
def enrol_further_phone(body: Mapping[str, str]) -> Mapping[str, str]:
    """Hand in the new phone's keys. The same bytes may be repeated."""
    here, now = services(), services().clock()
    here.strangers.take(network_of(request.remote_addr), now=now)
    claims = read_enrolment(body["enrolment"])
    state = store_further_enrolment(
        db.session(),
        enrolment=body["enrolment"],
        claims=claims,
        proof=callers_possession(claims.keys.request),
        public_keys=here.public_keys,
        settings=here.settings,
        now=now,
    )
    return {"state": state}
