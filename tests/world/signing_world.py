"""A signer with a phone and a certificate, a relying party, a real SAM, and a database."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from backend.access.phones import AuthenticatedPhone
from backend.algorithms import KeyAlgorithm
from backend.model.tables import (
    Approval,
    Cell,
    Device,
    Freeze,
    Lock,
    PushSubscription,
    Record,
    RelyingParty,
    Signer,
    Transaction,
    TransactionState,
)
from backend.protocol.record import Caps, Policy, RecordDevice, verify_record
from backend.settings import Settings, SmsGatewayKind
from backend.signing.approval import approve, refuse
from backend.signing.authorization import Authorization, Waiting, authorization
from backend.signing.pending import show
from backend.signing.release import Collection, Collector, release
from backend.signing.request import (
    RequestedTransaction,
    Requester,
    SignatureOrder,
    request_certificate,
    request_signatures,
)
from backend.signing.sightings import Sightings
from backend.virtual_phone.asks import SignedAsk
from tests.world.clock import SettableClock
from tests.world.paired_cell import NAME, NUMBER, PairedCell, make_cell, subject_name
from tests.world.paper_phone import read
from tests.world.sam import CA_NAME, SamWorld

POLICY = Policy(
    methods=("app",),
    caps=Caps(multisign=1000, kinds=("pwa", "native", "virtual"), confirm=("operator",)),
)
SETTINGS = Settings(ca_name=CA_NAME, sms_gateway=SmsGatewayKind.OFF)
NO_WAIT_ID = UUID(int=0)
"""Nobody waits in this world."""


def hashes(count: int, *, seed: str = "document") -> tuple[bytes, ...]:
    """So many different SHA-256 hashes."""
    return tuple(hashlib.sha256(f"{seed} {number}".encode()).digest() for number in range(count))


@dataclass(kw_only=True)
class SigningWorld:
    """Each step of a transaction as one call, in a session of its own."""

    sam: SamWorld
    cell: PairedCell
    sessions: sessionmaker[Session]
    clock: SettableClock
    shop: Requester
    sightings: Sightings = field(default_factory=Sightings)
    settings: Settings = SETTINGS

    # --- the relying party ------------------------------------------------------

    def order(self, *wanted: bytes, **members: Any) -> SignatureOrder:  # noqa: ANN401  # members of SignatureOrder
        given: dict[str, Any] = {
            "relying_party": self.shop,
            "credential": self.cell.made.cell,
            "hashes": wanted,
            "hash_alg": "SHA-256",
            "labels": None,
            "fields": None,
            "description": None,
            "lang": None,
        }
        return SignatureOrder(**(given | members))

    def request(self, *wanted: bytes, **members: Any) -> RequestedTransaction:  # noqa: ANN401  # members of SignatureOrder
        with self.sessions() as session:
            return request_signatures(
                session,
                self.sam.sam,
                self.order(*wanted, **members),
                settings=self.settings,
                now=self.clock(),
            )

    def check(self, requested: RequestedTransaction) -> Authorization | Waiting:
        with self.sessions() as session:
            return authorization(
                session, handle=requested.handle, relying_party=self.shop.id, now=self.clock()
            )

    def csc_sad(self, requested: RequestedTransaction) -> str:
        found = self.check(requested)
        assert isinstance(found, Authorization)
        return found.csc_sad

    def collection(self, csc_sad: str, *wanted: bytes, **members: Any) -> Collection:  # noqa: ANN401  # members of Collection
        given: dict[str, Any] = {
            "relying_party": Collector(id=self.shop.id, client_id=self.shop.client_id),
            "csc_sad": csc_sad,
            "credential": self.cell.made.cell,
            "hashes": wanted,
            "hash_alg": "SHA-256",
            "scheme": self.cell.scheme,
        }
        return Collection(**(given | members))

    def collect(self, csc_sad: str, *wanted: bytes, **members: Any) -> tuple[bytes, ...]:  # noqa: ANN401  # members of Collection
        with self.sessions() as session:
            return release(
                session,
                self.sam.sam,
                self.collection(csc_sad, *wanted, **members),
                now=self.clock,
                pause=self.let_pass,
            )

    def let_pass(self, seconds: float) -> None:
        """Waiting, for who has a clock that stands still."""
        self.clock.advance(seconds=seconds)

    def another_party(self, client_id: str = "bank") -> "SigningWorld":
        """The same world, seen by another relying party."""
        return replace(self, shop=add_party(self.sessions, self.clock, client_id, client_id))

    # --- the phone --------------------------------------------------------------

    @property
    def phone(self) -> AuthenticatedPhone:
        """What ``authenticate_phone`` gives."""
        record = verify_record(self.cell.record, expected_ks=self.sam.public_keys.ks)
        return AuthenticatedPhone(
            kid=self.cell.phone.kid,
            cell=self.cell.made.cell,
            signer=self.cell.signer,
            device=record.device(self.cell.phone.kid),
            record=self.cell.record,
            wait_id=NO_WAIT_ID,
        )

    def read_ask(self, transaction: UUID) -> SignedAsk:
        """The ask as the phone fetches and verifies it."""
        with self.sessions() as session:
            shown = show(
                session,
                phone=self.phone,
                transaction=transaction,
                sightings=self.sightings,
                now=self.clock(),
            )
            self.sightings.write(session, now=self.clock())
        return read(shown.ask, self.sam.public_keys.ks)

    def answer(self, transaction: UUID) -> tuple[str, str]:
        """An approval and what it seals, not sent yet."""
        secret = self.cell.phone.secret_in_lock(self.cell.device_lock)
        return self.cell.phone.approve(self.read_ask(transaction), secret)

    def send(self, transaction: UUID, approval: str, sealed: str) -> TransactionState:
        with self.sessions() as session:
            return approve(
                session,
                phone=self.phone,
                transaction=transaction,
                approval=approval,
                sealed=sealed,
                public_keys=self.sam.public_keys,
                now=self.clock(),
            )

    def approve(self, transaction: UUID) -> TransactionState:
        return self.send(transaction, *self.answer(transaction))

    def refuse(self, transaction: UUID, *, refusal: str | None = None) -> TransactionState:
        refusal = refusal or self.cell.phone.refuse(self.read_ask(transaction))
        with self.sessions() as session:
            return refuse(
                session,
                phone=self.phone,
                transaction=transaction,
                refusal=refusal,
                public_keys=self.sam.public_keys,
                now=self.clock(),
            )

    # --- the authority ----------------------------------------------------------

    def request_certificate(self) -> UUID:
        with self.sessions() as session:
            return request_certificate(
                session,
                self.sam.sam,
                cell=self.cell.made.cell,
                settings=self.settings,
                now=self.clock(),
            )

    def freeze(self) -> None:
        with self.sessions.begin() as session:
            session.add(
                Freeze(
                    id=uuid4(),
                    signer_id=self.cell.signer,
                    frozen_at=self.clock(),
                    frozen_by="phone",
                    lifted_at=None,
                    lifted_by=None,
                )
            )

    # --- what became of it ------------------------------------------------------

    def transaction(self, transaction: UUID) -> Transaction:
        with self.sessions() as session:
            return session.get_one(Transaction, transaction)

    def state(self, transaction: UUID) -> str:
        return self.transaction(transaction).state

    def sealed(self, transaction: UUID) -> str | None:
        """The sealed secret that is kept; ``None`` when it is erased."""
        with self.sessions() as session:
            return session.scalars(
                select(Approval.sealed).where(Approval.transaction_id == transaction)
            ).one()

    def overwrite(self, change: Callable[[Session], object]) -> None:
        """What an attacker does who may write every row."""
        with self.sessions.begin() as session:
            change(session)


def open_signing_world(
    sam: SamWorld,
    sessions: sessionmaker[Session],
    clock: SettableClock,
    *,
    algorithm: KeyAlgorithm = KeyAlgorithm.P256,
    certified: bool = True,
) -> SigningWorld:
    """A signer whose phone is paired, and if ``certified`` one who has a certificate."""
    cell = make_cell(sam, algorithm=algorithm, policy=POLICY)
    cell.pair()
    not_after = None
    if certified:
        not_after = datetime.fromtimestamp(cell.certify().not_after, UTC)
    return world_of(sam, sessions, clock, cell=cell, not_after=not_after)


def world_of(
    sam: SamWorld,
    sessions: sessionmaker[Session],
    clock: SettableClock,
    *,
    cell: PairedCell,
    not_after: datetime | None,
    login: str = "anna",
) -> SigningWorld:
    """The world of a cell that was made before."""
    with sessions.begin() as session:
        _add_rows(session, cell, not_after, clock(), login=login)
    client_id = "shop" if login == "anna" else f"shop of {login}"
    shop = add_party(sessions, clock, client_id, "Shop")
    return SigningWorld(sam=sam, cell=cell, sessions=sessions, clock=clock, shop=shop)


def add_party(
    sessions: sessionmaker[Session], clock: SettableClock, client_id: str, name: str
) -> Requester:
    """A relying party; its secret is known to nobody."""
    party = Requester(id=uuid4(), client_id=client_id, name=name)
    with sessions.begin() as session:
        session.add(
            RelyingParty(
                id=party.id,
                client_id=client_id,
                name=name,
                secret_hash=bytes(32),
                created_at=clock(),
                disabled_at=None,
            )
        )
    return party


def _add_rows(
    session: Session,
    cell: PairedCell,
    not_after: datetime | None,
    now: datetime,
    *,
    login: str,
) -> None:
    """Keep what the SAM said."""
    record = verify_record(cell.record, expected_ks=cell.world.public_keys.ks)
    session.add(
        Signer(
            id=cell.signer,
            login=login,
            name=NAME,
            subject=subject_name(),
            number=NUMBER,
            lang="ru",
            zone="Europe/Moscow",
            password_salt=bytes(16),
            password_verifier=None,
            password_change_due=False,
            registered_by="operator",
            registered_at=now,
        )
    )
    session.flush()
    session.add(
        Cell(
            id=record.cell,
            signer_id=cell.signer,
            algorithm=cell.algorithm,
            spki=cell.made.spki,
            blob=cell.made.blob,
            epoch=record.epoch,
            certificate=cell.certificate or None,
            certificate_expires_at=not_after,
            created_at=now,
            methods=" ".join(record.policy.methods),
        )
    )
    session.flush()
    session.add(Record(cell_id=record.cell, epoch=record.epoch, record=cell.record, created_at=now))
    assert cell.made.password is not None
    session.add(
        Lock(
            cell_id=record.cell,
            kind="password",
            key_id=cell.signer.bytes,
            lock=cell.made.password.lock,
            created_at=now,
        )
    )
    if record.devices:
        _add_phone(session, cell, record.device(cell.phone.kid), now)


def _add_phone(session: Session, cell: PairedCell, device: RecordDevice, now: datetime) -> None:
    session.add(
        Lock(
            cell_id=cell.made.cell,
            kind="device",
            key_id=cell.phone.kid,
            lock=cell.device_lock,
            created_at=now,
        )
    )
    session.add(
        Device(
            kid=device.kid,
            cell_id=cell.made.cell,
            request_kid=device.request.thumbprint(),
            kind=device.kind,
            paired_at=now,
            removal_asked_at=None,
            removed_at=None,
        )
    )
    session.flush()
    session.add(
        PushSubscription(
            kid=device.kid,
            endpoint=f"https://push.cellkey.test/{device.kid.hex()}",
            p256dh="key",
            auth="auth",
            created_at=now,
        )
    )
