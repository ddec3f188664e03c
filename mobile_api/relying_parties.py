"""Whom the signer has stopped by "not me", and that they may ask again (8.3)."""

from collections.abc import Mapping, Sequence

from backend.signing.mistrust import Stopped, allow_again, stopped_of
from backend.wiring import db
from mobile_api.blueprint import Blueprint
from mobile_api.callers import PROOF, calling_phone
from mobile_api.schemas import StoppedAnswer

blueprint = Blueprint("relying_parties", __name__, description="Who may not ask the signer.")


@blueprint.get("/relying-parties/stopped")
@blueprint.response(200, StoppedAnswer)
@blueprint.doc(security=PROOF)
def list_stopped() -> Mapping[str, Sequence[Stopped]]:
    """The relying parties that this signer has stopped, the newest first."""
    phone = calling_phone()
    return {"relying_parties": stopped_of(db.session(), signer=phone.signer)}


@blueprint.delete("/relying-parties/stopped/<party>")
@blueprint.response(204)
@blueprint.doc(security=PROOF)
def allow_party(party: str) -> None:
    """Let a relying party ask this signer again."""
    phone = calling_phone()
    allow_again(db.session(), phone=phone, unverified_id=party)
