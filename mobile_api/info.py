"""Whose service this is; the one call that needs no proof (8.3)."""

from collections.abc import Mapping

from flask import request

from backend.access.doorman import network_of
from mobile_api.blueprint import Blueprint
from mobile_api.schemas import InfoAnswer
from mobile_api.services import services

blueprint = Blueprint("info", __name__, description="For everyone.")


@blueprint.get("/info")
@blueprint.response(200, InfoAnswer)
def show_info() -> Mapping[str, str]:
    """The authority's name, the authorisation server, and the key for push messages."""
    here = services()
    here.strangers.take(network_of(request.remote_addr), now=here.clock())
    return {
        "ca": here.settings.ca_name,
        "authorization_server": here.settings.authorization_server_url,
        "push_key": here.push_key,
    }
