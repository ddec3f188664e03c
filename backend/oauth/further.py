"""A paired phone asks the authorisation server to add another one (docs/phone-protocol.md, 8.5).

It is asked here because the SAM has to sign the ask at once. The caller is known by its request
proof, as at the mobile API; the proof names this server's address.
"""

from http import HTTPStatus
from typing import Final

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue

from backend.access.browsers import admit_app
from backend.access.json_body import load_body
from backend.access.phones import ProvenCall, prove_phone
from backend.access.problems import answer_with_problems
from backend.oauth.schemas import AskedFurtherAnswer, FurtherBody
from backend.oauth.uses import OauthUses
from backend.protocol.ask import read_thumbprints

PATH: Final = "/further-phones"
LONGEST_NAME: Final = 512
"""Of a proof's header, as far as it tells one caller from another."""


def create_blueprint(uses: OauthUses) -> Blueprint:
    """Make the route, on these use cases."""
    blueprint = Blueprint("further_phones", __name__)
    admit_app(blueprint, uses.settings)
    answer_with_problems(blueprint, challenges={"/": 'DPoP algs="ES256"'})

    @blueprint.post(PATH)
    def ask() -> ResponseReturnValue:
        prints = read_thumbprints(load_body(request, FurtherBody())["keys"])
        asked = uses.ask_further(uses.session(), proven_call(uses), prints)
        return jsonify(AskedFurtherAnswer().dump(asked)), HTTPStatus.CREATED

    return blueprint


def proven_call(uses: OauthUses) -> ProvenCall:
    """The paired phone that made this very request, and its proof, which what it asks for uses up.

    Raises:
        Unauthenticated: no proof, a false one, or one of a phone that is not paired any more.
        ProofReplayed: the proof came before.
        TooManyRequests: too many proofs were false from there.
    """
    authorization, now = request.headers.get("Authorization"), uses.clock()
    named = (authorization or "").partition(".")[0][:LONGEST_NAME]
    with uses.doorman.watching(request.remote_addr, named, now=now):
        return prove_phone(
            uses.session(),
            authorization=authorization,
            method=request.method,
            address=uses.settings.authorization_server_url.rstrip("/") + request.path,
            body=request.get_data(),
            public_keys=uses.public_keys,
            now=now,
        )
