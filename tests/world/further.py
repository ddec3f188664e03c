"""A further phone at the counter: asked for, approved, presented, finished, step by step."""

from dataclasses import dataclass, field
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.access.phones import ProvenCall, UsedProof, prove_phone
from backend.devices.enrolment.further import AskedFurther, ask_further, finish_further
from backend.devices.further_device import FurtherState, store_further_enrolment
from backend.model.tables import Lock, Transaction
from backend.protocol.enrolment import read_enrolment
from backend.signing.approval import approve
from backend.virtual_phone.asks import SignedAsk
from tests.world.counter import ADDRESS, Counter
from tests.world.paper_phone import PaperPhone, read


@dataclass(kw_only=True)
class Further:
    """One attempt to add ``new`` to the counter's cell, by the counter's phone."""

    counter: Counter
    new: PaperPhone = field(default_factory=PaperPhone)
    asked: AskedFurther = field(init=False)

    @property
    def id(self) -> UUID:
        """The transaction."""
        return self.asked.transaction

    @property
    def ask(self) -> SignedAsk:
        """The ask, as the reference client reads it."""
        query = select(Transaction.ask).where(Transaction.id == self.id)
        return read(self.counter.row(query), self.counter.public_keys.ks)

    def call(self, session: Session) -> ProvenCall:
        """A request that the paired phone made."""
        return prove_phone(
            session,
            authorization=self.counter.proof(),
            method="GET",
            address=ADDRESS + "/devices",
            body=b"",
            public_keys=self.counter.public_keys,
            now=self.counter.clock(),
        )

    def begin(self) -> "Further":
        """The paired phone has read the new one's screen."""
        prints = read_enrolment(self._bare_enrolment()).keys.thumbprints()
        with self.counter.session_factory() as session:
            self.asked = ask_further(
                session,
                self.counter.world.sam,
                call=self.call(session),
                prints=prints,
                settings=self.counter.settings,
                now=self.counter.clock(),
            )
        return self

    def _bare_enrolment(self) -> str:
        """An enrolment for nothing, to read three thumbprints from."""
        query = select(Transaction.ask).where(Transaction.kind == "enrol").limit(1)
        return self.new.enrol_without_secret(
            read(self.counter.rows(query)[0], self.counter.public_keys.ks)
        )

    def present(self, phone: PaperPhone | None = None) -> FurtherState:
        """A phone, the new one or another, sends its keys."""
        enrolment = (phone or self.new).enrol_without_secret(self.ask)
        return self.send(enrolment)

    def send(self, enrolment: str) -> FurtherState:
        """An enrolment arrives."""
        now = self.counter.clock()
        with self.counter.session_factory() as session:
            return store_further_enrolment(
                session,
                enrolment=enrolment,
                claims=read_enrolment(enrolment),
                proof=UsedProof(jti=uuid4(), expires_at=now),
                public_keys=self.counter.public_keys,
                settings=self.counter.settings,
                now=now,
            )

    def approve(self) -> None:
        """The paired phone says yes."""
        phone = self.counter.phone
        lock = self.counter.row(
            select(Lock.lock).where(Lock.kind == "device", Lock.key_id == phone.kid)
        )
        approval, sealed = phone.approve(self.ask, phone.secret_in_lock(lock))
        authenticated = self.counter.paired_phone()
        with self.counter.session_factory() as session:
            approve(
                session,
                phone=authenticated,
                transaction=self.id,
                approval=approval,
                sealed=sealed,
                public_keys=self.counter.public_keys,
                now=self.counter.clock(),
            )

    def ready(self) -> "Further":
        """All that the clerk needs is there."""
        self.begin()
        self.present()
        self.approve()
        return self

    def finish(self) -> bool:
        """What the clerk does."""
        with self.counter.session_factory() as session:
            return finish_further(
                session,
                self.counter.world.sam,
                transaction=self.id,
                now=self.counter.clock(),
            )

    @property
    def state(self) -> str:
        """The transaction's."""
        found: str = self.counter.row(select(Transaction.state).where(Transaction.id == self.id))
        return found
