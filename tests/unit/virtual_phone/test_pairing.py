"""The dialogue of pairing, with answers lost at every step (sections 6 and 8.2)."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fido2.server import Fido2Server
from fido2.webauthn import (
    AuthenticationResponse,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    RegistrationResponse,
    UserVerificationRequirement,
)
from joserfc.jwk import ECKey

from backend.virtual_phone.answers import PhoneKind
from backend.virtual_phone.calls import PairingAnswer
from backend.virtual_phone.encoding import secret_of
from backend.virtual_phone.enrolling import open_pairing
from backend.virtual_phone.errors import (
    CannotAnswer,
    MessageRefused,
    NotPaired,
    ServerRefused,
    Unreachable,
)
from backend.virtual_phone.invitation import Addresses, Envelope
from backend.virtual_phone.jose import Jwk
from backend.virtual_phone.locks import open_recovery_lock
from backend.virtual_phone.pairing import Applicant
from backend.virtual_phone.phone import VirtualPhone
from backend.virtual_phone.transport import Request, Response
from tests.unit.virtual_phone.other_side import (
    NOW,
    OtherSide,
    b64u,
    ephemeral_of,
    public,
    sha256,
    thumbprint,
    unb64u,
)
from tests.unit.virtual_phone.paper_service import (
    CODE,
    FIRST,
    LOGIN,
    NEW,
    A,
    M,
    PaperService,
    Problem,
    instantly,
    local_time,
)

APP = "https://app.test"
KINDS: list[PhoneKind] = ["virtual", "pwa"]


def applicant(paper: PaperService, **changes: object) -> Applicant:
    usual = Applicant(
        addresses=Addresses(authorization_server=A, mobile_api=M, app=APP),
        envelope=Envelope(secret=paper.secret),
        login=LOGIN,
        password=FIRST,
        new_password=NEW,
    )
    return msgspec.structs.replace(usual, **changes)


@pytest.fixture
def paper() -> PaperService:
    return PaperService()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "phone.json"


def phone_of(paper: PaperService, state: Path) -> VirtualPhone:
    return VirtualPhone(state, http=paper, clock=local_time, sleep=instantly)


@pytest.mark.parametrize("kind", KINDS)
def test_a_phone_pairs_and_tells_the_recovery_code_once(
    paper: PaperService, state: Path, kind: PhoneKind
) -> None:
    phone = phone_of(paper, state)
    progress = phone.pair_start(applicant(paper), kind=kind)
    assert not progress.confirmed
    assert progress.confirmation == ("sms",)
    assert phone.send_code() == 2
    assert paper.recovery == []
    assert phone.pair_confirm(CODE)
    code = phone.recovery_code()
    assert code is not None
    opened = open_recovery_lock(paper.recovery[0], code=secret_of(code), cell=paper.cell.bytes)
    assert opened == paper.cell_secret
    assert phone.recovery_code() is None
    assert phone.kid() == b64u(thumbprint(paper.phone_keys["approval"]))
    assert code.replace("-", "") not in state.read_text()


def test_the_recovery_lock_goes_with_the_first_request_proof(
    paper: PaperService, state: Path
) -> None:
    phone = phone_of(paper, state)
    phone.pair_start(applicant(paper))
    phone.pair_confirm(CODE)
    phone.recovery_code()
    proved = [sent for sent in paper.requests if "DPoP" in sent.headers.get("Authorization", "")]
    assert [sent.url for sent in proved] == [f"{M}/recovery-lock"]


def test_neither_password_nor_envelope_secret_nor_cell_secret_is_kept(
    paper: PaperService, state: Path
) -> None:
    phone_of(paper, state).pair_start(applicant(paper))
    kept = state.read_text()
    for secret in (FIRST, NEW, b64u(paper.secret), b64u(paper.cell_secret)):
        assert secret not in kept


@pytest.mark.parametrize(
    "path",
    [
        "/pairing/tickets",
        "/pairing",
        "/pairing/enrolment",
        "/pairing/code",
        "/pairing/confirmation",
        "/recovery-lock",
    ],
)
def test_a_lost_answer_changes_nothing(paper: PaperService, state: Path, path: str) -> None:
    paper.lose[path] = 2
    phone = phone_of(paper, state)
    phone.pair_start(applicant(paper))
    phone.send_code()
    assert phone.pair_confirm(CODE)
    assert phone.recovery_code()
    assert len(paper.enrolments) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_phone_that_died_repeats_the_bytes_that_it_stored(
    paper: PaperService, state: Path, kind: PhoneKind
) -> None:
    """The ask is the same, so other bytes would be refused for good."""
    paper.lose["/pairing/enrolment"] = 6
    with pytest.raises(Unreachable):
        phone_of(paper, state).pair_start(applicant(paper), kind=kind)
    ask = paper.enrol_ask
    paper.ask = lambda *_args, **_claims: ask  # type: ignore[method-assign]  # the same ask again
    phone = phone_of(paper, state)
    phone.pair_start(applicant(paper), kind=kind)
    assert len(paper.enrolments) == 1
    assert phone.pair_confirm(CODE)


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_ask_gets_a_new_enrolment_of_the_same_keys(
    paper: PaperService, state: Path, kind: PhoneKind
) -> None:
    phone_of(paper, state).pair_start(applicant(paper), kind=kind)
    first = paper.claims
    phone = phone_of(paper, state)
    phone.pair_start(applicant(paper), kind=kind)
    assert paper.claims["keys"] == first["keys"]
    assert paper.claims["tx_hash"] != first["tx_hash"]
    assert phone.pair_confirm(CODE)
    shown = phone.show(paper.open_transaction())
    assert phone.approve(shown) == "approved"


def test_a_phone_whose_confirmation_was_lost_learns_it_by_a_request_proof(
    paper: PaperService, state: Path
) -> None:
    phone = phone_of(paper, state)
    phone.pair_start(applicant(paper))
    paper.state = "confirmed"
    progress = phone_of(paper, state).pair_start(applicant(paper))
    assert progress.confirmed
    assert phone.recovery_code()
    assert phone.pending().transactions == ()


def test_an_envelope_that_another_phone_has_used_is_refused(
    paper: PaperService, state: Path, tmp_path: Path
) -> None:
    other = phone_of(paper, tmp_path / "other.json")
    other.pair_start(applicant(paper))
    other.pair_confirm(CODE)
    with pytest.raises(ServerRefused, match="pairing-over"):
        phone_of(paper, state).pair_start(applicant(paper))
    assert not state.exists()


def test_a_pairing_that_is_over_without_this_phone_is_refused(
    paper: PaperService, state: Path
) -> None:
    """Another phone was confirmed with the same envelope: this one's proof does not count."""
    phone_of(paper, state).pair_start(applicant(paper))
    stranger = ECKey.generate_key("P-256")
    paper.claims["keys"]["request"] = public(stranger)
    paper.state = "confirmed"
    paper.check_proof = refuse  # type: ignore[method-assign]  # the stranger's key does not fit
    with pytest.raises(ServerRefused, match="pairing-over"):
        phone_of(paper, state).pair_start(applicant(paper))
    with pytest.raises(NotPaired):
        phone_of(paper, state).device()


