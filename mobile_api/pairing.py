"""Pairing, step 2: the new phone, by its ticket (8.2)."""

from typing import Any

from backend.devices.pairing import PairingView, StoredEnrolment, pairing_view, store_enrolment
from backend.wiring import db
from mobile_api.blueprint import Blueprint
from mobile_api.callers import TICKET, callers_ticket
from mobile_api.schemas import EnrolmentAnswer, EnrolmentBody, PairingAnswer
from mobile_api.services import services

blueprint = Blueprint("pairing", __name__, description="A phone that is not paired yet.")


@blueprint.get("/pairing")
@blueprint.response(200, PairingAnswer)
@blueprint.doc(security=TICKET)
def show_pairing() -> PairingView:
    """How the pairing stands, with the ask to enrol and what belongs to it."""
    here = services()
    with callers_ticket() as ticket:
        return pairing_view(
            db.session(), ticket=ticket, public_keys=here.public_keys, now=here.clock()
        )


@blueprint.put("/pairing/enrolment")
@blueprint.arguments(EnrolmentBody())
@blueprint.response(200, EnrolmentAnswer)
@blueprint.doc(security=TICKET)
def enrol(body: dict[str, Any]) -> StoredEnrolment:
    """Hand in the phone's keys. The same bytes may be repeated."""
    here = services()
    with callers_ticket() as ticket:
        return store_enrolment(
            db.session(),
            ticket=ticket,
            enrolment=body["enrolment"],
            sealed=body["sealed"],
            public_keys=here.public_keys,
            settings=here.settings,
            now=here.clock(),
        )
