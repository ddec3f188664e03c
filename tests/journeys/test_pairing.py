"""A phone is paired, through HTTP, with the real SAM and the reference client."""

from collections.abc import Callable
from pathlib import Path

import pytest

from backend.app import create_app
from backend.devices.envelope import Envelope
from backend.sam.client import SamClient
from backend.services import Services
from backend.virtual_phone.answers import PhoneKind
from backend.virtual_phone.errors import CannotAnswer, ServerRefused, Unreachable
from tests.world.clock import SettableClock
from tests.world.service import NEW_PASSWORD, WITHOUT_NUMBER, Service, open_service
from tests.world.wsgi_http import WsgiHttp


def refusal(call: Callable[[], object]) -> tuple[str, int]:
    """Name and status of the problem that a call ends with."""
    with pytest.raises(ServerRefused) as refused:
        call()
    return refused.value.name, refused.value.status


# --- the way it should be ---------------------------------------------------------


@pytest.mark.sms
@pytest.mark.parametrize("kind", ["virtual", "pwa", "desktop"])
def test_a_phone_is_paired_by_the_code_and_gets_its_certificate(
    service: Service, envelope: Envelope, kind: PhoneKind
) -> None:
    """R-040, R-042."""
    phone = service.phone()

    progress = phone.pair_start(service.applicant(envelope), kind=kind)
    tries = phone.send_code()
    sms = service.work()[-1]
    confirmed = phone.pair_confirm(sms.code)
    code = phone.recovery_code()
    service.certify(phone)

    assert progress.confirmation == ("sms",)
    assert progress.twelve.replace("-", " ") in sms.text
    assert tries == 3
    assert confirmed
    assert code
    assert not phone.pending().transactions


def test_a_phone_is_paired_on_every_database(
    database_url: str, tmp_path: Path, clock: SettableClock
) -> None:
    service = open_service(tmp_path, clock=clock, database_url=database_url)

    phone = service.signing_phone(service.register())

    assert phone.kid()
    service.close()


def test_where_no_number_is_verified_another_operator_confirms(
    service: Service,
) -> None:
    """T-10: who printed the envelope may not."""
    envelope = service.register(WITHOUT_NUMBER)
    phone = service.phone()
    progress = phone.pair_start(service.applicant(envelope))

    before = phone.pair_confirm(None)
    service.confirm_by_operator(envelope.login, progress.twelve)
    after = phone.pair_confirm(None)

    assert progress.confirmation == ("operator",)
    assert (before, after) == (False, True)


@pytest.mark.sms
def test_whatever_answer_is_lost_the_same_bytes_lead_to_the_same_end(
    service: Service, envelope: Envelope
) -> None:
    """Each call arrives twice: the first answer does not come back (invariant 5)."""
    assert isinstance(service.http, WsgiHttp)
    phone = service.phone()
    steps: list[Callable[[], object]] = [
        lambda: phone.pair_start(service.applicant(envelope)),
        phone.send_code,
        lambda: phone.pair_confirm(service.work()[-1].code),
        phone.recovery_code,
    ]
    for step in steps:
        service.http.lose = 1
        step()

    service.certify(phone)

    assert service.http.lose == 0


@pytest.mark.sms
def test_a_pairing_may_begin_anew_until_a_phone_is_confirmed(
    service: Service, envelope: Envelope
) -> None:
    """The same phone, so the same keys; but another ask, to which the old code does not belong."""
    phone = service.phone()
    phone.pair_start(service.applicant(envelope))
    phone.send_code()
    old_code = service.work()[-1].code

    phone.pair_start(service.applicant(envelope, password=NEW_PASSWORD, new_password=None))
    phone.send_code()

    assert refusal(lambda: phone.pair_confirm(old_code)) == ("wrong-code", 422)
    assert phone.pair_confirm(service.work()[-1].code)


# --- two phones for one envelope --------------------------------------------------


@pytest.mark.sms
def test_other_keys_freeze_a_pairing_that_waits_for_its_code(
    service: Service, envelope: Envelope
) -> None:
    """T-02: somebody else has the envelope, and the password."""
    ours, theirs = service.phone("ours"), service.phone("theirs")
    ours.pair_start(service.applicant(envelope))
    ours.send_code()
    code = service.work()[-1].code

    second = refusal(
        lambda: theirs.pair_start(
            service.applicant(envelope, password=NEW_PASSWORD, new_password=None)
        )
    )

    assert second == ("conflict", 409)
    assert refusal(lambda: ours.pair_confirm(code)) in {
        ("pairing-over", 410),
        ("unauthenticated", 401),
    }
    assert refusal(lambda: theirs.pair_start(service.applicant(envelope))) == (
        "pairing-over",
        410,
    )


