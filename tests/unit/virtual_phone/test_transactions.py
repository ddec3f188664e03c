"""A paired phone and what it is asked (section 6)."""

from pathlib import Path

import pytest
from fido2.server import Fido2Server
from fido2.webauthn import (
    AttestationObject,
    AttestedCredentialData,
    AuthenticationResponse,
    PublicKeyCredentialRpEntity,
    UserVerificationRequirement,
)
from joserfc.jwk import ECKey

from backend.virtual_phone.answers import Decision, PhoneKind
from backend.virtual_phone.errors import CannotAnswer, MessageRefused, ServerRefused, Unreachable
from backend.virtual_phone.following import NotShown, events, lists
from backend.virtual_phone.invitation import Addresses, Envelope
from backend.virtual_phone.pairing import Applicant
from backend.virtual_phone.phone import VirtualPhone
from backend.virtual_phone.transactions import Consent, Shown
from tests.unit.virtual_phone.other_side import (
    NOW,
    b64u,
    claims_of,
    ephemeral_of,
    public,
    sha256,
    signed,
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
    instantly,
    local_time,
)

APP = "https://app.test"


def paired(paper: PaperService, state: Path, kind: PhoneKind = "virtual") -> VirtualPhone:
    phone = VirtualPhone(state, http=paper, clock=local_time, sleep=instantly)
    applicant = Applicant(
        addresses=Addresses(authorization_server=A, mobile_api=M, app=APP),
        envelope=Envelope(secret=paper.secret),
        login=LOGIN,
        password=FIRST,
        new_password=NEW,
    )
    phone.pair_start(applicant, kind=kind)
    assert phone.pair_confirm(CODE)
    return phone


@pytest.fixture
def paper() -> PaperService:
    return PaperService()


@pytest.fixture
def phone(paper: PaperService, tmp_path: Path) -> VirtualPhone:
    return paired(paper, tmp_path / "phone.json")


def test_an_approval_names_the_ask_and_seals_the_secret_to_it(
    paper: PaperService, phone: VirtualPhone
) -> None:
    jti = paper.open_transaction(number_asked=True)
    assert phone.approve(phone.show(jti), consent=Consent(number="07")) == "approved"
    transaction = paper.transactions[jti]
    sealed = transaction["approval"]["sealed"]
    key = paper.phone_keys["approval"]
    claims = claims_of(transaction["approval"]["approval"], key=key, typ="cell-approval+jwt")
    assert claims["tx"] == jti
    assert claims["tx_hash"] == b64u(sha256(transaction["ask"].encode()))
    assert claims["sealed"] == b64u(sha256(sealed.encode()))
    assert unb64u(claims["epk"]) == ephemeral_of(sealed)
    assert claims["number"] == "07"
    assert claims["webauthn"] is None
    opened = paper.opened(sealed, jti=jti, approval_key=thumbprint(key), ask=transaction["ask"])
    assert opened == paper.cell_secret


def test_a_pwas_approval_carries_an_assertion_over_ask_and_ephemeral_key(
    paper: PaperService, tmp_path: Path
) -> None:
    phone = paired(paper, tmp_path / "pwa.json", "pwa")
    jti = paper.open_transaction()
    phone.approve(phone.show(jti))
    transaction = paper.transactions[jti]
    key = paper.phone_keys["approval"]
    claims = claims_of(transaction["approval"]["approval"], key=key, typ="cell-approval+jwt")
    challenge = sha256(
        b"cell-approve-v1\0"
        + sha256(transaction["ask"].encode())
        + ephemeral_of(transaction["approval"]["sealed"])
    )
    rp = PublicKeyCredentialRpEntity(id="app.test", name="Cellkey")
    judge = Fido2Server(rp, verify_origin=lambda origin: origin == APP)
    credential = registered(paper)
    _, begun = judge.authenticate_begin(
        [credential], user_verification=UserVerificationRequirement.REQUIRED, challenge=challenge
    )
    answer = dict(claims["webauthn"])
    ident = answer.pop("id")
    judge.authenticate_complete(
        begun,
        [credential],
        AuthenticationResponse.from_dict(
            {"id": ident, "rawId": ident, "type": "public-key", "response": answer}
        ),
    )


def registered(paper: PaperService) -> AttestedCredentialData:
    registration = paper.claims["webauthn"]["registration"]
    attested = AttestationObject(unb64u(registration["attestationObject"]))
    credential = attested.auth_data.credential_data
    assert credential is not None
    return credential


