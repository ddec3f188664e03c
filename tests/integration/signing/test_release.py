"""Signatures leave: to whom, for what, how often."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, sessionmaker

from backend.algorithms import KeyAlgorithm, SignatureScheme
from backend.errors import (
    AlgorithmUnfit,
    AuthorizationInvalid,
    CellkeyError,
    HashNotAuthorized,
    HsmUnavailable,
    NotApproved,
    RequestRefused,
    SamUnavailable,
    SignerFrozen,
    TransactionOver,
)
from backend.model.tables import Approval, Cell, Device, Receipt, Signature, Transaction
from backend.protocol.receipt import verify_receipt
from backend.sam.releases import Release, Released, Releases
from backend.signing.authorization import csc_sad_of
from backend.signing.release import PATIENCE, Collector, release
from backend.signing.request import RequestedTransaction
from backend.signing.reservation import LEASE
from tests.world.clock import SettableClock
from tests.world.sam import SamWorld
from tests.world.signing_world import SigningWorld, hashes, open_signing_world


@dataclass
class WatchedSam:
    """The real SAM; something happens before or after it signs."""

    sam: Releases
    before: list[Any] = field(default_factory=list)
    after: list[Any] = field(default_factory=list)
    requests: list[Release] = field(default_factory=list)

    def release(self, request: Release) -> Released:
        self.requests.append(request)
        if self.before:
            self.before.pop(0)()
        released = self.sam.release(request)
        if self.after:
            self.after.pop(0)()
        return released


def approved(world: SigningWorld, *wanted: bytes) -> tuple[RequestedTransaction, str]:
    requested = world.request(*wanted)
    world.approve(requested.id)
    return requested, world.csc_sad(requested)


def collect(world: SigningWorld, sam: Releases, csc_sad: str, *wanted: bytes) -> tuple[bytes, ...]:
    with world.sessions() as session:
        return release(
            session,
            sam,
            world.collection(csc_sad, *wanted),
            now=world.clock,
            pause=world.let_pass,
        )


def kept(world: SigningWorld) -> int:
    with world.sessions() as session:
        return session.scalar(select(func.count()).select_from(Signature)) or 0


def fail_with(error: CellkeyError) -> Any:  # noqa: ANN401  # a callable for WatchedSam
    def act() -> None:
        raise error

    return act


# --- what is given ------------------------------------------------------------------


def test_a_repeat_gets_the_same_signatures_and_the_sam_is_not_asked(world: SigningWorld) -> None:
    """CSC-89: each hash is signed once."""
    _, csc_sad = approved(world, *hashes(3))
    watched = WatchedSam(world.sam.sam)
    first = collect(world, watched, csc_sad, *hashes(3))
    assert collect(world, watched, csc_sad, *reversed(hashes(3))) == tuple(reversed(first))
    assert len(watched.requests) == 1


def test_one_approval_may_be_collected_in_parts_that_overlap(world: SigningWorld) -> None:
    """CSC-120."""
    requested, csc_sad = approved(world, *hashes(4))
    one, two, three, four = hashes(4)
    watched = WatchedSam(world.sam.sam)
    first = collect(world, watched, csc_sad, three, one)
    assert world.state(requested.id) == "approved"
    assert world.sealed(requested.id) is not None
    second = collect(world, watched, csc_sad, one, two, three)
    assert (second[0], second[2]) == (first[1], first[0])
    last = collect(world, watched, csc_sad, four, three, two, one)
    assert last[1:] == (first[0], second[1], first[1])

    assert [request.requested for request in watched.requests] == [(2, 0), (1,), (3,)]
    assert world.state(requested.id) == "redeemed"
    assert world.sealed(requested.id) is None
    assert kept(world) == 4


def test_another_transactions_signatures_redeem_nothing(world: SigningWorld) -> None:
    """Positions are counted in each list anew; what is left to be signed keeps its seal."""
    _, other_sad = approved(world, *hashes(2, seed="other"))
    world.collect(other_sad, *hashes(2, seed="other"))
    requested, csc_sad = approved(world, *hashes(2))
    world.collect(csc_sad, hashes(2)[0])
    assert world.state(requested.id) == "approved"
    assert world.sealed(requested.id) is not None
    assert len(world.collect(csc_sad, *hashes(2))) == 2


def test_every_signature_stands_in_a_receipt(world: SigningWorld) -> None:
    _, csc_sad = approved(world, *hashes(3))
    world.collect(csc_sad, *hashes(2))
    world.collect(csc_sad, *hashes(3))
    with world.sessions() as session:
        rows = session.execute(
            select(Receipt.receipt, Signature.position).join(
                Signature, Signature.receipt_id == Receipt.id
            )
        ).all()
    ka = world.sam.public_keys.ka
    signed = {
        item.hash for receipt, _ in rows for item in verify_receipt(receipt, expected_ka=ka).signed
    }
    assert signed == set(hashes(3))
    assert len(rows) == 3


# --- what is refused ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "error"),
    [
        pytest.param({"relying_party": Collector(id=uuid4(), client_id="shop")}, None, id="party"),
        pytest.param({"credential": uuid4()}, None, id="credential"),
        pytest.param({"csc_sad": "A" * 43}, None, id="csc_sad"),
        pytest.param({"csc_sad": "\ud800"}, None, id="no text"),
        pytest.param({"csc_sad": ""}, None, id="empty"),
        pytest.param({"hashes": hashes(1, seed="other")}, HashNotAuthorized, id="another hash"),
        pytest.param({"hashes": (*hashes(2), bytes(32))}, HashNotAuthorized, id="one too many"),
        pytest.param({"hashes": ()}, RequestRefused, id="none"),
        pytest.param({"hashes": hashes(1) * 2}, RequestRefused, id="a hash twice"),
        pytest.param({"hashes": (bytes(20),)}, RequestRefused, id="SHA-1"),
        pytest.param({"hash_alg": "SHA-512"}, RequestRefused, id="another algorithm"),
        pytest.param(
            {"hash_alg": "SHA-512", "hashes": (bytes(64),)}, HashNotAuthorized, id="another length"
        ),
        pytest.param({"scheme": SignatureScheme.RSA_PSS}, RequestRefused, id="another scheme"),
    ],
)
def test_what_was_not_approved_for_this_party_is_not_signed(
    world_on_sqlite: SigningWorld, members: dict[str, Any], error: type[CellkeyError] | None
) -> None:
    """CSC-87, CSC-88, CSC-90, CSC-92, CSC-94, CSC-95. Nothing is lost by asking wrongly."""
    world = world_on_sqlite
    requested, csc_sad = approved(world, *hashes(2))
    given: dict[str, Any] = {"csc_sad": csc_sad, "hashes": hashes(2)} | members
    collection = world.collection(given.pop("csc_sad"), *given.pop("hashes"), **given)
    with world.sessions() as session, pytest.raises(error or AuthorizationInvalid):
        release(session, world.sam.sam, collection, now=world.clock)

    assert kept(world) == 0
    assert world.state(requested.id) == "approved"
    assert len(world.collect(csc_sad, *hashes(2))) == 2


def test_nothing_leaves_before_the_approval(world: SigningWorld) -> None:
    """A relying party can compute the csc_sad of its handle; that opens nothing."""
    requested = world.request(*hashes(1))
    with pytest.raises(NotApproved):
        world.collect(csc_sad_of(requested.handle), *hashes(1))


def test_nothing_leaves_for_a_frozen_signer_not_even_a_repeat(world: SigningWorld) -> None:
    _, csc_sad = approved(world, *hashes(2))
    world.collect(csc_sad, hashes(2)[0])
    world.freeze()
    for digest in hashes(2):
        with pytest.raises(SignerFrozen):
            world.collect(csc_sad, digest)
    assert kept(world) == 1


def test_the_csc_sad_does_not_outlive_use_by(world: SigningWorld) -> None:
    """CSC-83: for what is left to be signed, and for what was signed."""
    requested, csc_sad = approved(world, *hashes(2))
    done, other_sad = approved(world, *hashes(1))
    first = world.collect(csc_sad, hashes(2)[0])
    world.collect(other_sad, *hashes(1))
    use_by = world.transaction(requested.id).use_by
    world.clock.set(use_by - timedelta(seconds=1))
    assert world.collect(csc_sad, hashes(2)[0]) == first
    world.clock.set(use_by)
    for sad, digest in (
        (csc_sad, hashes(2)[0]),
        (csc_sad, hashes(2)[1]),
        (other_sad, hashes(1)[0]),
    ):
        with pytest.raises(TransactionOver) as over:
            world.collect(sad, digest)
        assert over.value.state == "expired"
    assert world.state(done.id) == "redeemed"


def test_a_certificate_that_expired_after_the_approval_signs_nothing(world: SigningWorld) -> None:
    """CSC-96."""
    _, csc_sad = approved(world, *hashes(1))
    now = world.clock()
    world.overwrite(
        lambda session: session.execute(update(Cell).values(certificate_expires_at=now))
    )
    with pytest.raises(RequestRefused, match="expired"):
        world.collect(csc_sad, *hashes(1))


def test_an_rsa_signature_is_not_repeated_in_another_padding(
    sam_world: SamWorld, session_factory: sessionmaker[Session], clock: SettableClock
) -> None:
    world = open_signing_world(sam_world, session_factory, clock, algorithm=KeyAlgorithm.RSA_2048)
    wanted = (bytes(64),)
    requested = world.request(*wanted, hash_alg="SHA-512")
    world.approve(requested.id)
    csc_sad = world.csc_sad(requested)

    def collect_by(scheme: SignatureScheme) -> tuple[bytes, ...]:
        return world.collect(csc_sad, *wanted, hash_alg="SHA-512", scheme=scheme)

    signature = collect_by(SignatureScheme.RSA_PSS)
    with pytest.raises(RequestRefused, match="another way"):
        collect_by(SignatureScheme.RSA_PKCS1)
    assert collect_by(SignatureScheme.RSA_PSS) == signature


# --- what happens meanwhile ---------------------------------------------------------


@pytest.mark.parametrize("error", [SamUnavailable("no"), HsmUnavailable("no")])
def test_what_the_sam_could_not_sign_may_be_tried_again_at_once(
    world_on_sqlite: SigningWorld, error: CellkeyError
) -> None:
    """CSC-9, CSC-121: none is signed, nothing is blocked."""
    world = world_on_sqlite
    requested, csc_sad = approved(world, *hashes(2))
    watched = WatchedSam(world.sam.sam, before=[fail_with(error)])
    with pytest.raises(type(error)):
        collect(world, watched, csc_sad, *hashes(2))
    assert kept(world) == 0
    before = world.clock()
    assert len(collect(world, watched, csc_sad, *hashes(2))) == 2
    assert world.clock() == before
    assert world.state(requested.id) == "redeemed"


def ask_removal_of_the_phone(world: SigningWorld) -> None:
    now = world.clock()
    world.overwrite(lambda session: session.execute(update(Device).values(removal_asked_at=now)))


def test_a_phone_whose_removal_was_asked_signs_no_more(world: SigningWorld) -> None:
    """T-37: what it approved before is over at once, though the record still knows the phone."""
    requested, csc_sad = approved(world, *hashes(2))
    first = world.collect(csc_sad, hashes(2)[0])
    ask_removal_of_the_phone(world)
    watched = WatchedSam(world.sam.sam)
    assert world.collect(csc_sad, hashes(2)[0]) == first
    with pytest.raises(TransactionOver) as over:
        collect(world, watched, csc_sad, *hashes(2))
    assert over.value.state == world.state(requested.id) == "failed"
    assert world.sealed(requested.id) is None
    assert watched.requests == []


def test_a_removal_while_the_sam_signs_keeps_the_signature_in(world: SigningWorld) -> None:
    """T-37."""
    requested, csc_sad = approved(world, *hashes(1))
    watched = WatchedSam(world.sam.sam, after=[lambda: ask_removal_of_the_phone(world)])
    with pytest.raises(TransactionOver):
        collect(world, watched, csc_sad, *hashes(1))
    assert world.state(requested.id) == "failed"
    assert kept(world) == 0


def leased(world: SigningWorld) -> list[UUID]:
    query = select(Transaction.id).where(Transaction.reserved_by.is_not(None))
    with world.sessions() as session:
        return list(session.scalars(query))


def test_only_its_own_transaction_is_leased_and_only_its_own_lease_given_back(
    world_on_sqlite: SigningWorld,
) -> None:
    """T-22: who collects keeps nobody from another transaction."""
    world = world_on_sqlite
    approved(world, *hashes(2, seed="other"))
    requested, csc_sad = approved(world, *hashes(2))
    seen = []

    def another_takes_over() -> None:
        seen.extend(leased(world))
        lease = update(Transaction).where(Transaction.id == requested.id)
        world.overwrite(lambda session: session.execute(lease.values(reserved_by=uuid4())))
        raise SamUnavailable("no")

    with pytest.raises(SamUnavailable):
        collect(
            world, WatchedSam(world.sam.sam, before=[another_takes_over]), csc_sad, hashes(2)[1]
        )

    assert seen == [requested.id]
    assert leased(world) == [requested.id]


@pytest.mark.parametrize("unfit", ["another hash", "another algorithm"])
def test_who_asks_wrongly_leaves_no_lease_behind(world: SigningWorld, unfit: str) -> None:
    _, csc_sad = approved(world, *hashes(1))
    wanted = hashes(1, seed="other") if unfit == "another hash" else hashes(1)
    algorithms = frozenset() if unfit == "another algorithm" else frozenset(KeyAlgorithm)
    with pytest.raises((HashNotAuthorized, AlgorithmUnfit)):
        world.collect(csc_sad, *wanted, algorithms=algorithms)
    assert leased(world) == []
    assert len(world.collect(csc_sad, *hashes(1))) == 1


def test_what_was_signed_in_parts_is_redeemed_with_the_last(world: SigningWorld) -> None:
    requested, csc_sad = approved(world, *hashes(3))
    first = world.collect(csc_sad, hashes(3)[1])
    assert world.state(requested.id) == "approved"
    assert world.sealed(requested.id) is not None
    assert world.collect(csc_sad, hashes(3)[1]) == first
    assert world.collect(csc_sad, *hashes(3))[1:2] == first
    assert world.state(requested.id) == "redeemed"
    assert world.sealed(requested.id) is None
    assert leased(world) == []


def test_a_refusal_while_the_sam_signs_keeps_the_signature_in(world: SigningWorld) -> None:
    requested, csc_sad = approved(world, *hashes(1))
    watched = WatchedSam(world.sam.sam, after=[lambda: world.refuse(requested.id)])
    with pytest.raises(TransactionOver) as over:
        collect(world, watched, csc_sad, *hashes(1))
    assert over.value.state == "rejected"
    assert kept(world) == 0
    assert world.sealed(requested.id) is None


def test_a_freeze_while_the_sam_signs_keeps_the_signature_in(
    world: SigningWorld, caplog: pytest.LogCaptureFixture
) -> None:
    _, csc_sad = approved(world, *hashes(1))
    watched = WatchedSam(world.sam.sam, after=[world.freeze])
    with pytest.raises(SignerFrozen):
        collect(world, watched, csc_sad, *hashes(1))
    assert kept(world) == 0
    assert "signatures dropped" in caplog.text


def test_a_caller_waits_for_another_and_gets_its_signatures(world: SigningWorld) -> None:
    _, csc_sad = approved(world, *hashes(2))
    got: list[tuple[bytes, ...]] = []
    slow = WatchedSam(world.sam.sam)
    ticks: list[float] = []

    def other_call() -> None:
        with world.sessions() as session:
            wanted = world.collection(csc_sad, hashes(2)[1])
            with pytest.raises(_Waited):
                release(session, world.sam.sam, wanted, now=world.clock, pause=wait)

    def wait(seconds: float) -> None:
        ticks.append(seconds)
        raise _Waited

    slow.before.append(other_call)
    got.append(collect(world, slow, csc_sad, *hashes(2)))
    got.append(collect(world, slow, csc_sad, *hashes(2)))
    assert got[0] == got[1]
    assert len(ticks) == 1


class _Waited(Exception):  # not an error: what the test waits for
    """The other caller waits."""


def test_a_lease_is_taken_over_when_its_holder_does_not_come_back(world: SigningWorld) -> None:
    """A holder that was killed costs the rest of its lease."""
    _, csc_sad = approved(world, *hashes(1))
    dead = WatchedSam(world.sam.sam, before=[fail_hard])
    with pytest.raises(KeyboardInterrupt):
        collect(world, dead, csc_sad, *hashes(1))
    began = world.clock()
    assert len(collect(world, world.sam.sam, csc_sad, *hashes(1))) == 1
    assert LEASE <= world.clock() - began <= LEASE + timedelta(seconds=1)


def fail_hard() -> None:
    raise KeyboardInterrupt


def test_a_holder_that_comes_back_too_late_hands_out_what_the_other_wrote(
    world: SigningWorld, caplog: pytest.LogCaptureFixture
) -> None:
    """Two signatures were made, one leaves: the unique key decides."""
    _, csc_sad = approved(world, *hashes(2))
    taken_over: list[tuple[bytes, ...]] = []

    def sleep_too_long() -> None:
        world.clock.advance(seconds=LEASE.total_seconds())
        taken_over.append(world.collect(csc_sad, hashes(2)[0]))

    late = WatchedSam(world.sam.sam, after=[sleep_too_long])
    both = collect(world, late, csc_sad, *hashes(2))
    assert both[0] == taken_over[0][0]
    assert kept(world) == 2
    reasons = [getattr(line, "reason", "") for line in caplog.records]
    assert "another holder of the lease was faster" in reasons

    again = WatchedSam(world.sam.sam)
    assert collect(world, again, csc_sad, *hashes(2)) == both
    assert again.requests == []


def test_a_holder_that_comes_back_when_all_is_signed_gets_the_same(world: SigningWorld) -> None:
    _, csc_sad = approved(world, *hashes(1))
    taken_over: list[tuple[bytes, ...]] = []

    def sleep_too_long() -> None:
        world.clock.advance(seconds=LEASE.total_seconds())
        taken_over.append(world.collect(csc_sad, *hashes(1)))

    late = WatchedSam(world.sam.sam, after=[sleep_too_long])
    assert collect(world, late, csc_sad, *hashes(1)) == taken_over[0]
    assert kept(world) == 1


def test_who_waits_too_long_is_told_to_try_again(world: SigningWorld) -> None:
    _, csc_sad = approved(world, *hashes(1))

    def hold_again(seconds: float) -> None:
        """Others hold the lease, one after the other."""
        world.clock.advance(seconds=max(seconds, 1))
        until = world.clock() + LEASE
        world.overwrite(
            lambda session: session.execute(update(Transaction).values(reserved_until=until))
        )

    hold_again(0)
    began = world.clock()
    wanted = world.collection(csc_sad, *hashes(1))
    with world.sessions() as session, pytest.raises(SamUnavailable):
        release(session, world.sam.sam, wanted, now=world.clock, pause=hold_again)
    assert world.clock() - began > PATIENCE


# --- what the door refuses ----------------------------------------------------------


def test_what_the_door_refuses_has_failed(
    world: SigningWorld, caplog: pytest.LogCaptureFixture
) -> None:
    requested, csc_sad = approved(world, *hashes(1))
    other, _ = approved(world, *hashes(1))
    foreign = world.sealed(other.id)
    world.overwrite(
        lambda session: session.execute(
            update(Approval).where(Approval.transaction_id == requested.id).values(sealed=foreign)
        )
    )
    with pytest.raises(TransactionOver) as over:
        world.collect(csc_sad, *hashes(1))
    assert over.value.state == "failed"
    ended = world.transaction(requested.id)
    assert ended.state == "failed"
    assert "rule 6" in (ended.ended_because or "")
    assert world.sealed(requested.id) is None
    assert "the door refused" in caplog.text
    with pytest.raises(TransactionOver):
        world.collect(csc_sad, *hashes(1))


def test_what_the_door_refuses_by_rule_5_may_be_asked_better(world: SigningWorld) -> None:
    requested, csc_sad = approved(world, *hashes(1))
    renamed = Collector(id=world.shop.id, client_id="another name")
    with pytest.raises(RequestRefused, match="another relying party"):
        world.collect(csc_sad, *hashes(1), relying_party=renamed)
    assert world.state(requested.id) == "approved"
    assert len(world.collect(csc_sad, *hashes(1))) == 1
