"""Where HTTP gateways report whether a text was delivered (docs/deployment.md, "SMS").

1. The address holds a token of one part of one text, made by the worker and told to the gateway
   with that part: who has it may report on it, and learns nothing. An unknown one is a failure of
   its address, and such are looked at less and less often.
2. Kannel asks ``GET …?status=1`` (its delivery report values); everybody else posts
   ``{"state": "delivered" | "failed", "reason": …}``. Both may be repeated.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final, final

import msgspec
from flask import Blueprint, Response, request
from marshmallow import Schema, fields, validate
from sqlalchemy.orm import Session

from backend.access.doorman import Doorman
from backend.access.json_body import load_body
from backend.delivery.sms_reports import PartState, Report, take_report_by_token

LONGEST_REASON: Final = 200
_KANNEL: Final = {
    "1": Report(state=PartState.DELIVERED),
    "2": Report(state=PartState.FAILED, unverified_reason="not delivered"),
    "16": Report(state=PartState.FAILED, unverified_reason="refused by the SMS centre"),
}


class _ReportSchema(Schema):
    state = fields.String(
        required=True, validate=validate.OneOf([each.value for each in PartState])
    )
    reason = fields.String(validate=validate.Length(max=LONGEST_REASON))


@final
class ReportUses(msgspec.Struct, frozen=True, kw_only=True):
    """What the routes stand on."""

    session: Callable[[], Session]
    clock: Callable[[], datetime]
    doorman: Doorman


def create_blueprint(uses: ReportUses) -> Blueprint:
    """Make the routes."""
    blueprint = Blueprint("sms_reports", __name__, url_prefix="/sms/reports")

    def take(token: str, report: Report) -> Response:
        now = uses.clock()
        with uses.doorman.watching(request.remote_addr, "SMS gateway", now=now):
            take_report_by_token(uses.session(), token, report, now=now)
        return Response(status=204)

    @blueprint.get("/<string(length=43):token>")
    def from_kannel(token: str) -> Response:
        report = _KANNEL.get(request.args.get("status", ""))
        # Of what is not final, nothing is written down.
        return Response(status=204) if report is None else take(token, report)

    @blueprint.post("/<string(length=43):token>")
    def from_others(token: str) -> Response:
        body = load_body(request, _ReportSchema())
        report = Report(state=PartState(body["state"]), unverified_reason=body.get("reason"))
        return take(token, report)

    return blueprint