def test_a_lost_answer_is_followed_by_the_same_approval(
    paper: PaperService, phone: VirtualPhone
) -> None:
    jti = paper.open_transaction()
    paper.lose[f"/transactions/{jti}/approval"] = 3
    assert phone.approve(phone.show(jti)) == "approved"


def test_a_phone_that_died_repeats_the_approval_that_it_stored(
    paper: PaperService, phone: VirtualPhone
) -> None:
    jti = paper.open_transaction()
    paper.lose[f"/transactions/{jti}/approval"] = 6
    with pytest.raises(Unreachable):
        phone.approve(phone.show(jti))
    again = VirtualPhone(phone.keystore.path, http=paper, clock=local_time, sleep=instantly)
    assert again.approve(again.show(jti)) == "approved"


def test_approvals_that_are_over_are_forgotten(paper: PaperService, phone: VirtualPhone) -> None:
    for life in (300, 500):
        phone.approve(phone.show(paper.open_transaction(exp=NOW + life, use_by=NOW + 600)))
    paper.now = NOW + 400
    phone.approve(phone.show(paper.open_transaction(exp=NOW + 500)))
    kept = phone.keystore.load().approvals
    assert [made.exp for made in kept] == [NOW + 500, NOW + 500]


def test_nothing_is_approved_after_its_time_by_the_services_clock(
    paper: PaperService, phone: VirtualPhone
) -> None:
    shown = phone.show(paper.open_transaction())
    paper.now = NOW + 301
    phone.pending()
    with pytest.raises(CannotAnswer, match="time to approve is over"):
        phone.approve(shown)


def test_a_stored_approval_is_not_sent_after_its_time(
    paper: PaperService, phone: VirtualPhone
) -> None:
    jti = paper.open_transaction()
    shown = phone.show(jti)
    phone.approve(shown)
    paper.now = NOW + 301
    phone.pending()
    with pytest.raises(CannotAnswer):
        phone.approve(shown)


@pytest.mark.parametrize("decision", ["reject", "not_me"])
def test_a_refusal_is_signed_by_the_request_key_and_needs_no_lock(
    paper: PaperService, phone: VirtualPhone, decision: Decision
) -> None:
    jti = paper.open_transaction()
    assert phone.reject(phone.show(jti), decision=decision) == "rejected"
    message = paper.transactions[jti]["refusal"]["refusal"]
    claims = claims_of(message, key=paper.phone_keys["request"], typ="cell-refusal+jwt")
    assert (claims["tx"], claims["decision"]) == (jti, decision)


@pytest.mark.parametrize("number", [None, "", "7", "007", "0x", "\u0660\u0667"])
def test_an_ask_for_a_number_is_not_approved_without_two_digits(
    paper: PaperService, phone: VirtualPhone, number: str | None
) -> None:
    shown = phone.show(paper.open_transaction(number_asked=True))
    with pytest.raises(CannotAnswer, match="two-digit"):
        phone.approve(shown, consent=Consent(number=number))


def test_a_number_that_nobody_asked_for_is_not_sent(
    paper: PaperService, phone: VirtualPhone
) -> None:
    with pytest.raises(CannotAnswer, match="no number"):
        phone.approve(phone.show(paper.open_transaction()), consent=Consent(number="07"))


def test_a_further_phone_is_approved_only_by_the_qr_code_on_its_screen(
    paper: PaperService, phone: VirtualPhone
) -> None:
    """A key that came only from the server is never sealed to (section 5)."""
    three = [sha256(name.encode()) for name in "aru"]
    named = dict(zip(("approval", "request", "unlock"), map(b64u, three), strict=True))
    shown = phone.show(paper.open_transaction("enrol", key_thumbprints=named))
    for wrong in (None, f"cellkey:further?k={b64u(b''.join(three[::-1]))}"):
        with pytest.raises(CannotAnswer):
            phone.approve(shown, consent=Consent(further_phone=wrong))
    right = Consent(further_phone=f"cellkey:further?k={b64u(b''.join(three))}")
    assert phone.approve(shown, consent=right) == "approved"


def test_an_enrol_without_named_keys_is_never_approved(
    paper: PaperService, phone: VirtualPhone
) -> None:
    shown = phone.show(paper.open_transaction("enrol"))
    with pytest.raises(CannotAnswer, match="without the keys"):
        phone.approve(shown, consent=Consent(further_phone="cellkey:further?k="))


