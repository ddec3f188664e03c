"""The phones' application, on an empty database."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask
from flask.testing import FlaskClient

from backend.model.changes import look_often
from backend.protocol.jose import PublicJwk
from backend.protocol.public_keys import PublicKeys
from backend.settings import Settings
from backend.wiring import db
from mobile_api.app import create_app
from mobile_api.services import make_services
from tests.world.clock import SettableClock

APP = "https://app.example.org"


def make_app(url: str, folder: Path) -> Flask:
    """The application; nobody is paired."""
    keys = [PublicJwk.of(ec.generate_private_key(ec.SECP256R1()).public_key()) for _ in range(2)]
    settings = Settings(
        data_dir=folder,
        database_url=url,
        ca_name="Test CA",
        app_url=APP,
        mobile_api_url="https://phones.example.org",
    )
    return create_app(
        make_services(
            settings,
            public_keys=PublicKeys(ks=keys[0], ka=keys[1], keys=()),
            push_key="BPoint",
            clock=SettableClock(),
            watching=look_often(Event().wait),
        )
    )


@pytest.fixture
def app(sqlite_url: str, tmp_path: Path) -> Iterator[Flask]:
    made = make_app(sqlite_url, tmp_path)
    yield made
    with made.app_context():
        db.engine.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()
