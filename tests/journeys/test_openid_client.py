"""The npm library openid-client against the running server: ``tests/world/openid_client``."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes as primitives
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from backend.protocol.encoding import unb64u
from backend.wiring import utc_now
from tests.world.csc_client import b64
from tests.world.oauth_client import CALLBACK, OauthClient, an_oauth_client
from tests.world.service import Service, hashes
from tests.world.serving import serving
from tests.world.signers_browser import browses

CLIENT = Path(__file__).resolve().parents[1] / "world/openid_client"
ONE, TWO = hashes(2)


def run(service: Service, shop: OauthClient, *, bound: bool) -> dict[str, Any]:
    """What it did, while a signer's browser opens what it asks for."""
    party = {
        "issuer": shop.here,
        "clientId": shop.party.client_id,
        "secret": shop.party.client_secret,
        "redirectUri": CALLBACK,
        "credential": str(service.credential()),
        "hashes": [b64(ONE), b64(TWO)],
        "bound": bound,
    }
    with subprocess.Popen(
        ["node", "client.mjs"],
        cwd=CLIENT,
        env={"PATH": os.environ["PATH"], "RELYING_PARTY": json.dumps(party)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line in process.stdout:
            told = json.loads(line)
            if "done" in told:
                done: dict[str, Any] = told["done"]
                return done
            process.stdin.write(json.dumps(browses(service, told["open"])) + "\n")
            process.stdin.flush()
    raise AssertionError("it ended too early")


@pytest.mark.parametrize("bound", [False, True], ids=["bearer", "DPoP"])
def test_csc_24_25_38_39_40_138_openid_client_finds_pushes_signs_in_refreshes_and_revokes(
    tmp_path: Path, *, bound: bool
) -> None:
    """Discovery under both names, PAR, PKCE, ``iss``, two ways to show the secret, RAR, DPoP."""
    with serving(tmp_path, clock=utc_now) as service:
        service.signing_phone(service.register())
        shop = an_oauth_client(service)

        done = run(service, shop, bound=bound)

        mine = {"credentialIDs": [str(service.credential())]}
        key = shop.csc(token_of(shop)).certificate().public_key()
    assert done["listed"] == done["listedAgain"] == {"status": 200, "body": mine}
    assert done["afterRevocation"]["status"] == 401
    assert done["familyIsDead"] == "invalid_grant"
    assert done["types"] == ["dpop" if bound else "bearer"] * 3
    assert done["tokens"] == 3
    assert done["sadIsRefreshable"] is False
    assert done["alone"] == "invalid_scope"
    assert isinstance(key, ec.EllipticCurvePublicKey)
    for digest, made in zip((ONE, TWO), done["signed"]["body"]["signatures"], strict=True):
        key.verify(from_b64(made), digest, ec.ECDSA(Prehashed(primitives.SHA256())))


def token_of(shop: OauthClient) -> str:
    token = shop.session().fetch_token(f"{shop.here}/oauth2/token", grant_type="client_credentials")
    return str(token["access_token"])


def from_b64(text: str) -> bytes:
    return unb64u(text.rstrip("=").replace("+", "-").replace("/", "_"))


def test_the_lock_file_names_no_registry() -> None:
    """So that ``npm ci`` asks the one that is configured; each package has its hash."""
    lock = json.loads((CLIENT / "package-lock.json").read_text())

    packages = {name: each for name, each in lock["packages"].items() if name}
    assert packages
    assert all(each["integrity"].startswith("sha512-") for each in packages.values())
    assert not any("resolved" in each for each in packages.values())
