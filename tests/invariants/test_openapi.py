"""Schemathesis: whatever is sent, the answer is one that the document names, and never a 500.

Callers are who they must be: a layer before the application proves each request, so that bodies
are reached. Examples are the same in each run.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy
from schemathesis import Case, GenerationMode
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from backend.virtual_phone.answers import request_proof
from backend.virtual_phone.asks import SignedAsk
from backend.virtual_phone.invitation import further_phone
from backend.virtual_phone.transactions import Consent, make_approval, make_refusal
from tests.unit.protocol import by_hand
from tests.world.csc_client import ECDSA_SHA256, SHA256, a_relying_party, b64
from tests.world.openapi import CSC_CALLS, FORMS, PAIRING_CALLS, also, document
from tests.world.paper_phone import PaperPhone
from tests.world.raw_calls import RawCalls
from tests.world.service import (
    NEW_PASSWORD,
    WITHOUT_NUMBER,
    Service,
    copy_service,
    open_service,
)

EXAMPLES = 10
"""Of each operation, of good ones and of bad ones."""
FEW = 3
"""Where a caller gets no further than the door, or each try costs an Argon2."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
AnyCase = Case[Any]
METHODS = {"get", "put", "post", "delete"}
Json = dict[str, Any]
Prove = Callable[[str, str, bytes], str]


class Proving:
    """An application whose callers bring ``Authorization``, made for each request."""

    def __init__(self, app: WSGIApplication, prove: Prove) -> None:
        self.app = app
        self.prove = prove

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        path = environ["PATH_INFO"].encode("latin-1").decode(errors="replace")
        authorization = self.prove(environ["REQUEST_METHOD"], path, body)
        changed = environ | {
            "wsgi.input": BytesIO(body),
            "HTTP_AUTHORIZATION": authorization.encode(errors="replace").decode("latin-1"),
        }
        return self.app(changed, start)


def conforms(
    app: WSGIApplication, described: Json, method: str, path: str, *, examples: int = EXAMPLES
) -> None:
    """Try one operation, with bodies that fit the document and bodies that do not."""
    schema = schemathesis.openapi.from_dict(described)
    schema.app = app
    operation = schema[path][method]
    try_mode(operation.as_strategy(GenerationMode.POSITIVE), CHECKS, examples)
    # Where nothing is sent, or any text will do (a kid), nothing can be bad.
    if operation.body or operation.query or "{transaction}" in path:
        bad = [*CHECKS, negative_data_rejection]
        try_mode(operation.as_strategy(GenerationMode.NEGATIVE), bad, examples)


def try_mode(cases: SearchStrategy[AnyCase], checks: list[CheckFunction], examples: int) -> None:
    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def try_it(case: AnyCase) -> None:
        case.validate_response(case.call(), checks=checks)

    try_it()


TRIED = {"failures_per_minute": 6_000, "phone_calls_per_minute": 60_000}
"""Limits that so many examples at once do not meet."""

# --- the stage --------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed service whose signer has a phone and a certificate."""
    path = tmp_path_factory.mktemp("documented")
    service = open_service(path)
    service.signing_phone(service.register())
    service.close()
    return path


@pytest.fixture
def service(folder: Path, tmp_path: Path) -> Iterator[Service]:
    opened = copy_service(folder, tmp_path / "service", **TRIED)
    yield opened
    opened.close()


# --- the mobile API ---------------------------------------------------------------

MOBILE = [
    ("GET", "/info"),
    ("GET", "/pairing"),
    ("PUT", "/pairing/enrolment"),
    ("POST", "/further-phone"),
    ("PUT", "/further-phone/enrolment"),
    ("GET", "/transactions"),
    ("GET", "/transactions/{transaction}"),
    ("PUT", "/transactions/{transaction}/approval"),
    ("PUT", "/transactions/{transaction}/refusal"),
    ("PUT", "/push-subscription"),
    ("DELETE", "/push-subscription"),
    ("GET", "/devices"),
    ("DELETE", "/devices/{kid}"),
    ("GET", "/security-keys"),
    ("GET", "/lock"),
    ("PUT", "/recovery-lock"),
    ("POST", "/freeze"),
    ("GET", "/relying-parties/stopped"),
    ("DELETE", "/relying-parties/stopped/{party}"),
]
FURTHER = [call for call in MOBILE if call[1].startswith("/further-phone")]


def mobile_document(service: Service, calls: RawCalls) -> Json:
    """The document as it is served, and values that lead further than chance."""
    described: Json = json.loads(service.mobile_client().get("/openapi.json").data)
    requested = service.ask(by_hand.sha(b"contract"), party=service.add_relying_party())
    phone = calls.phone
    shown = phone.show(str(requested.id))
    device, now = phone.device(), phone.now()
    made = make_approval(shown, device=device, consent=Consent(), now=now)
    refusal = make_refusal(shown, device=device, decision="reject", now=now)
    bodies = described["components"]["schemas"]
    for name, member, value in (
        ("ApprovalBody", "approval", made.approval),
        ("ApprovalBody", "sealed", made.sealed),
        ("RefusalBody", "refusal", refusal),
        ("RecoveryLockBody", "lock", by_hand.b64(bytes(60))),
    ):
        properties = bodies[name]["properties"]
        properties[member] = also(properties[member], value)
    for path, calls_of_path in described["paths"].items():
        if "{transaction}" in path:
            for parameter in calls_of_path["parameters"]:
                parameter["schema"] = also(parameter["schema"], str(requested.id))
        for method in METHODS & calls_of_path.keys():
            calls_of_path[method].pop("security", None)  # each request is proved, bad ones too
    return described