def refuse(request: Request) -> None:
    raise Problem(401, "unauthenticated")


def test_two_processes_do_not_pair_one_phone_twice(paper: PaperService, state: Path) -> None:
    """The second begins while the first has not stored anything yet, and stores after it."""
    first, second = phone_of(paper, state), phone_of(paper, state)
    real = paper.send

    def meanwhile(request: Request, *, timeout_seconds: float) -> Response:
        answer = real(request, timeout_seconds=timeout_seconds)
        if request.url == f"{M}/pairing":
            paper.send = real  # type: ignore[method-assign]  # only once
            second.pair_start(applicant(paper))
            second.pair_confirm(CODE)
        return answer

    paper.send = meanwhile  # type: ignore[method-assign]  # while the first waits for its answer
    with pytest.raises(NotPaired, match="meanwhile"):
        first.pair_start(applicant(paper))
    assert first.kid() == b64u(thumbprint(paper.phone_keys["approval"]))


def test_a_wrong_code_leaves_the_pairing_open(paper: PaperService, state: Path) -> None:
    phone = phone_of(paper, state)
    phone.pair_start(applicant(paper))
    with pytest.raises(ServerRefused, match="wrong-code") as refusal:
        phone.pair_confirm("00000000")
    assert refusal.value.members["tries_left"] == 2
    assert phone.pair_confirm(CODE)


def test_a_wrong_password_is_refused_and_leaves_no_trace(paper: PaperService, state: Path) -> None:
    with pytest.raises(ServerRefused, match="unauthenticated"):
        phone_of(paper, state).pair_start(applicant(paper, password="wrong"))
    assert not state.exists()


