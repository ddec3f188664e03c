"""A certification authority whose app is used in browsers: who registers, and who is registered.

The service runs in threads (``installation.py``) or as in production (``production.py``).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from backend.algorithms import KeyAlgorithm
from backend.devices.enrolment.confirmation import confirm_by_operator
from backend.devices.envelope import Envelope, register_signer_with_cell
from backend.devices.replacement import Replacement, ReplacementOrder, print_replacement
from backend.model.tables import Cell, Device
from backend.model.tables import Signer as SignerRow
from backend.protocol.public_keys import PublicKeys
from backend.sam.client import SamClient
from backend.sam.module import Sam
from backend.settings import Settings
from backend.wiring import utc_now
from tests.world.service import ANNA, OTHER_OPERATOR, PRINTER
from tests.world.sms_inbox import Sms
from tests.world.wire_tap import WireTap


@dataclass(kw_only=True)
class Authority:
    """Where everything is, and who comes to it."""

    settings: Settings
    sam: Sam | SamClient
    public_keys: PublicKeys
    sessions: sessionmaker[Session]
    arrived: Callable[[], Sequence[Sms]]
    """Every SMS so far."""
    tap: WireTap
    _people: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def app_url(self) -> str:
        """Origin of the phone app."""
        return self.settings.app_url

    @property
    def origins(self) -> set[str]:
        """Where the app may send requests."""
        settings = self.settings
        return {settings.app_url, settings.authorization_server_url, settings.mobile_api_url}

    def register(self, **changed: Any) -> "Signer":  # noqa: ANN401  # members of Applicant
        """Register somebody new, by the counter's use case."""
        number = next(self._people)
        given: dict[str, Any] = {"login": f"signer.{number}", "number": f"+7916{number:07}"}
        applicant = msgspec.structs.replace(ANNA, **(given | changed))
        with self.sessions() as session:
            envelope = register_signer_with_cell(
                session,
                self.sam,
                applicant,
                algorithm=KeyAlgorithm.P256,
                operator=PRINTER,
                settings=self.settings,
                now=utc_now(),
            )
        return Signer(authority=self, envelope=envelope, number=str(applicant.number))


@dataclass(frozen=True, kw_only=True)
class Signer:
    """A registered signer, and what lies on the table at home."""

    authority: Authority
    envelope: Envelope
    number: str

    @property
    def login(self) -> str:
        """As it stands in the envelope."""
        return self.envelope.login

    @property
    def cell(self) -> UUID:
        """The signer's newest cell."""
        query = select(Cell.id).join(SignerRow, SignerRow.id == Cell.signer_id)
        newest = query.where(SignerRow.login == self.login).order_by(Cell.created_at.desc())
        with self.authority.sessions() as session:
            return session.scalars(newest).all()[0]

    @property
    def qr2_code(self) -> str:
        """The 26 characters beside QR 2."""
        return self.envelope.qr2.partition("s=")[2]

    @property
    def is_certified(self) -> bool:
        """Whether the cell has its certificate."""
        with self.authority.sessions() as session:
            return session.get_one(Cell, self.cell).certificate is not None

    @property
    def phones(self) -> int:
        """How many phones the cell has."""
        query = select(func.count()).where(Device.cell_id == self.cell, Device.removed_at.is_(None))
        with self.authority.sessions() as session:
            return session.scalar(query) or 0

    def replacement(self, *, remove_phones: bool = False) -> Replacement:
        """An operator prints an envelope for the cell that is there."""
        order = ReplacementOrder(
            login=self.login, operator=PRINTER, remove_phones=remove_phones, reset_password=False
        )
        here = self.authority
        with here.sessions() as session:
            return print_replacement(
                session,
                here.sam,
                order,
                settings=here.settings,
                public_keys=here.public_keys,
                now=utc_now(),
            )

    def confirm(self, twelve: str) -> None:
        """Read the 12 characters of the phone to an operator."""
        here = self.authority
        with here.sessions() as session:
            confirm_by_operator(
                session,
                here.sam,
                login=self.login,
                operator=OTHER_OPERATOR,
                twelve=twelve,
                now=utc_now(),
            )

    def texts(self) -> list[Sms]:
        """Every SMS that has arrived."""
        return [sms for sms in self.authority.arrived() if sms.number == self.number]
