"""What holds for both applications together: origins, frozen signers, policy, and the log."""

import io
import json
import logging
from sqlite3 import connect
from typing import TYPE_CHECKING

import pytest

from backend.devices.envelope import Envelope
from backend.logs import JsonLines
from backend.settings import Environment
from backend.signers.freeze import freeze
from backend.virtual_phone.errors import ServerRefused
from tests.world.csc_client import a_relying_party
from tests.world.raw_calls import RawCalls, problem
from tests.world.service import NEW_PASSWORD, Service, hashes, open_service

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

JSON = {"Content-Type": "application/json"}
ALLOWED = "Access-Control-Allow-Origin"


# --- the authorisation server -----------------------------------------------------


@pytest.mark.parametrize(
    ("path", "admitted"),
    [("/pairing/tickets", True), ("/pairing/code", True), ("/csc/v2/info", False)],
)
def test_the_app_may_read_the_answers_of_pairing_and_of_nothing_else(
    service: Service, path: str, *, admitted: bool
) -> None:
    app = service.settings.app_url

    answers = [
        service.client().open(path, method=method, data=b"{}", headers={**JSON, "Origin": origin})
        for method in ("OPTIONS", "POST")
        for origin in (app, "https://evil.example")
    ]

    assert [answer.headers.get(ALLOWED) for answer in answers] == [
        app if admitted else None,
        None,
        app if admitted else None,
        None,
    ]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b'{"login": "a", "login": "b"}', 400),
        (b"{}", 422),
        (b'{"login": "a", "password": "b", "pairing": "no id"}', 422),
        (b'{"login": "a", "password": "b", "pairing": null, "x": 1}', 422),
        (b" " * 70_000, 413),
    ],
)
def test_a_sign_in_that_is_not_in_order_is_malformed(
    service: Service, body: bytes, status: int
) -> None:
    answer = service.client().post("/pairing/tickets", data=body, headers=JSON)

    assert problem(answer) == (status, "malformed")


@pytest.mark.parametrize("path", ["/pairing/code", "/pairing/confirmation"])
@pytest.mark.parametrize("authorization", [None, "Bearer ", "Bearer unknown", "DPoP a.b.c"])
def test_step_three_needs_a_ticket(service: Service, path: str, authorization: str | None) -> None:
    body = b"{}" if path.endswith("code") else b'{"code": "12345678"}'
    headers = JSON if authorization is None else {**JSON, "Authorization": authorization}

    answer = service.client().post(path, data=body, headers=headers)

    assert problem(answer) == (401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_both_applications_say_that_they_are_ready(service: Service) -> None:
    clients = [service.client(), service.mobile_client()]

    assert [client.get("/readyz").status_code for client in clients] == [200, 200]
    assert [client.get("/healthz").json for client in clients] == [{"status": "alive"}] * 2


class SlowBody(io.BytesIO):
    """A body during which somebody else writes to the database."""

    def __init__(self, sent: bytes, *, database: str) -> None:
        super().__init__(sent)
        self._database = database

    def readinto(self, buffer: "WriteableBuffer") -> int:
        with connect(self._database, timeout=0) as other:
            other.execute("BEGIN IMMEDIATE")
        return super().readinto(buffer)


@pytest.mark.parametrize("path", ["v1/credentials/list", "v2/credentials/list"])
def test_a_relying_partys_slow_body_stops_nobody_else(service: Service, path: str) -> None:
    """T-39: its token is looked up before the body is read, and nothing is held meanwhile."""
    shop = a_relying_party(service)
    body = json.dumps({"userID": "nobody"}).encode()

    answer = service.client().post(
        f"/csc/{path}",
        input_stream=SlowBody(body, database=str(service.engine.url.database)),
        content_length=len(body),
        content_type="application/json",
        headers={"Authorization": f"Bearer {shop.token}"},
    )

    assert answer.status_code == 200


# --- who may not ------------------------------------------------------------------


def test_a_frozen_signer_pairs_no_phone(service: Service, envelope: Envelope) -> None:
    """R-048."""
    phone = service.phone()
    phone.pair_start(service.applicant(envelope))
    with service.sessions() as session:
        freeze(session, signer=service.signer(), by="Ольга", now=service.clock())

    refusals = []
    for call in (
        phone.send_code,
        lambda: service.phone("other").pair_start(service.applicant(envelope)),
        lambda: phone.pair_confirm(None),
    ):
        with pytest.raises(ServerRefused) as refused:
            call()
        refusals.append((refused.value.name, refused.value.status))

    assert refusals == [("frozen", 403)] * 3


def test_a_phone_of_a_kind_that_policy_forbids_is_refused(service: Service) -> None:
    """Production pairs no virtual phones."""
    strict = open_service(
        service.folder.parent / "strict", clock=service.clock, environment=Environment.PRODUCTION
    )
    envelope = strict.register()

    with pytest.raises(ServerRefused) as refused:
        strict.phone().pair_start(strict.applicant(envelope))

    assert (refused.value.name, refused.value.status) == ("kind-refused", 422)
    strict.close()


# --- the log ----------------------------------------------------------------------


@pytest.mark.sms
def test_the_log_of_a_whole_journey_holds_no_secret_and_no_name(
    service: Service, envelope: Envelope
) -> None:
    """T-44: whoever reads the log can do nothing with it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        phone = service.paired_phone(envelope)
        code = service.inbox.arrived[-1].code
        recovery = phone.recovery_code()
        service.certify(phone)
        asked = service.ask(*hashes(1), party=service.add_relying_party())
        calls = RawCalls(service, phone)
        proof = calls.proof("GET", f"/transactions/{asked.id}")
        calls.send("GET", f"/transactions/{asked.id}", proof=proof)
        phone.approve(phone.show(str(asked.id)))
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    log = stream.getvalue()

    secrets = (
        envelope.first_password,
        envelope.secret_text,
        envelope.secret_text.replace("-", ""),
        NEW_PASSWORD,
        code,
        recovery,
        proof.removeprefix("DPoP "),
        asked.handle.hex(),
        "+79161234567",
        "Иванова",
    )
    assert log.count("\n") > 10
    assert not [secret for secret in secrets if secret and secret in log]
