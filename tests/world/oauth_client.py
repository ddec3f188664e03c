"""A relying party that uses OAuth by a client that is not ours: Authlib's, over requests."""

import base64
from dataclasses import dataclass
from typing import Any

import requests
from authlib.integrations.requests_client import OAuth2Session
from requests.adapters import BaseAdapter

from backend.access.registrations import RegistrationChange
from backend.access.relying_parties import NewRelyingParty, add_relying_party
from tests.world.browser import Browser, Shown
from tests.world.csc_client import SHA256, CscClient
from tests.world.service import NEW_PASSWORD, Service

CALLBACK = "https://shop.example/callback"
ALL_GRANTS = ("client_credentials", "authorization_code", "refresh_token")
BOTH_SCOPES = ("service", "credential")
VERIFIER = "v" * 43
"""For requests that are put together by hand; Authlib makes its challenge of it."""


class WsgiAdapter(BaseAdapter):
    """Carries the requests library's messages to our application, without a network."""

    def __init__(self, service: Service) -> None:
        super().__init__()
        self._service = service

    def send(
        self, request: requests.PreparedRequest, *_: object, **__: object
    ) -> requests.Response:
        assert request.url is not None
        path = request.url.removeprefix(self._service.settings.authorization_server_url)
        assert path.startswith("/")
        body = request.body
        answer = self._service.client().open(
            path,
            method=request.method,
            data=body.encode() if isinstance(body, str) else body,
            headers=dict(request.headers),
        )
        response = requests.Response()
        response.status_code = answer.status_code
        response.headers.update(answer.headers.items())
        response._content = answer.data
        response.url = request.url
        response.request = request
        return response

    def close(self) -> None:
        """Nothing is open."""


@dataclass(kw_only=True)
class OauthClient:
    """One relying party that is registered for codes."""

    service: Service
    party: NewRelyingParty

    @property
    def here(self) -> str:
        """The authorisation server's address."""
        return self.service.settings.authorization_server_url

    def session(self, *, scope: str | None = "service", **given: object) -> OAuth2Session:
        """Authlib's client."""
        made = OAuth2Session(
            self.party.client_id,
            self.party.client_secret,
            scope=scope,
            redirect_uri=CALLBACK,
            code_challenge_method="S256",
            **given,
        )
        made.mount(self.here, WsgiAdapter(self.service))
        return made

    def address(self, session: OAuth2Session, **parameters: object) -> tuple[str, str]:
        """Where to send the browser; gives the state too."""
        url, state = session.create_authorization_url(
            f"{self.here}/oauth2/authorize", code_verifier=VERIFIER, **parameters
        )
        return str(url), str(state)

    def redeem(self, session: OAuth2Session, answer: Shown, state: str, **form: object) -> Any:  # noqa: ANN401  # Authlib's token
        """Exchange what the browser brought back."""
        return session.fetch_token(
            f"{self.here}/oauth2/token",
            authorization_response=answer.left_for,
            state=state,
            code_verifier=VERIFIER,
            **form,
        )

    def csc(self, token: str) -> CscClient:
        """The same relying party, calling CSC by a token."""
        return CscClient(
            service=self.service,
            party=self.party,
            token=token,
            credential=str(self.service.credential()),
        )

    def wish(self, *hashes: bytes, **members: str) -> dict[str, str]:
        """Parameters of scope ``credential``, for the signer's."""
        return self.wish_of(str(self.service.credential()), *hashes) | members

    def wish_of(self, credential: str, *hashes: bytes) -> dict[str, str]:
        """The same for any."""
        return {
            "credentialID": credential,
            "numSignatures": str(len(hashes)),
            "hashes": ",".join(b64url(each) for each in hashes),
            "hashAlgorithmOID": SHA256,
        }


def b64url(value: bytes) -> str:
    """Base64url without padding, as addresses have it."""
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def an_oauth_client(
    service: Service, *, client_id: str = "shop-oauth", **changed: object
) -> OauthClient:
    """A relying party that may use every grant and scope."""
    given: dict[str, Any] = {
        "grants": ALL_GRANTS,
        "scopes": BOTH_SCOPES,
        "redirect_uris": (CALLBACK,),
    }
    with service.sessions() as session:
        party = add_relying_party(
            session,
            name="Shop",
            client_id=client_id,
            now=service.clock(),
            change=RegistrationChange(**(given | changed)),
        )
    return OauthClient(service=service, party=party)


def sign_in(browser: Browser, *, login: str = "a.ivanova", password: str = NEW_PASSWORD) -> Shown:
    """Type login and password into the page that is shown."""
    return browser.send(login=login, password=password)
