"""Whatever comes at the authorisation server's end points is answered, and never by a fault."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.world.csc_client import SHA256
from tests.world.oauth_client import CALLBACK, OauthClient

NAMES = (
    *("response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge", "lang"),
    *("code_challenge_method", "credentialID", "numSignatures", "hashes", "hash", "description"),
    *("authorization_details", "request_uri", "dpop_jkt", "grant_type", "code", "code_verifier"),
    *("refresh_token", "token", "token_type_hint", "client_secret", "client_assertion"),
    *("client_assertion_type", "clientData", "account_token"),
)
GOOD = {
    "response_type": "code",
    "redirect_uri": CALLBACK,
    "code_challenge": "a" * 43,
    "code_challenge_method": "S256",
    "hashAlgorithmOID": SHA256,
}
WORDS = st.sampled_from(
    ["code", "service", "credential", "authorization_code", "refresh_token", "S256", "[{}]", "1"]
)
ONCE = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


@ONCE
@given(
    changed=st.dictionaries(st.sampled_from(NAMES), WORDS | st.text(max_size=40), max_size=8),
    header=st.none() | st.text(st.characters(codec="latin-1", exclude_categories=["Cc"])),
)
def test_t_35_hostile_parameters_are_refused_and_nothing_breaks(
    calm_oauth: OauthClient, changed: dict[str, str], header: str | None
) -> None:
    client = calm_oauth.service.client()
    auth = (calm_oauth.party.client_id, calm_oauth.party.client_secret)
    form = GOOD | changed
    named = {"client_id": auth[0]} | form
    headers = {} if header is None else {"DPoP": header}

    statuses = {
        client.get("/oauth2/authorize", query_string=named).status_code,
        *(
            client.post(f"/oauth2/{path}", data=form, auth=auth, headers=headers).status_code
            for path in ("token", "revoke", "pushed_authorize")
        ),
        client.post("/oauth2/token", data=form, headers=headers).status_code,
    }

    assert statuses <= {200, 201, 204, 303, 400, 401, 405}
