"""What a phone answers, and whose word it is (docs/phone-protocol.md, 2; door, rules 3 and 4)."""

import msgspec
import pytest

from backend.errors import MalformedMessage
from backend.protocol.approval import (
    ApprovalClaims,
    approval_hash,
    approving_kid,
    check_names_ask,
    check_user_verification,
    read_approval,
    verify_refusal,
)
from tests.unit.protocol import by_hand, cast
from tests.unit.protocol.authenticator import FLAG
from tests.unit.protocol.cast import APPROVAL, PASSKEY
from tests.unit.protocol.examples import BY_TYP

EXAMPLE = BY_TYP["cell-approval+jwt"]
CODE = BY_TYP["cell-code-approval+jwt"]
COUNTED: dict[str, object] = {"seed": by_hand.b64(by_hand.octets("seed")), "counter": 8}
REFUSAL = BY_TYP["cell-refusal+jwt"]


def approval(**changes: object) -> ApprovalClaims:
    return read_approval(EXAMPLE.compact(**changes), expected_device=cast.device())


def test_an_approval_is_found_by_its_kid_and_named_by_its_hash() -> None:
    compact = EXAMPLE.compact()
    assert approving_kid(compact) == cast.tp(APPROVAL)
    assert approval_hash(compact) == by_hand.sha(compact.encode())
    for other in (REFUSAL.compact(), CODE.compact(), "", "a.b.c"):
        with pytest.raises(MalformedMessage):
            approving_kid(other)


@pytest.mark.parametrize("decision", ["reject", "not_me", "Approve", "", "approve\n"])
def test_an_approval_says_approve(decision: str) -> None:
    for example in (EXAMPLE, CODE):
        with pytest.raises(MalformedMessage):
            example.read(example.compact(decision=decision))


@pytest.mark.parametrize("number", ["7", "007", "7a", "٠٧", "07\n", " 7", "", "-7"])  # noqa: RUF001  # digits that are none of ours
def test_a_number_is_two_ascii_digits(number: str) -> None:
    with pytest.raises(MalformedMessage):
        approval(number=number)


def test_a_number_stands_exactly_when_one_was_asked() -> None:
    asked = cast.ask()
    check_names_ask(approval(), asked)
    with pytest.raises(MalformedMessage):
        check_names_ask(approval(number=None), asked)
    unasked = msgspec.structs.replace(
        asked, claims=msgspec.structs.replace(asked.claims, number_asked=False)
    )
    check_names_ask(approval(number=None), unasked)
    with pytest.raises(MalformedMessage):
        check_names_ask(approval(), unasked)


@pytest.mark.parametrize(
    "other",
    [{"tx": str(cast.PAIRING_TX)}, {"tx_hash": by_hand.b64(cast.ENROL_TX_HASH)}],
    ids=["tx", "tx_hash"],
)
def test_an_answer_to_another_ask_does_not_count(other: dict[str, str]) -> None:
    with pytest.raises(MalformedMessage):
        check_names_ask(approval(**other), cast.ask())
    for example in (CODE, REFUSAL):
        with pytest.raises(MalformedMessage):
            example.read(example.compact(**other))


def test_a_refusal_says_reject_or_not_me_and_needs_no_number() -> None:
    for decision in ("reject", "not_me"):
        REFUSAL.read(REFUSAL.compact(decision=decision))
    with pytest.raises(MalformedMessage):
        REFUSAL.read(REFUSAL.compact(decision="approve"))


def test_a_refusal_comes_from_the_request_key_alone() -> None:
    by_approval_key = by_hand.jws(REFUSAL.good, APPROVAL, typ=REFUSAL.typ)
    with pytest.raises(MalformedMessage):
        verify_refusal(
            by_approval_key, ask=cast.ask(), expected_request_key=cast.public(cast.REQUEST)
        )


@pytest.mark.parametrize("method", ["app", "sms", "password", "password+totp+sms", ""])
def test_a_code_approval_names_one_of_three_methods(method: str) -> None:
    CODE.read(CODE.compact(method="password+totp", number_hash=None))
    CODE.read(CODE.compact(method="password+hotp", number_hash=None, hotp=COUNTED))
    with pytest.raises(MalformedMessage):
        CODE.read(CODE.compact(method=method))


def test_a_numbers_hash_stands_in_an_approval_by_sms_and_only_there() -> None:
    with pytest.raises(MalformedMessage):
        CODE.read(CODE.compact(number_hash=None))
    with pytest.raises(MalformedMessage):
        CODE.read(CODE.compact(method="password+totp"))


@pytest.mark.parametrize(
    "other",
    [
        {"hotp": COUNTED},
        {"method": "password+totp", "number_hash": None, "hotp": COUNTED},
        {"method": "password+totp", "number_hash": None, "hotp": None},
        {"method": "password+hotp", "number_hash": None},
        {"method": "password+hotp", "number_hash": None, "hotp": None},
        {"method": "password+hotp", "number_hash": None, "hotp": COUNTED | {"counter": "1"}},
        {"method": "password+hotp", "hotp": COUNTED},
    ],
)
def test_a_counter_stands_in_an_approval_by_hotp_and_only_there(other: dict[str, object]) -> None:
    with pytest.raises(MalformedMessage):
        CODE.read(CODE.compact(**other))


def test_a_code_approval_carries_no_number() -> None:
    with pytest.raises(MalformedMessage):
        CODE.read(CODE.compact(number="07"))


# --- user verification ----------------------------------------------------------------------------


def test_a_passkey_proves_that_the_user_was_verified_for_this_ask_and_seal() -> None:
    check_user_verification(approval(), cast.device())


def test_a_pwa_that_leaves_its_assertion_out_is_refused() -> None:
    with pytest.raises(MalformedMessage):
        check_user_verification(approval(webauthn=None), cast.device())


def test_an_assertion_for_another_ask_or_seal_is_refused() -> None:
    for tx_hash, epk in (
        (cast.ENROL_TX_HASH, cast.tp(cast.EPHEMERAL)),
        (cast.TX_HASH, cast.tp(cast.UNLOCK)),
    ):
        challenge = by_hand.sha(b"cell-approve-v1\0", tx_hash, epk)
        with pytest.raises(MalformedMessage):
            check_user_verification(approval(webauthn=PASSKEY.sign(challenge)), cast.device())


def test_an_approval_that_swaps_its_seal_after_the_finger_is_refused() -> None:
    claims = approval(epk=cast.b64_tp(cast.UNLOCK))
    with pytest.raises(MalformedMessage):
        check_user_verification(claims, cast.device())


def test_presence_alone_is_not_enough() -> None:
    assertion = PASSKEY.sign(cast.APPROVAL_CHALLENGE, flags=FLAG.UP)
    with pytest.raises(MalformedMessage):
        check_user_verification(approval(webauthn=assertion), cast.device())


def test_a_native_phone_answers_for_itself_and_has_no_assertion() -> None:
    native = msgspec.structs.replace(
        cast.device(), kind="native", uv="self_asserted", webauthn=None
    )
    check_user_verification(approval(webauthn=None), native)
    with pytest.raises(MalformedMessage):
        check_user_verification(approval(), native)
