"""A relying party that is not ours: stock pyHanko signs PDF files over CSC v1.0.4.

Ours is only what pyHanko leaves to its user: the token, and the call of ``credentials/authorize``
that blocks until the phone has answered. ``python -m tests.world.relying_party --help`` runs it as
a process of its own, with the secret in the environment; it tells what it does in lines of JSON.
"""

import argparse
import asyncio
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import signers
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko.sign.signers.csc_signer import (
    CSCAuthorizationInfo,
    CSCAuthorizationManager,
    CSCCredentialInfo,
    CSCServiceSessionInfo,
    CSCSigner,
    fetch_certs_in_csc_credential,
)

SECRET = "RELYING_PARTY_SECRET"
PATIENCE_SECONDS = 120


@dataclass(frozen=True, kw_only=True)
class Account:
    """As whom it asks, and where."""

    service: str
    client_id: str
    secret: str


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What it wants of a signer, and what the signer is told."""

    login: str
    documents: tuple[bytes, ...]
    description: str | None = None
    transaction: dict[str, Any] | None = None
    labels: tuple[str, ...] | None = None
    md_algorithm: str = "sha256"
    prefer_pss: bool = False

    @property
    def shown(self) -> dict[str, Any]:
        """Members of ``credentials/authorize`` that pyHanko does not know."""
        given = {"transaction": self.transaction, "labels": self.labels}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class Refused(Exception):
    """What the service answered to a call that was not pyHanko's own."""

    status: int
    error: dict[str, str]


@dataclass
class News:
    """What happened, for who watches."""

    tell: Callable[[dict[str, Any]], None] = lambda _event: None

    def __call__(self, event: str, **facts: object) -> None:
        self.tell({"event": event, **facts})


class PhoneApproval(CSCAuthorizationManager):
    """Gets the SAD by the phone: ``credentials/authorize`` blocks until the signer has answered."""

    def __init__(
        self,
        info: CSCServiceSessionInfo,
        credential: CSCCredentialInfo,
        *,
        http: "Http",
        wish: Wish,
        news: News,
    ) -> None:
        super().__init__(info, credential)
        self._http = http
        self._wish = wish
        self._news = news

    async def authorize_signature(self, hash_b64s: list[str]) -> CSCAuthorizationInfo:
        body = self.format_csc_auth_request(hash_b64s=hash_b64s, description=self._wish.description)
        self._news("asked", hashes=hash_b64s)
        answer = await self._http.call("v1/credentials/authorize", body | self._wish.shown)
        self._news("authorized", expires_in=answer["expiresIn"])
        return self.parse_csc_auth_response(answer)


