"""What a paired phone is asked, and what becomes of its answers, through HTTP."""

import msgspec
import pytest

from backend.signing.request import RequestedTransaction, Requester
from backend.virtual_phone.errors import ServerRefused
from backend.virtual_phone.phone import VirtualPhone
from backend.virtual_phone.transactions import Consent, make_approval, make_refusal
from tests.world.clock import SettableClock
from tests.world.raw_calls import RawCalls, problem
from tests.world.service import ANNA, Service, hashes


@pytest.fixture
def phone(signing_service: Service) -> VirtualPhone:
    return signing_service.phone()


@pytest.fixture
def shop(signing_service: Service) -> Requester:
    return signing_service.add_relying_party()


@pytest.fixture
def asked(signing_service: Service, shop: Requester) -> RequestedTransaction:
    """The shop asks for two signatures."""
    return signing_service.ask(*hashes(2), party=shop)


def refusal(refused: pytest.ExceptionInfo[ServerRefused]) -> tuple[str, int]:
    return refused.value.name, refused.value.status


# --- looking ----------------------------------------------------------------------


def test_the_phone_sees_what_is_asked_with_its_list_and_its_lock(
    phone: VirtualPhone, asked: RequestedTransaction
) -> None:
    (listed,) = phone.pending().transactions
    shown = phone.show(listed.id)

    assert listed.id == str(asked.id)
    assert listed.kind == "sign"
    assert shown.state == "pending"
    assert shown.checked.ask.rp.name == "Shop"
    assert len(shown.checked.items) == 2


def test_what_is_asked_of_another_cell_is_not_there(
    signing_service: Service, shop: Requester, phone: VirtualPhone
) -> None:
    calls = RawCalls(signing_service, phone)
    nowhere = "/transactions/0b7f5f9e-7d1c-4a5e-9f39-2f2c0c3f7a11"

    assert problem(calls.send("GET", nowhere)) == (404, "not-found")
    assert problem(calls.send("GET", "/transactions/no-id")) == (404, "not-found")


def test_t_34_a_phone_of_another_cell_neither_sees_nor_answers(
    signing_service: Service, phone: VirtualPhone, asked: RequestedTransaction
) -> None:
    """With a true proof, and with answers that are well made but for whose they are."""
    boris = msgspec.structs.replace(ANNA, login="boris")
    other = signing_service.paired_phone(signing_service.register(boris), name="other")
    shown, path = phone.show(str(asked.id)), f"/transactions/{asked.id}"
    no = make_refusal(shown, device=other.device(), decision="not_me", now=other.now())
    made = make_approval(shown, device=phone.device(), consent=Consent(), now=phone.now())
    yes = {"approval": made.approval, "sealed": made.sealed}
    calls = RawCalls(signing_service, other)

    assert other.pending().transactions == ()
    for answer in (
        calls.send("GET", path),
        calls.send("PUT", f"{path}/approval", yes),
        calls.send("PUT", f"{path}/refusal", {"refusal": no}),
    ):
        assert problem(answer) == (404, "not-found")
    assert phone.show(str(asked.id)).state == "pending"


# --- yes --------------------------------------------------------------------------


def test_an_approval_may_be_repeated_in_the_same_bytes_and_in_no_others(
    phone: VirtualPhone, asked: RequestedTransaction
) -> None:
    shown = phone.show(str(asked.id))
    made = make_approval(shown, device=phone.device(), consent=Consent(), now=phone.now())
    other = make_approval(shown, device=phone.device(), consent=Consent(), now=phone.now())
    calls = phone.calls()

    first = calls.approve(shown.id, approval=made.approval, sealed=made.sealed)
    again = calls.approve(shown.id, approval=made.approval, sealed=made.sealed)
    with pytest.raises(ServerRefused) as refused:
        calls.approve(shown.id, approval=other.approval, sealed=other.sealed)

    assert first == again == "approved"
    assert refusal(refused) == ("over", 409)
    assert refused.value.members["state"] == "approved"


def test_an_approval_of_something_else_is_malformed(
    signing_service: Service, phone: VirtualPhone, shop: Requester, asked: RequestedTransaction
) -> None:
    """T-05: the approval names its ask by hash."""
    other = signing_service.ask(*hashes(1, seed="other"), party=shop)
    shown = phone.show(str(asked.id))
    made = make_approval(shown, device=phone.device(), consent=Consent(), now=phone.now())

    with pytest.raises(ServerRefused) as refused:
        phone.calls().approve(str(other.id), approval=made.approval, sealed=made.sealed)

    assert refusal(refused) == ("malformed", 422)
    assert phone.show(str(other.id)).state == "pending"


