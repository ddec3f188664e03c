"""Texts, and an SMS centre that is not ours."""

from collections.abc import Callable, Iterator
from datetime import datetime

import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.delivery.gateways import make_report_taker
from backend.delivery.smpp import SmppGateway
from backend.delivery.smpp_address import smpp_address
from tests.world.clock import SettableClock
from tests.world.sms_centre import PASSWORD, USER, Centre, running_centre
from tests.world.texts import Texts

Smpp = Callable[..., SmppGateway]


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Here it is about gateways; what they write is tried on both engines elsewhere."""
    return sqlite_url


@pytest.fixture
def centre() -> Iterator[Centre]:
    with running_centre() as centre:
        yield centre


@pytest.fixture
def texts(session_factory: sessionmaker[Session], clock: SettableClock) -> Texts:
    return Texts(session_factory, clock)


@pytest.fixture
def smpp(session_factory: sessionmaker[Session], centre: Centre, clock: SettableClock) -> Smpp:
    """Makes a gateway of a worker; as many as are wanted."""

    def make(
        *, sender: str = "Cellkey", password: str = PASSWORD, connection_seconds: float = 60.0
    ) -> SmppGateway:
        def now() -> datetime:
            return clock()

        return SmppGateway(
            smpp_address(centre.url, reached_at=""),
            user=USER,
            password=password,
            sender=sender,
            take_report=make_report_taker(session_factory, now),
            clock=now,
            connection_seconds=connection_seconds,
        )

    return make