# --- what is not shown -------------------------------------------------------


def test_an_ask_of_another_cell_is_not_shown(paper: PaperService, phone: VirtualPhone) -> None:
    jti = paper.open_transaction(cell="6ba7b810-9dad-11d1-80b4-00c04fd430c8")
    with pytest.raises(MessageRefused, match="another cell"):
        phone.show(jti)


def test_one_ask_in_the_place_of_another_is_not_shown(
    paper: PaperService, phone: VirtualPhone
) -> None:
    one, other = paper.open_transaction(), paper.open_transaction()
    paper.transactions[one] |= {name: paper.transactions[other][name] for name in ("ask", "list")}
    with pytest.raises(MessageRefused, match="another transaction"):
        phone.show(one)


def test_an_ask_by_another_key_than_the_pinned_one_is_not_shown(
    paper: PaperService, phone: VirtualPhone
) -> None:
    paper.ks = ECKey.generate_key("P-256")
    with pytest.raises(MessageRefused, match="this phone knows"):
        phone.show(paper.open_transaction())


def test_a_new_key_of_the_service_is_followed_and_pinned(
    paper: PaperService, phone: VirtualPhone
) -> None:
    old, paper.ks = paper.ks, ECKey.generate_key("P-256")
    claims = {"v": 1, "iat": NOW, "old": old.thumbprint(), "new": public(paper.ks)}
    paper.keys = [signed(old, typ="cell-keys+jwt", claims=claims)]
    phone.show(paper.open_transaction())
    assert phone.device().ks.thumbprint() == thumbprint(paper.ks)


def test_an_id_that_is_none_is_not_put_into_an_address(
    paper: PaperService, phone: VirtualPhone
) -> None:
    before = len(paper.requests)
    for wrong in ("../devices", "", "x?y", "6BA7B810-9DAD-11D1-80B4-00C04FD430C8"):
        with pytest.raises(MessageRefused):
            phone.show(wrong)
    assert len(paper.requests) == before


def test_a_transaction_that_is_not_there_is_the_services_refusal(phone: VirtualPhone) -> None:
    with pytest.raises(ServerRefused, match="not-found"):
        phone.show("6ba7b810-9dad-11d1-80b4-00c04fd430c8")


def test_a_transaction_without_a_lock_for_this_phone_is_not_approved(
    paper: PaperService, phone: VirtualPhone
) -> None:
    shown = phone.show(paper.open_transaction())
    over = Shown(id=shown.id, state="expired", checked=shown.checked, lock=None)
    with pytest.raises(CannotAnswer, match="expired"):
        phone.approve(over)


# --- clocks and waiting -------------------------------------------------------


def test_a_phone_whose_clock_is_wrong_sets_it_and_proves_itself_again(
    paper: PaperService, phone: VirtualPhone
) -> None:
    slow = VirtualPhone(phone.keystore.path, http=paper, clock=lambda: NOW - 86400, sleep=instantly)
    assert slow.pending().transactions == ()
    assert slow.now() == NOW


def test_a_proof_that_was_heard_though_its_answer_was_lost_is_made_anew(
    paper: PaperService, phone: VirtualPhone
) -> None:
    paper.lose["/transactions"] = 2
    assert phone.pending().transactions == ()


def test_a_list_is_waited_for_only_once_it_is_known(
    paper: PaperService, phone: VirtualPhone
) -> None:
    following = lists(phone)
    assert next(following).transactions == ()
    jti = paper.open_transaction()
    assert [pending.id for pending in next(following).transactions] == [jti]
    assert [sent.url for sent in paper.requests[-2:]] == [
        f"{M}/transactions",
        f"{M}/transactions?wait=25&version=0",
    ]


def test_each_transaction_is_shown_once_and_a_false_one_not_at_all(
    paper: PaperService, phone: VirtualPhone
) -> None:
    good = paper.open_transaction()
    false = paper.open_transaction(cell="6ba7b810-9dad-11d1-80b4-00c04fd430c8")
    happening = events(phone)
    first, second = next(happening), next(happening)
    assert isinstance(first, Shown)
    assert first.id == good
    assert isinstance(second, NotShown)
    assert second.id == false
    third = paper.open_transaction()
    event = next(happening)
    assert isinstance(event, Shown)
    assert event.id == third
