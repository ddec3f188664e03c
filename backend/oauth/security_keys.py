"""A phone adds or removes a security key (docs/phone-protocol.md, 8.6).

It is asked here because the SAM has to make the record's next epoch at once.
"""

from http import HTTPStatus
from typing import Final

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from backend.access.browsers import admit_app
from backend.access.json_body import load_body
from backend.access.problems import answer_with_problems
from backend.errors import MalformedMessage, NotFound
from backend.oauth.further import proven_call
from backend.oauth.schemas import SecurityKeyBody
from backend.oauth.uses import OauthUses
from backend.protocol.encoding import unb64u

PATH: Final = "/security-keys"


def create_blueprint(uses: OauthUses) -> Blueprint:
    """Make the routes, on these use cases."""
    blueprint = Blueprint("security_keys", __name__)
    admit_app(blueprint, uses.settings)
    answer_with_problems(blueprint, challenges={"/": 'DPoP algs="ES256"'})

    @blueprint.post(PATH)
    def add() -> ResponseReturnValue:
        message = load_body(request, SecurityKeyBody())["security_key"]
        uses.security_keys.add(uses.session(), proven_call(uses), message)
        return "", HTTPStatus.NO_CONTENT

    @blueprint.delete(f"{PATH}/<credential>")
    def remove(credential: str) -> ResponseReturnValue:
        uses.security_keys.remove(uses.session(), proven_call(uses), _read(credential))
        return "", HTTPStatus.NO_CONTENT

    return blueprint


def _read(credential: str) -> bytes:
    try:
        return unb64u(credential)
    except MalformedMessage as error:
        raise NotFound("this phone has no such security key") from error
