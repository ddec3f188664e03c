"""The authority's counter: an applicant gets an envelope, a phone is paired, step by step.

A stage is what the database holds after some steps, with what people and phone hold then. Stages
are made once and put into each test's database: a password costs 64 MiB and a third of a second.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import insert, select
from sqlalchemy.orm import Session, sessionmaker

from backend.access.phones import AuthenticatedPhone, authenticate_phone
from backend.algorithms import KeyAlgorithm
from backend.devices.enrolment.confirmation import confirm_by_code, confirm_by_operator
from backend.devices.enrolment.sms_code import send_code
from backend.devices.enrolment.ticket import SignIn, Ticket, open_ticket
from backend.devices.envelope import Envelope, register_signer_with_cell
from backend.devices.pairing import StoredEnrolment, pairing_view, store_enrolment
from backend.errors import CellkeyError
from backend.model.base import Base
from backend.model.tables import Enrolment, OutboxMessage, Pairing, PairingState, Signer
from backend.protocol.encoding import secret_bytes
from backend.protocol.public_keys import PublicKeys
from backend.protocol.sms import open_sms
from backend.settings import Settings, SmsGatewayKind
from backend.signers.freeze import freeze
from backend.signers.registration import Applicant, PersonName
from backend.virtual_phone import answers
from tests.world.clock import SettableClock
from tests.world.paper_phone import PaperPhone, read, secret_in_envelope
from tests.world.sam import ORIGIN, RP_ID, SamWorld

PRINTER = "Ольга Печатная"
OTHER_OPERATOR = "Семён Второй"
NUMBER = "+79161234567"
NEW_PASSWORD = "зелёный чайник 7"
ADDRESS = "http://127.0.0.1:8601"

APPLICANT = Applicant(
    name=PersonName(family="Иванова", given="Анна", patronymic="Петровна"),
    login="a.ivanova",
    number=NUMBER,
    lang="ru",
)


@dataclass(kw_only=True)
class Counter:
    """Everything that stands around the use cases of pairing, none of it acted."""

    session_factory: sessionmaker[Session]
    world: SamWorld
    settings: Settings
    clock: SettableClock
    public_keys: PublicKeys
    envelope: Envelope = field(init=False)
    ticket: str = ""
    phone: PaperPhone = field(default_factory=PaperPhone)

    # --- steps ----------------------------------------------------------------

    def register(
        self,
        applicant: Applicant = APPLICANT,
        *,
        algorithm: KeyAlgorithm = KeyAlgorithm.P256,
        operator: str = PRINTER,
    ) -> Envelope:
        """Register an applicant and print the envelope."""
        with self.session_factory() as session:
            self.envelope = register_signer_with_cell(
                session,
                self.world.sam,
                applicant,
                algorithm=algorithm,
                operator=operator,
                settings=self.settings,
                now=self.clock(),
            )
        return self.envelope

    def sign_in(self, **changed: Any) -> Ticket:  # noqa: ANN401  # members of SignIn
        """Step 1."""
        given: dict[str, Any] = {
            "login": self.envelope.login,
            "password": self.envelope.first_password,
            "new_password": NEW_PASSWORD,
            "pairing": self.envelope.pairing,
        }
        with self.session_factory() as session:
            ticket = open_ticket(
                session,
                self.world.sam,
                self.world.sam,
                SignIn(**(given | changed)),
                settings=self.settings,
                now=self.clock(),
            )
        self.ticket = ticket.ticket
        return ticket

    def refused_sign_in(self, **changed: Any) -> CellkeyError:  # noqa: ANN401  # of SignIn
        """Step 1, which must be refused; gives the refusal."""
        try:
            self.sign_in(**changed)
        except CellkeyError as error:
            return error
        raise AssertionError("a ticket was given")

    @property
    def password_tries(self) -> int:
        """How many tries are counted."""
        counted: int = self.row(select(Signer.password_tries))
        return counted

    def enrolment(
        self, phone: PaperPhone | None = None, *, app: str | None = None
    ) -> tuple[str, str]:
        """What a phone makes of the ticket's ask and the envelope: enrolment and sealed."""
        with self.session_factory() as session:
            view = pairing_view(
                session, ticket=self.ticket, public_keys=self.public_keys, now=self.clock()
            )
        assert view.envelope_lock is not None
        ask = read(view.ask, view.ks)
        cell = UUID(str(ask.ask.cell))
        secret = secret_in_envelope(self.envelope_secret, view.envelope_lock, cell)
        return (phone or self.phone).enrol(ask, secret, app=app)

    def present(self, enrolment: str, sealed: str) -> StoredEnrolment:
        """Step 2."""
        with self.session_factory() as session:
            return store_enrolment(
                session,
                ticket=self.ticket,
                enrolment=enrolment,
                sealed=sealed,
                public_keys=self.public_keys,
                settings=self.settings,
                now=self.clock(),
            )

    def send_code(self) -> str:
        """Step 3: the code, as it arrives on the signer's number."""
        before = set(self.rows(select(OutboxMessage.id)))
        with self.session_factory() as session:
            send_code(
                session,
                self.world.sam,
                ticket=self.ticket,
                settings=self.settings,
                now=self.clock(),
            )
        added = OutboxMessage.id.not_in(before)  # several may be due at one moment
        return self.codes(added)[0]

    def confirm(self, code: str) -> PairingState:
        """Step 3."""
        with self.session_factory() as session:
            return confirm_by_code(
                session, self.world.sam, ticket=self.ticket, code=code, now=self.clock()
            )

    def confirm_by_operator(self, operator: str = OTHER_OPERATOR) -> PairingState:
        """Step 3, where no code is sent: the signer reads out what stands on the phone."""
        presented = Pairing.transaction_id == Enrolment.transaction_id
        enrolment: str = self.row(
            select(Enrolment.enrolment)
            .join(Pairing, presented)
            .where(Pairing.id == self.envelope.pairing)
        )
        with self.session_factory() as session:
            return confirm_by_operator(
                session,
                self.world.sam,
                login=self.envelope.login,
                operator=operator,
                twelve=answers.twelve_characters(enrolment),
                now=self.clock(),
            )

    def freeze(self, *, by: str = "desk") -> None:
        """Lock the signer's access."""
        with self.session_factory() as session:
            freeze(session, signer=self.signer, by=by, now=self.clock())

    # --- what people see ------------------------------------------------------

    @property
    def envelope_secret(self) -> bytes:
        """The secret in QR 2, as a phone reads it."""
        return secret_bytes(self.envelope.qr2.removeprefix("cellkey:pair?s="))

    def texts(self, *which: Any) -> list[str]:  # noqa: ANN401  # conditions
        """Every SMS that the worker would send, oldest first; or those of which this holds."""
        query = select(OutboxMessage.sealed_sms).where(OutboxMessage.channel == "sms", *which)
        return [
            open_sms(sealed, self.world.worker_key).text
            for sealed in self.rows(query.order_by(OutboxMessage.due_at))
        ]

    def codes(self, *which: Any) -> list[str]:  # noqa: ANN401  # conditions
        """The codes in them."""
        words = [word.strip(".,:") for text in self.texts(*which) for word in text.split()]
        return [word for word in words if len(word) == 8 and word.isdigit()]

    # --- what is kept -----------------------------------------------------------

    def rows(self, query: Any) -> Sequence[Any]:  # noqa: ANN401  # any select of one column
        """The first column of a query's rows."""
        with self.session_factory() as session:
            return session.scalars(query).all()

    def row(self, query: Any) -> Any:  # noqa: ANN401  # any select of one column
        """The only value of a query."""
        (value,) = self.rows(query)
        return value

    def write(self, statement: Any) -> None:  # noqa: ANN401  # any statement
        """Do to the database what somebody who may write all of it can do."""
        with self.session_factory() as session:
            session.execute(statement)
            session.commit()

    @property
    def signer(self) -> UUID:
        """The signer's id."""
        signer: UUID = self.row(select(Signer.id).where(Signer.login == self.envelope.login))
        return signer

    @property
    def cell(self) -> UUID:
        """The id of the envelope's cell."""
        cell: UUID = self.row(select(Pairing.cell_id).where(Pairing.id == self.envelope.pairing))
        return cell

    # --- the paired phone -------------------------------------------------------

    def proof(
        self,
        *,
        method: str = "GET",
        path: str = "/devices",
        body: bytes = b"",
        phone: PaperPhone | None = None,
        at: datetime | None = None,
    ) -> str:
        """A request's ``Authorization``."""
        return "DPoP " + answers.request_proof(
            key=(phone or self.phone).keys.request,
            method=method,
            url=ADDRESS + path,
            body=body or None,
            now=int((at or self.clock()).timestamp()),
            jti=uuid4(),
        )

    def authenticate(self, session: Session, authorization: str | None) -> AuthenticatedPhone:
        """Find out who sent ``GET /devices``."""
        return authenticate_phone(
            session,
            authorization=authorization,
            method="GET",
            address=ADDRESS + "/devices",
            body=b"",
            public_keys=self.public_keys,
            now=self.clock(),
        )

    def paired_phone(self) -> AuthenticatedPhone:
        """The paired phone, authenticated."""
        with self.session_factory() as session:
            return self.authenticate(session, self.proof())


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A counter's rows and papers at some point."""

    rows: dict[str, list[dict[str, Any]]]
    envelope: Envelope
    ticket: str
    phone: PaperPhone


