"""backend/delivery/gateways.py: the gateway that the settings name, or why there is none."""

import io
from pathlib import Path

import msgspec
import pytest
from sqlalchemy.orm import Session, sessionmaker

from backend.delivery.gateways import make_gateway, probe_gateway
from backend.delivery.smpp import SmppGateway
from backend.delivery.sms import ConsoleGateway, SmsGateway
from backend.delivery.sms_http import JsonGateway, KannelGateway
from backend.errors import NotAnswered, SettingsInvalid
from backend.settings import Settings, SmsGatewayKind
from tests.world.clock import SettableClock
from tests.world.sms_centre import PASSWORD, USER, running_centre
from tests.world.sms_http_peer import SECRET, running_http_peer
from tests.world.worker import KEY

URLS = {
    SmsGatewayKind.SMPP: "smpp://127.0.0.1:2775",
    SmsGatewayKind.KANNEL: "http://127.0.0.1:13013/cgi-bin/sendsms",
    SmsGatewayKind.JSON: "https://sms.example.org/texts",
}


def settings(folder: Path, kind: SmsGatewayKind, secret: str = PASSWORD) -> Settings:
    path = folder / "secret"
    path.write_text(SECRET if kind is SmsGatewayKind.JSON else secret)
    return Settings(
        sms_gateway=kind,
        sms_url=URLS.get(kind, ""),
        sms_user=USER,
        sms_secret_file=path,
        sms_sender="Cellkey",
    )


def make(settings: Settings) -> SmsGateway | None:
    return make_gateway(
        settings,
        sessionmaker[Session](),
        private_key=KEY,
        clock=SettableClock(),
        console=io.StringIO(),
    )


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        (SmsGatewayKind.SMPP, SmppGateway),
        (SmsGatewayKind.KANNEL, KannelGateway),
        (SmsGatewayKind.JSON, JsonGateway),
        (SmsGatewayKind.CONSOLE, ConsoleGateway),
        (SmsGatewayKind.OFF, type(None)),
    ],
)
def test_the_gateway_is_the_one_that_is_named(
    tmp_path: Path, kind: SmsGatewayKind, made: type[object]
) -> None:
    assert isinstance(make(settings(tmp_path, kind)), made)


@pytest.mark.parametrize("kind", list(URLS))
@pytest.mark.parametrize("missing", ["sms_url", "sms_user", "sms_secret_file", "sms_sender"])
def test_a_gateway_without_what_it_needs_is_not_made(
    tmp_path: Path, kind: SmsGatewayKind, missing: str
) -> None:
    given = msgspec.structs.replace(
        settings(tmp_path, kind), **{missing: None if missing.endswith("file") else ""}
    )
    if kind is SmsGatewayKind.JSON and missing in {"sms_user", "sms_sender"}:
        assert isinstance(make(given), JsonGateway)
        return
    with pytest.raises(SettingsInvalid):
        make(given)


@pytest.mark.parametrize(
    ("kind", "secret"),
    [
        (SmsGatewayKind.SMPP, ""),
        (SmsGatewayKind.SMPP, "nine char"),
        (SmsGatewayKind.KANNEL, " \n"),
        (SmsGatewayKind.KANNEL, "пароль"),
        (SmsGatewayKind.KANNEL, "x" * 4097),
        (SmsGatewayKind.JSON, "no prefix"),
        (SmsGatewayKind.JSON, "whsec_c2hvcnQ="),
        (SmsGatewayKind.JSON, "whsec_not base64"),
        (SmsGatewayKind.JSON, "x" + SECRET),
    ],
)
def test_a_secret_that_is_none_is_refused_and_not_repeated(
    tmp_path: Path, kind: SmsGatewayKind, secret: str
) -> None:
    given = settings(tmp_path, kind)
    (tmp_path / "secret").write_text(secret, "utf-8")
    with pytest.raises(SettingsInvalid) as refused:
        make(given)
    assert len(secret) < 5 or secret not in str(refused.value)


def test_a_secret_that_is_not_there_is_said_by_its_path(tmp_path: Path) -> None:
    given = settings(tmp_path, SmsGatewayKind.SMPP)
    (tmp_path / "secret").unlink()
    with pytest.raises(SettingsInvalid, match=str(tmp_path)):
        make(given)


# --- whether it answers -----------------------------------------------------------


def test_an_sms_centre_says_whether_it_lets_us_in(tmp_path: Path) -> None:
    with running_centre() as centre:
        given = msgspec.structs.replace(
            settings(tmp_path, SmsGatewayKind.SMPP, PASSWORD), sms_url=centre.url
        )
        assert probe_gateway(given) == f"lets us in at {centre.url}"
        without = msgspec.structs.replace(given, sms_secret_file=None)
        assert "only who reads the secret" in probe_gateway(without)
        (tmp_path / "secret").write_text("wrong")
        with pytest.raises(NotAnswered, match="does not know us"):
            probe_gateway(given)


def test_an_http_gateway_answers_whatever_it_says(tmp_path: Path) -> None:
    clock = SettableClock()
    with running_http_peer(clock) as peer:
        given = msgspec.structs.replace(
            settings(tmp_path, SmsGatewayKind.KANNEL), sms_url=peer.kannel_url
        )
        assert probe_gateway(given) == f"answers at {peer.kannel_url}"
    with pytest.raises(NotAnswered):
        probe_gateway(given)


def test_what_cannot_be_asked_is_said_in_words(tmp_path: Path) -> None:
    assert "operators confirm phones" in probe_gateway(settings(tmp_path, SmsGatewayKind.OFF))
    assert "terminal" in probe_gateway(settings(tmp_path, SmsGatewayKind.CONSOLE))