@pytest.mark.parametrize(("method", "path"), MOBILE, ids=[" ".join(call) for call in MOBILE])
def test_the_mobile_api_answers_as_its_document_says(
    service: Service, method: str, path: str
) -> None:
    calls = RawCalls(service, service.phone())
    described = mobile_document(service, calls)
    ticket = a_ticket(service) if path.startswith("/pairing") else None

    def prove(sent: str, to: str, body: bytes) -> str:
        return f"Bearer {ticket}" if ticket else calls.proof(sent, to, body or None)

    conforms(Proving(service.mobile.wsgi_app, prove), described, method, path)


def test_the_mobile_api_answers_strangers_as_its_document_says(service: Service) -> None:
    described: Json = json.loads(service.mobile_client().get("/openapi.json").data)
    for method, path in MOBILE:
        conforms(service.mobile, described, method, path, examples=FEW)


@pytest.mark.parametrize(("method", "path"), FURTHER, ids=[" ".join(call) for call in FURTHER])
def test_the_mobile_api_answers_a_further_phone_as_its_document_says(
    service: Service, method: str, path: str
) -> None:
    """One that a paired phone has asked to add, and that proves to hold its request key."""
    new = PaperPhone()
    code = further_phone(new.keys.public())
    shown = service.phone().ask_to_add(code)
    signed = SignedAsk(
        ask=shown.checked.ask,
        ks=shown.checked.ks,
        tx_hash=shown.checked.tx_hash,
        cell=shown.checked.cell,
    )
    described: Json = json.loads(service.mobile_client().get("/openapi.json").data)
    bodies = described["components"]["schemas"]
    for name, member, value in (
        ("FurtherPhoneBody", "request", new.keys.public().request.members()),
        ("FurtherEnrolmentBody", "enrolment", new.enrol_without_secret(signed)),
    ):
        properties = bodies[name]["properties"]
        properties[member] = also(properties[member], value)
    for call in described["paths"][path].values():
        call.pop("security", None)

    def prove(sent: str, to: str, body: bytes) -> str:
        proof = request_proof(
            key=new.keys.request,
            method=sent,
            url=service.settings.mobile_api_url + to,
            body=body or None,
            now=int(service.clock().timestamp()),
            jti=uuid4(),
        )
        return f"DPoP {proof}"

    conforms(Proving(service.mobile.wsgi_app, prove), described, method, path)


def a_ticket(service: Service) -> str:
    """A pairing that has begun."""
    envelope = service.register(WITHOUT_NUMBER)
    sign_in = {
        "login": envelope.login,
        "password": envelope.first_password,
        "new_password": NEW_PASSWORD,
        "pairing": str(envelope.pairing),
    }
    answer = service.client().post("/pairing/tickets", json=sign_in)
    ticket: str = json.loads(answer.data)["ticket"]
    return ticket


# --- the authorisation server -----------------------------------------------------


@pytest.mark.parametrize("path", CSC_CALLS)
def test_csc_answers_as_its_schemas_say(service: Service, path: str) -> None:
    shop = a_relying_party(service)
    digest = by_hand.sha(b"contract")
    handle = shop.asked(digest)
    shop.approve()
    known: dict[str, object] = {
        "credentialID": shop.credential,
        "hashes": [b64(digest)],
        "hash": [b64(digest)],
        "hashAlgorithmOID": SHA256,
        "hashAlgo": SHA256,
        "numSignatures": 1,
        "signAlgo": ECDSA_SHA256,
        "handle": handle,
        "SAD": shop.csc_sad(handle),
        "userID": "a.ivanova",
        "authObjectID": "app",
        "token": a_relying_party(service, name="Another shop").token,
    }
    if path == "/csc/v1/credentials/authorize":
        del known["credentialID"]  # else it would block for the phone
    described = document({path: known})

    pair = f"{shop.party.client_id}:{shop.party.client_secret}".encode()
    authorization = f"Basic {b64(pair)}" if path.endswith("login") else f"Bearer {shop.token}"
    proving = Proving(service.app.wsgi_app, lambda *_: authorization)
    conforms(proving, described, "POST", path)
    conforms(service.app, described, "POST", path, examples=FEW)


@pytest.mark.parametrize("path", [*PAIRING_CALLS, *FORMS])
def test_sign_in_and_tokens_answer_as_they_must(service: Service, path: str) -> None:
    shop = a_relying_party(service)
    basic = b64(f"{shop.party.client_id}:{shop.party.client_secret}".encode())
    ticket = a_ticket(service)
    known: dict[str, object] = {"grant_type": "client_credentials", "token": shop.token}
    described = document({path: known})
    authorization = f"Basic {basic}" if path in FORMS else f"Bearer {ticket}"

    examples = FEW if path == "/pairing/tickets" else EXAMPLES
    proving = Proving(service.app.wsgi_app, lambda *_: authorization)
    conforms(proving, described, "POST", path, examples=examples)
    conforms(service.app, described, "POST", path, examples=FEW)


def test_every_operation_of_the_mobile_api_is_tried(service: Service) -> None:
    described: Json = json.loads(service.mobile_client().get("/openapi.json").data)
    assert {
        (method.upper(), path)
        for path, call in described["paths"].items()
        for method in METHODS & call.keys()
    } == set(MOBILE)
