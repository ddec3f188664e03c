"""What waits for an answer, and the answers (8.3)."""

from collections.abc import Mapping
from typing import Any, final
from uuid import UUID

import msgspec

from backend.protocol.jose import PublicJwk
from backend.signing.approval import approve, asked_beside, refuse
from backend.signing.pending import PendingTransaction, pending, show, shown_beside
from backend.web_addresses import wait_address
from backend.wiring import db
from mobile_api.blueprint import Blueprint
from mobile_api.callers import PROOF, proven_call, reading_call, reading_phone
from mobile_api.long_poll import wait_for_change
from mobile_api.schemas import (
    ApprovalBody,
    ListAnswer,
    ListQuery,
    RefusalBody,
    StateAnswer,
    TransactionAnswer,
)
from mobile_api.services import services

blueprint = Blueprint("transactions", __name__, description="What a paired phone is asked.")


@final
class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction, with the keys that vouch for it."""

    state: str
    ask: str
    ks: PublicJwk
    keys: tuple[str, ...]
    items: tuple[str, ...]
    lock: str


@final
class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """What waits for an answer, and where to wait for another list."""

    version: str
    transactions: tuple[PendingTransaction, ...]
    wait: str | None


@blueprint.get("/transactions")
@blueprint.arguments(ListQuery(), location="query")
@blueprint.response(200, ListAnswer)
@blueprint.doc(security=PROOF)
def list_pending(query: Mapping[str, Any]) -> Listed:
    """What waits for an answer, the oldest first, at most 100."""
    here, phone = services(), reading_phone()
    found = wait_for_change(
        lambda: pending(db.session(), cell=phone.cell, now=here.clock()),
        phone=phone,
        version=query["version"],
        wait_seconds=min(query["wait"], here.settings.long_poll_seconds),
        here=here,
    )
    return Listed(
        version=found.version,
        transactions=found.transactions,
        wait=wait_address(here.settings.wait_url, phone.wait_id),
    )


@blueprint.get("/transactions/<uuid:transaction>")
@blueprint.response(200, TransactionAnswer)
@blueprint.doc(security=PROOF)
def show_transaction(transaction: UUID) -> Shown:
    """The ask, its list, and this phone's lock. Recorded as opened."""
    here, call = services(), reading_call(shown_beside(transaction))
    shown = show(
        db.session(),
        phone=call.phone,
        transaction=transaction,
        read=call.row,
        sightings=here.sightings,
        now=here.clock(),
    )
    return Shown(
        state=shown.state,
        ask=shown.ask,
        ks=here.public_keys.ks,
        keys=here.public_keys.keys,
        items=shown.items,
        lock=shown.lock,
    )


@blueprint.put("/transactions/<uuid:transaction>/approval")
@blueprint.arguments(ApprovalBody())
@blueprint.response(200, StateAnswer)
@blueprint.doc(security=PROOF)
def approve_transaction(body: Mapping[str, str], transaction: UUID) -> Mapping[str, str]:
    """Approve. The same bytes may be repeated."""
    here, call = services(), proven_call(asked_beside(transaction))
    state = approve(
        db.session(),
        phone=call.phone,
        call=call,
        transaction=transaction,
        approval=body["approval"],
        sealed=body["sealed"],
        public_keys=here.public_keys,
        now=here.clock(),
    )
    return {"state": state}


@blueprint.put("/transactions/<uuid:transaction>/refusal")
@blueprint.arguments(RefusalBody())
@blueprint.response(200, StateAnswer)
@blueprint.doc(security=PROOF)
def refuse_transaction(body: Mapping[str, str], transaction: UUID) -> Mapping[str, str]:
    """Refuse; also after an approval, until all is signed."""
    here, call = services(), proven_call(asked_beside(transaction))
    state = refuse(
        db.session(),
        phone=call.phone,
        call=call,
        transaction=transaction,
        refusal=body["refusal"],
        public_keys=here.public_keys,
        now=here.clock(),
    )
    return {"state": state}