def test_an_operator_confirms_while_the_phone_asks_again(state: Path) -> None:
    paper = PaperService(confirmation=("operator",))
    phone = phone_of(paper, state)
    progress = phone.pair_start(applicant(paper))
    assert progress.confirmation == ("operator",)
    assert not phone.pair_confirm(None, rounds=3)
    paper.operator_agrees = True
    assert phone.pair_confirm(None, rounds=3)


def test_where_both_are_needed_the_code_waits_for_the_operator(state: Path) -> None:
    paper = PaperService(confirmation=("sms", "operator"))
    phone = phone_of(paper, state)
    phone.pair_start(applicant(paper))
    with pytest.raises(ServerRefused, match="not-confirmed"):
        phone.pair_confirm(CODE)
    paper.operator_agrees = False
    assert phone.pair_confirm(CODE, rounds=2)


def test_a_frozen_pairing_is_said_to_be_frozen(paper: PaperService, state: Path) -> None:
    phone = phone_of(paper, state)
    phone.pair_start(applicant(paper))
    paper.state = "frozen"
    with pytest.raises(CannotAnswer, match="frozen"):
        phone.pair_confirm(None)


def test_a_paired_phone_does_not_pair_again(paper: PaperService, state: Path) -> None:
    phone = phone_of(paper, state)
    phone.pair_start(applicant(paper))
    phone.pair_confirm(CODE)
    with pytest.raises(NotPaired, match="already"):
        phone.pair_start(applicant(paper))


def test_a_phone_that_is_not_paired_says_so(paper: PaperService, state: Path) -> None:
    phone = phone_of(paper, state)
    for step in (phone.pending, phone.kid, phone.send_code, lambda: phone.pair_confirm(CODE)):
        with pytest.raises(NotPaired):
            step()
    assert phone.recovery_code() is None


def test_a_service_that_gives_other_12_characters_is_not_believed(
    paper: PaperService, state: Path
) -> None:
    """They are what the operator compares: T-15's man in the middle would show his own."""
    paper.twelve = lambda enrolment: "AAAA-BBBB-CCCC"  # type: ignore[method-assign]  # a lie
    with pytest.raises(MessageRefused, match="other characters"):
        phone_of(paper, state).pair_start(applicant(paper))


# --- what the phone checks before it makes a key -----------------------------


def offered(service: OtherSide, ask: str, /, **changes: object) -> PairingAnswer:
    usual = PairingAnswer(
        state="printed",
        ask=ask,
        ks=Jwk(**public(service.ks)),
        keys=(),
        confirmation=("sms",),
        envelope_lock=service.envelope_lock(bytes(16)),
    )
    return msgspec.structs.replace(usual, **changes)


NEW_CELL = Envelope(secret=bytes(16))


def test_an_ask_of_another_service_is_refused_by_the_envelopes_pin(service: OtherSide) -> None:
    """Whoever answers in the service's place brings a KS of their own; the paper knows better."""
    thief = OtherSide()
    thief.cell = service.cell
    lock = service.envelope_lock(bytes(16))
    answer = offered(thief, thief.ask("enrol"), envelope_lock=lock)
    with pytest.raises(MessageRefused, match="this phone knows"):
        open_pairing(answer, envelope=NEW_CELL, recovery_code=None, now=NOW)


def test_an_ask_for_another_cell_does_not_open_the_envelope(service: OtherSide) -> None:
    ask = service.ask("enrol", cell="6ba7b810-9dad-11d1-80b4-00c04fd430c8")
    with pytest.raises(MessageRefused, match="does not open"):
        open_pairing(offered(service, ask), envelope=NEW_CELL, recovery_code=None, now=NOW)


@pytest.mark.parametrize("kind", ["sign", "amend", "set_password"])
def test_an_ask_of_another_kind_is_not_answered_by_an_enrolment(
    service: OtherSide, kind: str
) -> None:
    items = [service.item()] if kind == "sign" else []
    answer = offered(service, service.ask(kind, items=items))
    with pytest.raises(MessageRefused, match="not the ask of a pairing"):
        open_pairing(answer, envelope=NEW_CELL, recovery_code=None, now=NOW)


