"""The whole way once on PostgreSQL: every statement of the authorisation server runs there too."""

from pathlib import Path

from backend.access.families import forget_authorizations
from backend.access.used_ids import forget_used_ids
from tests.world.browser import Browser
from tests.world.client_keys import a_key, proof
from tests.world.clock import SettableClock
from tests.world.csc_client import ECDSA_SHA256, content, texts
from tests.world.oauth_client import CALLBACK, VERIFIER, an_oauth_client, sign_in
from tests.world.service import hashes, open_service


def test_the_whole_way_on_postgresql(
    postgresql_url: str, tmp_path: Path, clock: SettableClock
) -> None:
    service = open_service(tmp_path, clock=clock, database_url=postgresql_url)
    service.signing_phone(service.register())
    shop = an_oauth_client(service)
    client, auth = service.client(), (shop.party.client_id, shop.party.client_secret)
    key = a_key()

    def post(path: str, status: int, **form: str) -> dict[str, object]:
        headers = {"DPoP": proof(key, f"{shop.here}/oauth2/{path}", at=clock().timestamp())}
        answer = client.post(f"/oauth2/{path}", data=form, auth=auth, headers=headers)
        return content(answer, status)

    def redeem(code: str, status: int) -> dict[str, object]:
        return post(
            "token",
            status,
            grant_type="authorization_code",
            code=code,
            redirect_uri=CALLBACK,
            code_verifier=VERIFIER,
        )

    def signed_in(**wish: str) -> Browser:
        url, _ = shop.address(shop.session(scope="credential" if wish else "service"), **wish)
        query = dict(part.split("=", 1) for part in url.partition("?")[2].split("&"))
        pushed = post(
            "pushed_authorize",
            201,
            response_type="code",
            redirect_uri=CALLBACK,
            scope=query["scope"],
            code_challenge=query["code_challenge"],
            code_challenge_method="S256",
            **wish,
        )
        browser = Browser(service)
        here = f"/oauth2/authorize?client_id={shop.party.client_id}"
        browser.open(f"{here}&request_uri={pushed['request_uri']}")
        return browser

    code = sign_in(signed_in()).told["code"]
    tokens = redeem(code, 200)
    refreshed = post(
        "token", 200, grant_type="refresh_token", refresh_token=str(tokens["refresh_token"])
    )
    browser = signed_in(**shop.wish(*hashes(2)))
    clock.advance(minutes=2)
    assert sign_in(browser).page.refresh
    shop.csc("none").approve()
    approved = browser.again().told["code"]
    sad = str(redeem(approved, 200)["access_token"])
    path = "/csc/v2/signatures/signHash"
    dpop = proof(key, shop.here + path, at=clock().timestamp(), token=sad)
    body = {
        "credentialID": str(service.credential()),
        "hashes": texts(hashes(2)),
        "signAlgo": ECDSA_SHA256,
    }
    answer = client.post(path, json=body, headers={"Authorization": f"DPoP {sad}", "DPoP": dpop})

    assert len(content(answer, 200)["signatures"]) == 2
    assert redeem(approved, 400)["error"] == "invalid_grant"
    assert redeem(code, 400)["error"] == "invalid_grant"
    again = str(refreshed["refresh_token"])
    assert post("token", 400, grant_type="refresh_token", refresh_token=again)["error"]
    clock.advance(days=91)
    with service.sessions() as session:
        assert forget_authorizations(session, clock()) == 2
        assert forget_used_ids(session, clock()) == 6
        assert forget_used_ids(session, clock()) == 0
    service.close()