@dataclass
class Http:
    """Calls of this relying party."""

    session: aiohttp.ClientSession
    account: Account
    token: str = ""

    async def sign_in(self) -> None:
        basic = aiohttp.encode_basic_auth(self.account.client_id, self.account.secret)
        form = {"grant_type": "client_credentials", "scope": "service"}
        url = f"{self.account.service}/oauth2/token"
        headers = {"Authorization": basic}
        async with self.session.post(url, data=form, headers=headers) as answer:
            self.token = (await self._checked(answer))["access_token"]

    async def call(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        url = f"{self.account.service}/csc/{method}"
        headers = {"Authorization": f"Bearer {self.token}"}
        timeout = aiohttp.ClientTimeout(total=PATIENCE_SECONDS)
        async with self.session.post(url, json=body, headers=headers, timeout=timeout) as answer:
            return await self._checked(answer)

    async def _checked(self, answer: aiohttp.ClientResponse) -> dict[str, Any]:
        body: dict[str, Any] = await answer.json()
        if answer.status != 200:
            raise Refused(status=answer.status, error=body)
        return body


def told_messages(news: News) -> aiohttp.TraceConfig:
    """Tells of each message on the wire, secrets and all; of pyHanko's own too."""
    trace = aiohttp.TraceConfig()

    async def sent(
        _session: object, _context: object, part: aiohttp.TraceRequestChunkSentParams
    ) -> None:
        if part.chunk:
            news("sent", method=part.method, url=str(part.url), body=part.chunk.decode())

    async def answered(
        _session: object, context: SimpleNamespace, end: aiohttp.TraceRequestEndParams
    ) -> None:
        context.status = end.response.status

    async def received(
        _session: object, context: SimpleNamespace, part: aiohttp.TraceResponseChunkReceivedParams
    ) -> None:
        news("received", status=context.status, body=part.chunk.decode())

    trace.on_request_chunk_sent.append(sent)
    trace.on_request_end.append(answered)
    trace.on_response_chunk_received.append(received)
    return trace


async def sign(
    account: Account, wish: Wish, news: News | None = None, *, messages: bool = False
) -> list[bytes]:
    """Have documents signed under one approval; gives them in their order."""
    news = news or News()
    traces = [told_messages(news)] if messages else []
    async with aiohttp.ClientSession(trace_configs=traces) as session:
        http = Http(session, account)
        await http.sign_in()
        listed = await http.call("v1/credentials/list", {"userID": wish.login})
        info = CSCServiceSessionInfo(
            account.service, listed["credentialIDs"][0], oauth_token=http.token
        )
        credential = await fetch_certs_in_csc_credential(session, info)
        news("credential", id=info.credential_id, name=credential.signing_cert.subject.native)
        signer = CSCSigner(
            session,
            PhoneApproval(info, credential, http=http, wish=wish, news=news),
            batch_size=len(wish.documents),
            prefer_pss=wish.prefer_pss,
        )
        tasks = [sign_one(signer, document, wish) for document in wish.documents]
        return list(await asyncio.gather(*tasks))


async def sign_one(signer: CSCSigner, document: bytes, wish: Wish) -> bytes:
    """Have one document signed, with others in its batch."""
    metadata = signers.PdfSignatureMetadata(
        field_name="Signature", md_algorithm=wish.md_algorithm, subfilter=SigSeedSubFilter.PADES
    )
    pdf = IncrementalPdfFileWriter(BytesIO(document))
    signed: BytesIO = await signers.PdfSigner(metadata, signer=signer).async_sign_pdf(pdf)
    return signed.getvalue()


def make_pdf(title: str) -> bytes:
    """A page that bears a title, in the letters of PDF's standard fonts (ISO 32000-1, 7.5)."""
    shown = title.encode("latin-1", "replace").translate(bytes.maketrans(b"()\\", b"[]/"))
    page = b"BT /F1 18 Tf 72 720 Td (" + shown + b") Tj ET"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
            b" /Resources << /Font << /F1 5 0 R >> >> >>"
        ),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(page), page),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    written = b"%PDF-1.7\n"
    places = []
    for number, content in enumerate(objects, start=1):
        places.append(b"%010d 00000 n \n" % len(written))
        written += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"xref\n0 6\n0000000000 65535 f \n" + b"".join(places)
    end = b"trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(written)
    return written + table + end


def main(arguments: Sequence[str] | None = None) -> None:
    """Have PDF files signed; what they are called is what they bear."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.world.relying_party", description=__doc__
    )
    parser.add_argument("titles", nargs="+", metavar="TITLE", help="of a document to be signed")
    parser.add_argument("--service", required=True, help="address of the authorisation server")
    parser.add_argument("--client-id", required=True)
    parser.add_argument("--signer", required=True, help="login of who is asked")
    parser.add_argument("--description", help="what the signer is told")
    parser.add_argument("--transaction", type=json.loads, help="a typed request, JSON")
    parser.add_argument("--messages", action="store_true", help="tell of messages, secrets too")
    parser.add_argument("--folder", type=Path, required=True, help="where the PDF files go")
    given = parser.parse_args(arguments)
    account = Account(service=given.service, client_id=given.client_id, secret=os.environ[SECRET])
    wish = Wish(
        login=given.signer,
        documents=tuple(make_pdf(title) for title in given.titles),
        description=given.description,
        transaction=given.transaction,
        # pyHanko does not say which hash is whose.
        labels=tuple(given.titles) if len(given.titles) == 1 else None,
    )
    news = News(lambda event: print(json.dumps(event, ensure_ascii=False, default=str), flush=True))  # noqa: T201  # it speaks to a program
    signed = asyncio.run(sign(account, wish, news, messages=given.messages))
    given.folder.mkdir(parents=True, exist_ok=True)
    for number, document in enumerate(signed, start=1):
        path = given.folder / f"signed-{number}.pdf"
        path.write_bytes(document)
        news("signed", file=path.as_posix())


if __name__ == "__main__":
    main()