def settings_for(folder: Path, *, sms: bool) -> Settings:
    """Settings as the SAM of the tests has them; texts can be sent if ``sms``."""
    return Settings(
        data_dir=folder,
        rp_id=RP_ID,
        app_url=ORIGIN,
        mobile_api_url=ADDRESS,
        sms_gateway=SmsGatewayKind.CONSOLE if sms else SmsGatewayKind.OFF,
    )


def take(counter: Counter) -> Stage:
    """Take down where a counter is."""
    with counter.session_factory() as session:
        rows = {
            table.name: [dict(row._mapping) for row in session.execute(select(table))]
            for table in Base.metadata.sorted_tables
        }
    return Stage(rows=rows, envelope=counter.envelope, ticket=counter.ticket, phone=counter.phone)


def put(counter: Counter, stage: Stage) -> Counter:
    """Bring a counter with an empty database to a stage."""
    with counter.session_factory() as session:
        for table in Base.metadata.sorted_tables:
            if stage.rows[table.name]:
                session.execute(insert(table), stage.rows[table.name])
        session.commit()
    counter.envelope, counter.ticket = stage.envelope, stage.ticket
    # A phone of its own: a test that gives it a passkey must not give it to all.
    counter.phone = PaperPhone(keys=stage.phone.keys)
    return counter
