"""The end of step 7 of `cellkey demo`: the certificate, as relying parties see it over CSC.

Rules: the demo looks for it where relying parties look, and nowhere in the service.
"""

import time
from base64 import b64encode
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final, final

import msgspec

from backend.cli.demo_installation import Client, Stage
from backend.cli.demo_processes import StepFailed
from backend.cli.demo_telling import ToldHttp
from backend.summary.words import date_text
from backend.virtual_phone.transport import Request, RequestsHttp

LOOKS: Final = 60
LOOK_SECONDS: Final = 0.5
ANSWER_SECONDS: Final = 15
GENERALIZED: Final = "%Y%m%d%H%M%S%z"


@final
class Token(msgspec.Struct, frozen=True):
    """Answer of the token endpoint (RFC 6749, 5.1), as far as it is read here."""

    access_token: str


@final
class Certificate(msgspec.Struct, frozen=True):
    """What CSC tells of a certificate, as far as it is read here."""

    valid_to: str = msgspec.field(name="validTo")


@final
class CredentialInfo(msgspec.Struct, frozen=True):
    """A credential in CSC's list."""

    cert: Certificate


@final
class Listed(msgspec.Struct, frozen=True):
    """Answer of ``credentials/list``."""

    infos: tuple[CredentialInfo, ...] = msgspec.field(name="credentialInfos")


def tell_certificate(stage: Stage, client: Client, *, login: str) -> None:
    """Step 7, its end: wait for the certificate.

    Raises:
        StepFailed: none came.
    """
    tell, words = stage.tell, stage.tell.words
    with tell.working(words.issuing):
        certificate = _certificate(stage, client, login=login)
    ends_at = datetime.strptime(certificate.valid_to, GENERALIZED).astimezone(UTC)
    tell.succeed(words.issued, day=date_text(ends_at.date(), tell.lang))


def _certificate(stage: Stage, client: Client, *, login: str) -> Certificate:
    basic = b64encode(f"{client.client_id}:{client.client_secret}".encode()).decode()
    form = ("application/x-www-form-urlencoded", b"grant_type=client_credentials")
    signed_in = _post(stage, "oauth2/token", form, authorization=f"Basic {basic}")
    bearer = f"Bearer {msgspec.json.decode(signed_in, type=Token).access_token}"
    asked = {"userID": login, "credentialInfo": True, "certInfo": True, "certificates": "none"}
    body = ("application/json", msgspec.json.encode(asked))
    for _look in range(LOOKS):
        answer = _post(stage, "csc/v2/credentials/list", body, authorization=bearer)
        listed = msgspec.json.decode(answer, type=Listed)
        if listed.infos:
            return listed.infos[0].cert
        time.sleep(LOOK_SECONDS)
    raise StepFailed("no certificate was issued", log=stage.folder / "logs" / "serve.log")


def _post(stage: Stage, path: str, content: tuple[str, bytes], *, authorization: str) -> bytes:
    kind, body = content
    request = Request(
        method="POST",
        url=f"{stage.authorization_server}/{path}",
        headers={"Authorization": authorization, "Content-Type": kind},
        body=body,
    )
    answer = ToldHttp(RequestsHttp(), stage.tell).send(request, timeout_seconds=ANSWER_SECONDS)
    if answer.status != HTTPStatus.OK:
        raise StepFailed(f"{path} answers {answer.status}: {answer.body.decode(errors='replace')}")
    return answer.body
