"""What the server refuses of a phone whose page somebody else controls (phone.md 3).

The keys are the phone's own and so is the passkey; each message is right but for one thing. After
each attempt the honest approval is still taken: a forged one burns nothing.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, select

from backend.model.tables import Signature
from tests.world.app_stage import AppStage, Asked
from tests.world.csc_client import DENIED, PAYMENT, refusal


def try_approval(stage: AppStage, asked: Asked, **wrong: object) -> str:
    """Approve by hand, with something that is wrong."""
    outcome: str = stage.handset.by_hand("hand.approve", str(str(asked.id)), wrong)
    return outcome


def make(stage: AppStage, asked: Asked) -> dict[str, Any]:
    """Make an honest approval."""
    made: dict[str, Any] = stage.handset.by_hand("hand.make", str(str(asked.id)))
    return made


def send(stage: AppStage, asked: Asked, made: dict[str, Any]) -> str:
    """Send an approval to that transaction."""
    outcome: str = stage.handset.by_hand("hand.send", str(str(asked.id)), made)
    return outcome


@pytest.fixture
def asked(stage: AppStage) -> Iterator[Asked]:
    """One that is asked; whatever the test does, the honest approval is taken afterwards."""
    asked = stage.ask(transaction=PAYMENT)
    yield asked
    assert try_approval(stage, asked) == "approved"
    asked.collect()


def test_an_approval_of_another_transaction_is_refused(stage: AppStage, asked: Asked) -> None:
    """Replay: also where it bears this one's id, or its own id and this one's address."""
    other = stage.ask()
    made = make(stage, other)
    assert send(stage, asked, made) == "malformed: an answer to another ask"
    other_hash = stage.handset.by_hand("hand.hashOf", str(other.id))
    for wrong in ({"txHash": other_hash}, {"tx": str(other.id)}):
        assert try_approval(stage, asked, **wrong) == "malformed: an answer to another ask"
    assert send(stage, other, made) == "approved"


def test_an_approval_of_other_words_is_refused(stage: AppStage, asked: Asked) -> None:
    """The signer was shown another text: its hash is not that of what was asked."""
    changed = stage.handset.by_hand("hand.changedText", str(asked.id))
    assert try_approval(stage, asked, txHash=changed) == "malformed: an answer to another ask"


WRONG = {
    "swapped": "sealed: not the one that was signed for",
    "resealed": "webauthn: another challenge",
    "stripped": "no assertion by a phone that has a passkey",
    "unverified": "webauthn: the user was not verified",
}


@pytest.mark.parametrize("what", ["swapped", "resealed", "stripped"])
def test_a_secret_or_a_finger_that_is_not_the_one_is_refused(
    stage: AppStage, asked: Asked, what: str
) -> None:
    """A sealed secret put in its place, one sealed anew and signed again, and no assertion."""
    assert try_approval(stage, asked, **{what: True}) == f"malformed: {WRONG[what]}"


@pytest.mark.parametrize(
    ("key", "why"),
    [("new", "signed by another key"), ("disguised", "the signature is not valid")],
)
def test_another_key_is_refused(stage: AppStage, asked: Asked, key: str, why: str) -> None:
    """Under its own name, and under the name of the phone's."""
    assert try_approval(stage, asked, key=key) == f"malformed: cell-approval+jwt: {why}"


def test_an_old_assertion_is_refused(stage: AppStage, asked: Asked) -> None:
    """The user was verified, but for something else."""
    other = stage.ask()
    other_hash = stage.handset.by_hand("hand.hashOf", str(other.id))
    refused = try_approval(stage, asked, asserted=other_hash)
    assert refused == "malformed: webauthn: another challenge"


def test_a_user_who_is_not_verified_approves_nothing(stage: AppStage, asked: Asked) -> None:
    """A finger on the sensor that it does not know: presence without verification."""
    stage.handset.verify_user(verified=False)
    try:
        made = stage.handset.by_hand("hand.unverified", str(asked.id))
    finally:
        stage.handset.verify_user(verified=True)
    assert made == f"malformed: {WRONG['unverified']}"


def test_a_number_that_was_not_asked_for_is_refused(stage: AppStage, asked: Asked) -> None:
    why = "a number stands in an approval exactly when it was asked"
    assert try_approval(stage, asked, number="42") == f"malformed: {why}"


@pytest.mark.usefixtures("asked")
def test_a_request_that_is_repeated_is_refused(stage: AppStage, asked: Asked) -> None:
    assert stage.handset.by_hand("hand.repeatRequest", str(asked.id)) == [200, 401]


def test_an_approval_that_was_redeemed_gives_nothing_more(stage: AppStage) -> None:
    """The same bytes are the same answer, whose answer was lost; others come too late."""
    asked = stage.ask()
    made, other = make(stage, asked), make(stage, asked)
    assert send(stage, asked, made) == "approved"
    asked.collect()
    assert send(stage, asked, made) == "approved"
    assert send(stage, asked, other).startswith("over: ")
    with stage.installation.service.sessions() as session:
        query = select(func.count()).where(Signature.transaction_id == asked.id)
        assert session.scalar(query) == 1


def test_another_secret_than_the_cells_signs_nothing(stage: AppStage) -> None:
    """It is sealed: only the SAM sees that it opens nothing."""
    asked = stage.ask()
    assert try_approval(stage, asked, secret=True) == "approved"
    sad = asked.shop.csc_sad(asked.handle)
    assert refusal(asked.shop.sign_hash(sad, *asked.hashes)) == DENIED
    assert asked.state == "failed"