def test_an_enrol_ask_for_a_further_phone_is_not_a_pairing_by_envelope(
    service: OtherSide,
) -> None:
    named = dict.fromkeys(("approval", "request", "unlock"), b64u(bytes(32)))
    answer = offered(service, service.ask("enrol", key_thumbprints=named))
    with pytest.raises(MessageRefused, match="not the ask of a pairing"):
        open_pairing(answer, envelope=NEW_CELL, recovery_code=None, now=NOW)


def test_an_ask_that_is_too_old_is_not_answered(service: OtherSide) -> None:
    answer = offered(service, service.ask("enrol"))
    open_pairing(answer, envelope=NEW_CELL, recovery_code=None, now=NOW + 600)
    with pytest.raises(CannotAnswer, match="too long"):
        open_pairing(answer, envelope=NEW_CELL, recovery_code=None, now=NOW + 601)


def test_a_pairing_without_ask_or_lock_is_refused(service: OtherSide) -> None:
    ask = service.ask("enrol")
    for changes in ({"ask": None}, {"ks": None}, {"envelope_lock": None}):
        answer = offered(service, ask, **changes)
        with pytest.raises(MessageRefused):
            open_pairing(answer, envelope=NEW_CELL, recovery_code=None, now=NOW)


def test_an_existing_cell_is_opened_by_the_recovery_code_under_the_pin_of_qr_2(
    service: OtherSide,
) -> None:
    code = b"c" * 16
    answer = offered(
        service,
        service.ask("enrol"),
        envelope_lock=None,
        recovery_lock=service.recovery_lock(code),
        password_recovery=False,
    )
    known = Envelope(secret=bytes(16), ks_thumbprint=thumbprint(service.ks))
    opened = open_pairing(answer, envelope=known, recovery_code=code, now=NOW)
    assert opened.cell_secret == service.cell_secret
    with pytest.raises(CannotAnswer, match="recovery code"):
        open_pairing(answer, envelope=known, recovery_code=None, now=NOW)
    foreign = Envelope(secret=bytes(16), ks_thumbprint=bytes(32))
    with pytest.raises(MessageRefused, match="this phone knows"):
        open_pairing(answer, envelope=foreign, recovery_code=code, now=NOW)


# --- the passkey of a PWA ----------------------------------------------------


def test_a_foreign_server_accepts_the_pwas_passkey_over_the_enrolment_challenge(
    paper: PaperService, state: Path
) -> None:
    """Section 5: one challenge for both, over ask, three keys and the ephemeral key."""
    phone_of(paper, state).pair_start(applicant(paper), kind="pwa")
    claims = paper.claims
    sealed = next(iter(paper.enrolments.values()))[1]
    keys = paper.phone_keys
    challenge = sha256(
        b"cell-enrol-v1\0"
        + sha256(paper.enrol_ask.encode())
        + b"".join(thumbprint(keys[name]) for name in ("approval", "request", "unlock"))
        + ephemeral_of(sealed)
    )
    rp = PublicKeyCredentialRpEntity(id="app.test", name="Cellkey")
    judge = Fido2Server(rp, verify_origin=lambda origin: origin == APP)
    user = PublicKeyCredentialUserEntity(id=b"signer", name="signer")
    required = UserVerificationRequirement.REQUIRED
    _, begun = judge.register_begin(user, user_verification=required, challenge=challenge)
    made = judge.register_complete(
        begun, RegistrationResponse.from_dict(wire(claims["webauthn"]["registration"]))
    ).credential_data
    assert made is not None
    _, begun = judge.authenticate_begin([made], user_verification=required, challenge=challenge)
    answer = AuthenticationResponse.from_dict(wire(claims["webauthn"]["assertion"]))
    judge.authenticate_complete(begun, [made], answer)


def wire(answer: dict[str, Any]) -> dict[str, Any]:
    response = {name: value for name, value in answer.items() if name != "id"}
    ident = answer["id"]
    return {"id": ident, "rawId": ident, "type": "public-key", "response": response}


def test_a_pwa_keeps_its_unlock_key_only_under_the_passkey(
    paper: PaperService, state: Path
) -> None:
    phone = phone_of(paper, state)
    phone.pair_start(applicant(paper), kind="pwa")
    phone.pair_confirm(CODE)
    kept = json.loads(state.read_text())["device"]["keys"]
    # PKCS#8 begins with a SEQUENCE; a nonce followed by ciphertext has no such frame.
    assert unb64u(kept["approval"])[:2] == b"\x30\x81"
    assert len(unb64u(kept["unlock"])) == 12 + len(unb64u(kept["approval"])) + 16