def test_an_approval_that_comes_too_late_changes_nothing(
    signing_service: Service,
    phone: VirtualPhone,
    asked: RequestedTransaction,
    clock: SettableClock,
) -> None:
    shown = phone.show(str(asked.id))
    made = make_approval(shown, device=phone.device(), consent=Consent(), now=phone.now())
    clock.advance(seconds=signing_service.settings.transaction_seconds + 1)

    with pytest.raises(ServerRefused) as refused:
        phone.calls().approve(shown.id, approval=made.approval, sealed=made.sealed)

    assert refusal(refused) == ("over", 409)
    assert refused.value.members["state"] == "expired"


# --- no ---------------------------------------------------------------------------


@pytest.mark.parametrize("decision", ["reject", "not_me"])
def test_a_refusal_ends_the_transaction_and_may_be_repeated(
    phone: VirtualPhone, asked: RequestedTransaction, decision: str
) -> None:
    shown = phone.show(str(asked.id))
    made = make_refusal(
        shown,
        device=phone.device(),
        decision="not_me" if decision == "not_me" else "reject",
        now=phone.now(),
    )

    states = {phone.calls().refuse(shown.id, refusal=made) for _ in range(2)}

    assert states == {"rejected"}
    assert not phone.pending().transactions
    with pytest.raises(ServerRefused) as refused:
        phone.approve(shown)
    assert refusal(refused) == ("over", 409)
    assert refused.value.members["state"] == "rejected"


def test_a_signer_may_change_their_mind_until_all_is_signed(
    phone: VirtualPhone, asked: RequestedTransaction
) -> None:
    shown = phone.show(str(asked.id))
    phone.approve(shown)

    assert phone.reject(shown) == "rejected"


# --- long poll --------------------------------------------------------------------


def test_a_long_poll_ends_when_something_is_asked(
    signing_service: Service, phone: VirtualPhone, shop: Requester
) -> None:
    version = phone.pending().version

    def ask_at_the_third_look() -> None:
        if len(signing_service.pauses.seconds) == 3:
            signing_service.ask(*hashes(1), party=shop)

    signing_service.pauses.then = ask_at_the_third_look

    listed = phone.pending(version=version, wait_seconds=25)

    assert len(listed.transactions) == 1
    assert listed.version != version
    assert len(signing_service.pauses.seconds) == 3


def test_a_long_poll_without_news_gives_the_same_list_when_its_time_is_over(
    signing_service: Service, phone: VirtualPhone
) -> None:
    version = phone.pending().version

    listed = phone.pending(version=version, wait_seconds=7)

    assert listed.version == version
    assert sum(signing_service.pauses.seconds) == 7


def test_a_phone_that_knows_an_older_list_does_not_wait(
    signing_service: Service, phone: VirtualPhone, asked: RequestedTransaction
) -> None:
    assert phone.pending(version="older", wait_seconds=25).transactions
    assert not signing_service.pauses.seconds


def test_a_phone_that_waits_holds_no_connection_of_the_database(
    signing_service: Service, phone: VirtualPhone
) -> None:
    held = []

    def count() -> None:
        held.append(signing_service.connections_of_mobile_api())

    signing_service.pauses.then = count
    phone.pending(version=phone.pending().version, wait_seconds=1)

    assert held == [0, 0, 0, 0]


def test_more_waiting_phones_than_a_process_has_threads_for_are_sent_away(
    signing_service: Service, phone: VirtualPhone
) -> None:
    calls = RawCalls(signing_service, phone)
    version = phone.pending().version
    path = "/transactions"
    answers = []

    def another() -> None:
        if len(signing_service.pauses.seconds) <= 30:
            answers.append(
                signing_service.mobile_client().get(
                    f"{path}?wait=1&version={version}",
                    headers={"Authorization": calls.proof("GET", path)},
                )
            )

    signing_service.pauses.then = another
    phone.pending(version=version, wait_seconds=1)

    refused = [answer for answer in answers if answer.status_code == 503]
    assert refused
    assert problem(refused[0]) == (503, "unavailable")
    assert refused[0].headers["Retry-After"] == "2"
    signing_service.pauses.then = lambda: None
    assert phone.pending(version=version, wait_seconds=1).version == version


# --- the freeze -------------------------------------------------------------------


def test_a_freeze_from_the_phone_stops_what_is_in_flight(
    signing_service: Service, phone: VirtualPhone, asked: RequestedTransaction
) -> None:
    """R-048."""
    shown = phone.show(str(asked.id))
    calls = RawCalls(signing_service, phone)

    frozen = calls.send("POST", "/freeze", {})
    again = calls.send("POST", "/freeze", {})
    with pytest.raises(ServerRefused) as refused:
        phone.approve(shown)

    assert frozen.status_code == again.status_code == 204
    assert frozen.data == b""
    assert refusal(refused) == ("frozen", 403)
    assert phone.reject(shown) == "rejected"
