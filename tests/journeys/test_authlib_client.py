"""Authlib's client against the running server, over HTTP, told nothing but the issuer's address."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from authlib.integrations.requests_client import OAuth2Session, OAuthError
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url

from backend.wiring import utc_now
from tests.world.client_keys import a_key
from tests.world.oauth_client import CALLBACK, VERIFIER, OauthClient, an_oauth_client
from tests.world.service import Service
from tests.world.serving import serving
from tests.world.signers_browser import browses

SECONDS = 60


def shop_and_client(service: Service, method: str) -> tuple[OauthClient, OAuth2Session]:
    """A relying party that proves itself by that method, and its client."""
    key = a_key()
    jwks = json.dumps({"keys": [key.as_dict(private=False)]})
    signs: dict[str, Any] = {"auth_methods": ("private_key_jwt",), "jwks": jwks}
    by_key = method == "private_key_jwt"
    shop = an_oauth_client(service, **(signs if by_key else {}))
    session = OAuth2Session(
        shop.party.client_id,
        key if by_key else shop.party.client_secret,
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
        scope="service",
        redirect_uri=CALLBACK,
        code_challenge_method="S256",
        default_timeout=SECONDS,
    )
    session.register_client_auth_method(PrivateKeyJWT(alg="ES256"))
    return shop, session


def discovered(session: OAuth2Session, issuer: str) -> AuthorizationServerMetadata:
    """What the server says of itself, where RFC 8414 looks for it."""
    address = get_well_known_url(issuer, external=True)
    told = session.get(address, withhold_token=True).json()
    assert told["issuer"] == issuer
    return AuthorizationServerMetadata(told)


def pushed(session: OAuth2Session, address: str, end_point: str, method: str) -> str:
    """Push (RFC 9126) what an address of Authlib's asks for; gives the address that is left."""
    asked = requests.Request("GET", address).prepare()
    here, _, query = str(asked.url).partition("?")
    answer = session.post(
        end_point,
        data=query,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        auth=session.client_auth(method),
        withhold_token=True,
    )
    assert answer.status_code == 201, answer.text
    left = {"client_id": session.client_id, "request_uri": answer.json()["request_uri"]}
    return str(requests.Request("GET", here, params=left).prepare().url)


def listed(session: OAuth2Session, here: str) -> requests.Response:
    """What the signer has, by the token that the client holds."""
    answer: requests.Response = session.post(f"{here}/csc/v2/credentials/list", json={})
    return answer


@pytest.mark.parametrize("method", ["client_secret_basic", "private_key_jwt"])
def test_csc_24_25_35_38_39_40_138_authlibs_client_goes_the_whole_way_over_http(
    tmp_path: Path, method: str
) -> None:
    """Metadata, PAR, PKCE, token, refresh with rotation, revocation: where the server says."""
    with serving(tmp_path, clock=utc_now) as service:
        service.signing_phone(service.register())
        shop, session = shop_and_client(service, method)
        with session:
            server = discovered(session, shop.here)
            address, state = session.create_authorization_url(
                server["authorization_endpoint"], code_verifier=VERIFIER
            )
            end_point = server["pushed_authorization_request_endpoint"]
            back = browses(service, pushed(session, address, end_point, method))
            given: dict[str, Any] = {
                "url": server["token_endpoint"],
                "authorization_response": back,
                "state": state,
            }
            with pytest.raises(OAuthError, match="invalid_grant"):
                session.fetch_token(**given, code_verifier="w" * 43)
            back = browses(service, pushed(session, address, end_point, method))
            given["authorization_response"] = back
            first = dict(session.fetch_token(**given, code_verifier=VERIFIER))
            by_first = listed(session, shop.here)
            second = dict(session.refresh_token(server["token_endpoint"]))
            by_second = listed(session, shop.here)
            revoked = session.revoke_token(server["revocation_endpoint"])
            by_none = listed(session, shop.here)
            with pytest.raises(OAuthError, match="invalid_grant"):
                session.refresh_token(server["token_endpoint"])
        mine = {"credentialIDs": [str(service.credential())]}
    assert parse_qs(urlsplit(back).query)["iss"] == [shop.here]
    assert first["token_type"] == second["token_type"] == "Bearer"
    assert first["access_token"] != second["access_token"]
    assert first["refresh_token"] != second["refresh_token"]
    assert by_first.json() == by_second.json() == mine
    assert revoked.status_code == 200
    assert by_none.status_code == 401