def test_a_frozen_pairing_says_so_to_the_phone_that_asks(
    service: Service, envelope: Envelope
) -> None:
    ours, theirs = service.phone("ours"), service.phone("theirs")
    ours.pair_start(service.applicant(envelope))
    again = service.applicant(envelope, password=NEW_PASSWORD, new_password=None)
    with pytest.raises(ServerRefused, match="conflict"):
        theirs.pair_start(again)

    with pytest.raises((CannotAnswer, ServerRefused)):
        theirs.pair_confirm(None)


def test_a_second_scan_of_a_used_envelope_is_refused_and_the_phone_stays(
    service: Service, envelope: Envelope
) -> None:
    """R-040."""
    ours = service.paired_phone(envelope, name="ours")
    theirs = service.phone("theirs")

    again = refusal(
        lambda: theirs.pair_start(
            service.applicant(envelope, password=NEW_PASSWORD, new_password=None)
        )
    )

    assert again == ("pairing-over", 410)
    assert ours.pending().version


# --- passwords, codes, clocks -----------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [{"login": "nobody"}, {"password": "0000-0000-0000-0000"}],
    ids=["login", "password"],
)
def test_a_wrong_login_and_a_wrong_password_look_the_same(
    service: Service, envelope: Envelope, changed: dict[str, str]
) -> None:
    """T-17."""
    phone = service.phone()

    with pytest.raises(ServerRefused) as refused:
        phone.pair_start(service.applicant(envelope, **changed))

    assert (refused.value.name, refused.value.status) == ("unauthenticated", 401)
    assert str(refused.value) == "unauthenticated (401): Proof, ticket or password is not valid"


@pytest.mark.parametrize("password", [None, "short", "password123", "a.ivanova"])
def test_the_envelopes_password_opens_nothing_but_its_own_change(
    service: Service, envelope: Envelope, password: str | None
) -> None:
    """R-042; ASVS 6.2."""
    applicant = service.applicant(envelope, new_password=password)

    assert refusal(lambda: service.phone().pair_start(applicant)) == ("password-unfit", 422)


@pytest.mark.sms
def test_three_wrong_codes_end_the_ask_but_not_the_envelope(
    service: Service, envelope: Envelope
) -> None:
    """T-15."""
    phone = service.phone()
    phone.pair_start(service.applicant(envelope))
    phone.send_code()
    right = service.work()[-1].code
    wrong = f"{(int(right) + 1) % 10**8:08}"
    left = []
    for _ in range(3):
        with pytest.raises(ServerRefused, match="wrong-code") as refused:
            phone.pair_confirm(wrong)
        left.append(refused.value.members["tries_left"])

    late = refusal(lambda: phone.pair_confirm(right))
    phone.pair_start(service.applicant(envelope, password=NEW_PASSWORD, new_password=None))
    phone.send_code()

    assert left == [2, 1, 0]
    assert late == ("too-many-tries", 429)
    assert phone.pair_confirm(service.work()[-1].code)


@pytest.mark.sms
def test_a_code_is_sent_three_times_and_no_more(service: Service, envelope: Envelope) -> None:
    """T-14."""
    phone = service.phone()
    phone.pair_start(service.applicant(envelope))
    for _ in range(3):
        phone.send_code()

    assert refusal(phone.send_code) == ("too-many-tries", 429)
    assert len(service.work()) == 3


def test_no_code_counts_before_one_was_sent(service: Service, envelope: Envelope) -> None:
    phone = service.phone()
    phone.pair_start(service.applicant(envelope))

    assert refusal(lambda: phone.pair_confirm("12345678")) == ("not-confirmed", 409)


def test_an_old_envelope_pairs_nothing(
    service: Service, envelope: Envelope, clock: SettableClock
) -> None:
    """R-040."""
    clock.advance(hours=73)

    assert refusal(lambda: service.phone().pair_start(service.applicant(envelope))) == (
        "pairing-over",
        410,
    )


def test_a_ticket_ends_after_fifteen_minutes(
    service: Service, envelope: Envelope, clock: SettableClock
) -> None:
    phone = service.phone()
    phone.pair_start(service.applicant(envelope))
    clock.advance(minutes=16)

    assert refusal(phone.send_code) == ("unauthenticated", 401)


def test_while_the_sam_is_away_the_phone_is_told_to_repeat(
    service: Service, envelope: Envelope, tmp_path: Path
) -> None:
    assert isinstance(service.http, WsgiHttp)
    address = service.settings.authorization_server_url
    nowhere = SamClient(tmp_path / "no-sam.sock")
    away = create_app(
        Services(
            settings=service.settings,
            sam=nowhere,
            public_keys=service.public_keys,
            clock=service.clock,
        )
    )
    service.http.apps[address] = lambda: away
    phone = service.phone()

    with pytest.raises(Unreachable, match="unavailable"):
        phone.pair_start(service.applicant(envelope))
    ready = away.test_client().get("/readyz")
    service.http.apps[address] = lambda: service.app
    phone.pair_start(service.applicant(envelope))

    assert ready.status_code == 503
    assert ready.json == {"ready": False, "checks": {"database": True, "sam": False}}
