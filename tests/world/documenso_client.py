"""A relying party as Documenso is one (CSC API 1.0.4): its sequence, and what its schemas demand.

Written anew: the signer comes by OAuth, hashes go as ``hash`` in base64url without padding, and one
``signHash`` of v1 collects the whole batch by a service token with the credential token as SAD.
"""

import base64
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import requests

VERIFIER = "documenso-" + "v" * 43
DISCOVERY_SECONDS = 10
SIGN_SECONDS = 15
SHORTEST_RSA_BITS = 2048
DIGESTS = {
    "1.2.840.10045.4.3.2": ("2.16.840.1.101.3.4.2.1", "sha256"),
    "1.2.840.10045.4.3.3": ("2.16.840.1.101.3.4.2.2", "sha384"),
    "1.2.840.10045.4.3.4": ("2.16.840.1.101.3.4.2.3", "sha512"),
    "1.2.840.113549.1.1.11": ("2.16.840.1.101.3.4.2.1", "sha256"),
    "1.2.840.113549.1.1.12": ("2.16.840.1.101.3.4.2.2", "sha384"),
    "1.2.840.113549.1.1.13": ("2.16.840.1.101.3.4.2.3", "sha512"),
}
"""By signature algorithm: the hash's OID and name; it takes the strongest that the key has."""

Browse = Callable[[str], str]


@dataclass(kw_only=True)
class DocumensoClient:
    """One relying party's."""

    service: str
    client_id: str
    secret: str
    redirect_uri: str
    browse: Browse
    http: requests.Session = field(default_factory=requests.Session)

    def sign(self, documents: Sequence[bytes], *, description: str) -> list[bytes]:
        """The whole sequence; gives a signature for each document, over its own hash."""
        info = self._post("info", {}, seconds=DISCOVERY_SECONDS)
        assert isinstance(info["oauth2"], str)
        assert "signatures/signHash" in info["methods"]
        self._oauth = info["oauth2"]
        service = self._token({"scope": "service"})
        assert service["token_type"] == "Bearer"
        bearer = service["access_token"]
        (credential,) = self._post("credentials/list", {}, token=bearer)["credentialIDs"]
        wanted = {"credentialID": credential, "certificates": "chain", "certInfo": True}
        sign_oid, hash_oid, name = chosen(self._post("credentials/info", wanted, token=bearer))
        hashes = [hashlib.new(name, document).digest() for document in documents]
        sad = self._token(
            {
                "scope": "credential",
                "credentialID": credential,
                "numSignatures": str(len(hashes)),
                "hash": ",".join(map(b64url, hashes)),
                "description": description,
            }
        )
        assert sad["token_type"] == "SAD"
        body = {
            "credentialID": credential,
            "SAD": sad["access_token"],
            "hash": [base64.b64encode(each).decode() for each in hashes],
            "hashAlgo": hash_oid,
            "signAlgo": sign_oid,
        }
        told = self._post("signatures/signHash", body, token=bearer, seconds=SIGN_SECONDS)
        assert len(told["signatures"]) == len(hashes)
        return [base64.b64decode(each, validate=True) for each in told["signatures"]]

    def _post(
        self,
        method: str,
        body: dict[str, Any],
        *,
        token: str | None = None,
        seconds: int = DISCOVERY_SECONDS,
    ) -> dict[str, Any]:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        answer = self.http.post(
            f"{self.service}/csc/v1/{method}", json=body, headers=headers, timeout=seconds
        )
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def _token(self, parameters: dict[str, str]) -> dict[str, Any]:
        """By address alone, as it knows no pushed requests."""
        challenge = b64url(hashlib.sha256(VERIFIER.encode()).digest())
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "state": "abc",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        address = f"{self._oauth}/oauth2/authorize?{urlencode(query | parameters)}"
        told = parse_qs(urlsplit(self.browse(address)).query)
        assert told["state"] == ["abc"]
        form = {
            "grant_type": "authorization_code",
            "code": told["code"][0],
            "client_id": self.client_id,
            "client_secret": self.secret,
            "redirect_uri": self.redirect_uri,
            "code_verifier": VERIFIER,
        }
        answer = self.http.post(f"{self._oauth}/oauth2/token", data=form, timeout=DISCOVERY_SECONDS)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        assert found["expires_in"] > 0
        return found


def chosen(info: dict[str, Any]) -> tuple[str, str, str]:
    """Check a credential as its schema does; gives algorithm, and OID and name of the hash."""
    key, cert = info["key"], info["cert"]
    assert key["status"] == "enabled"
    assert cert["status"] == "valid"
    assert isinstance(key["len"], int)
    is_ec = any(oid.startswith("1.2.840.10045.") for oid in key["algo"])
    assert key["curve"] if is_ec else key["len"] >= SHORTEST_RSA_BITS
    assert all(re.fullmatch(r"\d{14}Z", cert[name]) for name in ("validFrom", "validTo"))
    assert cert["certificates"]
    assert info["authMode"] in {"implicit", "explicit", "oauth2code"}
    assert info["multisign"] >= 1
    known = [oid for oid in key["algo"] if oid in DIGESTS]
    best = max(known, key=lambda oid: DIGESTS[oid][1])
    return best, *DIGESTS[best]


def b64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")
