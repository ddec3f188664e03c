"""A relying party as EUDI's Kotlin library is one (CSC API 2.2): its sequence, bodies and types.

Written anew from what it sends and demands: members that are ``null``, metadata under the name of
OpenID first, pushed requests with ``prompt`` and both a scope and ``authorization_details``,
``state`` beside ``request_uri``, the details again at the token end point. It is a confidential
client here: the library knows public ones too, this service does not.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec
import requests

VERIFIER = "kotlin-" + "v" * 43
TYPE = "https://cloudsignatureconsortium.org/2025/credential"
SPECS = "2.2.0.0"
SHA256 = "2.16.840.1.101.3.4.2.1"
TIMEOUT_SECONDS = 10

Answer = TypeVar("Answer", bound=msgspec.Struct)
Browse = Callable[[str], str]
"""Opens an address in the signer's browser; gives where it ends."""


class SignAlgorithms(msgspec.Struct):
    algos: list[str]
    algoParams: list[str | None] | None = None  # noqa: N815  # wire names


class SignatureFormats(msgspec.Struct):
    formats: list[str]
    envelope_properties: list[list[str]] | None = None


class Metadata(msgspec.Struct):
    """What it cannot do without."""

    specs: str
    authType: list[str]  # noqa: N815
    oauth2: str
    methods: list[str]
    signAlgorithms: SignAlgorithms  # noqa: N815
    signature_formats: SignatureFormats
    supportedHashTypes: list[str]  # noqa: N815
    supportsRar: bool  # noqa: N815


class Key(msgspec.Struct):
    status: str
    algo: list[str]
    len: int


class Certificate(msgspec.Struct):
    status: str
    certificates: list[str]
    issuerDN: str  # noqa: N815
    serialNumber: str  # noqa: N815
    subjectDN: str  # noqa: N815
    validFrom: str  # noqa: N815
    validTo: str  # noqa: N815


class Auth(msgspec.Struct):
    mode: str
    objects: list[dict[str, str]] | None
    """The key must be there."""


class Credential(msgspec.Struct):
    credentialID: str  # noqa: N815
    key: Key
    cert: Certificate
    auth: Auth
    multisign: int


class Listed(msgspec.Struct):
    credentialIDs: list[str]  # noqa: N815
    credentialInfos: list[Credential]  # noqa: N815


class Details(msgspec.Struct):
    """Of the token's answer; it fails without one of these."""

    credentialID: str  # noqa: N815
    numSignatures: int  # noqa: N815
    documentDigests: list[dict[str, str]]  # noqa: N815
    hashAlgorithmOID: str  # noqa: N815


class Token(msgspec.Struct):
    access_token: str
    token_type: str
    expires_in: int
    refresh_token: str | None = None
    authorization_details: list[Details] | None = None


class Signatures(msgspec.Struct):
    signatures: list[str]


@dataclass(kw_only=True)
class KotlinClient:
    """One relying party's."""

    service: str
    client_id: str
    secret: str
    redirect_uri: str
    browse: Browse
    http: requests.Session = field(default_factory=requests.Session)

    def resolve(self) -> Metadata:
        """``info``, and the authorisation server's own description."""
        info = self._csc("info", {"lang": None}, Metadata, token=None)
        assert info.specs == SPECS
        assert urlsplit(info.oauth2).scheme
        told = self.http.get(
            f"{info.oauth2}/.well-known/openid-configuration", timeout=TIMEOUT_SECONDS
        ).json()
        assert told["issuer"] == info.oauth2
        self._endpoints = told
        return info

    def authorize_service(self) -> Token:
        """The signer signs in."""
        return self._redeem(self._push({"scope": "service"}), {})

    def list_credentials(self, token: Token) -> Listed:
        """With everything that it wants to know."""
        body = {
            "credentialInfo": True,
            "certificates": "chain",
            "certInfo": True,
            "authInfo": True,
            "onlyValid": True,
            "lang": None,
            "clientData": None,
        }
        return self._csc("credentials/list", body, Listed, token=token)

    def authorize_credential(self, credential: str, digests: Sequence[bytes]) -> Token:
        """The signer approves these hashes."""
        details = [
            {
                "type": TYPE,
                "credentialID": credential,
                "documentDigests": [
                    {"hash": b64(each), "label": f"Document {number}", "hashType": "dtbsr"}
                    for number, each in enumerate(digests, start=1)
                ],
                "hashAlgorithmOID": SHA256,
                "numSignatures": len(digests),
            }
        ]
        sent = {"authorization_details": json.dumps(details)}
        token = self._redeem(self._push({"scope": "credential"} | sent), sent)
        assert token.authorization_details is not None
        (echoed,) = token.authorization_details
        assert [each["hash"] for each in echoed.documentDigests] == list(map(b64, digests))
        return token

    def sign(self, token: Token, credential: Credential, digests: Sequence[bytes]) -> list[bytes]:
        """By the credential token alone."""
        body = {
            "credentialID": credential.credentialID,
            "SAD": None,
            "hashes": list(map(b64, digests)),
            "hashAlgorithmOID": SHA256,
            "signAlgo": credential.key.algo[0],
            "signAlgoParams": None,
            "operationMode": "S",
            "validity_period": None,
            "response_uri": None,
            "clientData": None,
        }
        found = self._csc("signatures/signHash", body, Signatures, token=token)
        assert len(found.signatures) == len(digests)
        return [base64.b64decode(each, validate=True) for each in found.signatures]

    # --- how ------------------------------------------------------------------------

    def _csc(
        self, method: str, body: dict[str, Any], kind: type[Answer], *, token: Token | None
    ) -> Answer:
        headers = {} if token is None else {"Authorization": f"Bearer {token.access_token}"}
        answer = self.http.post(
            f"{self.service}/csc/v2/{method}", json=body, headers=headers, timeout=TIMEOUT_SECONDS
        )
        assert answer.status_code == 200, answer.text
        return msgspec.json.decode(answer.content, type=kind)

    def _push(self, parameters: dict[str, str]) -> str:
        """Push a request, have the signer answer it; gives the code."""
        challenge = hashlib.sha256(VERIFIER.encode()).digest()
        form = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "code_challenge": base64.urlsafe_b64encode(challenge).decode().rstrip("="),
            "code_challenge_method": "S256",
            "state": "st-1",
            "prompt": "login",
        }
        answer = self.http.post(
            self._endpoints["pushed_authorization_request_endpoint"],
            data=form | parameters,
            auth=(self.client_id, self.secret),
            timeout=TIMEOUT_SECONDS,
        )
        assert answer.status_code == 201, answer.text
        query = {
            "client_id": self.client_id,
            "state": "st-1",
            "request_uri": answer.json()["request_uri"],
        }
        address = f"{self._endpoints['authorization_endpoint']}?{urlencode(query)}"
        told = parse_qs(urlsplit(self.browse(address)).query)
        assert told["state"] == ["st-1"]
        return told["code"][0]

    def _redeem(self, code: str, more: dict[str, str]) -> Token:
        form = {
            "client_id": self.client_id,
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": VERIFIER,
        }
        answer = self.http.post(
            self._endpoints["token_endpoint"],
            data=form | more,
            auth=(self.client_id, self.secret),
            timeout=TIMEOUT_SECONDS,
        )
        assert answer.status_code == 200, answer.text
        return msgspec.json.decode(answer.content, type=Token)


def b64(value: bytes) -> str:
    """As it writes hashes everywhere."""
    return base64.b64encode(value).decode()
