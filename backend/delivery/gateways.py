"""The SMS gateway that the settings name, and whether it answers.

Its secret is a file, read once. A gateway without its secret is not made: nothing has a default.
"""

import asyncio
import binascii
from base64 import b64decode
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final, TextIO
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy.orm import Session

from backend.delivery.endpoints import gateway_endpoint
from backend.delivery.guarded_session import GuardedSession
from backend.delivery.smpp import SmppGateway, TakeReport
from backend.delivery.smpp_address import SmppAddress, connect, smpp_address
from backend.delivery.smpp_pdus import LONGEST_PASSWORD, LONGEST_USER, PartReport
from backend.delivery.smpp_session import SmppSession
from backend.delivery.sms import ConsoleGateway, SmsGateway
from backend.delivery.sms_budgets import SmsRules
from backend.delivery.sms_http import JsonGateway, KannelGateway, ReportAddress
from backend.delivery.sms_keys import SmsKeys
from backend.delivery.sms_reports import take_report_by_reference, take_report_of_part
from backend.errors import SettingsInvalid
from backend.settings import Settings, SmsGatewayKind

REPORTS_PATH: Final = "/sms/reports/"
LONGEST_SECRET: Final = 4096
SHORTEST_KEY: Final = 24
"""In bytes, as Standard Webhooks want it."""
KEY_PREFIX: Final = "whsec_"

Sessions = Callable[[], Session]
Clock = Callable[[], datetime]


def rules_of(settings: Settings) -> SmsRules:
    """To whom, and how much."""
    return SmsRules(
        prefixes=settings.sms_prefixes,
        per_number=settings.sms_parts_per_number,
        per_neighbourhood=settings.sms_parts_per_neighbourhood,
        per_relying_party=settings.sms_parts_per_relying_party,
        per_day=settings.sms_parts_per_day,
    )


def make_gateway(
    settings: Settings,
    sessions: Sessions,
    *,
    private_key: ec.EllipticCurvePrivateKey,
    clock: Clock,
    console: TextIO,
) -> SmsGateway | None:
    """Make the gateway; ``None`` where texts cannot be sent.

    Raises:
        SettingsInvalid: something of it is missing or wrong.
    """
    match settings.sms:
        case SmsGatewayKind.OFF:
            return None
        case SmsGatewayKind.CONSOLE:
            return ConsoleGateway(console)
        case SmsGatewayKind.SMPP:
            return SmppGateway(
                _smpp_address(settings),
                user=settings.sms_user,
                password=_smpp_password(settings),
                sender=_needed(settings.sms_sender, "sms_sender"),
                take_report=make_report_taker(sessions, clock),
                clock=clock,
            )
        case SmsGatewayKind.KANNEL:
            return KannelGateway(
                gateway_endpoint(settings.sms_url, reached_at=settings.sms_reached_at),
                user=_needed(settings.sms_user, "sms_user"),
                password=_secret(settings),
                sender=_needed(settings.sms_sender, "sms_sender"),
                report_address=_report_address(settings, private_key),
                clock=clock,
            )
        case SmsGatewayKind.JSON:
            return JsonGateway(
                gateway_endpoint(settings.sms_url, reached_at=settings.sms_reached_at),
                key=_key(settings),
                sender=settings.sms_sender,
                report_address=_report_address(settings, private_key),
                clock=clock,
            )


def probe_gateway(settings: Settings) -> str:
    """Ask the gateway whether it is there, and an SMS centre whether it knows us.

    Raises:
        SettingsInvalid: something of it is missing or wrong.
        NotAnswered: it does not answer, or not to us.
        EndpointRefused: its name has an address that is not public.
    """
    match settings.sms:
        case SmsGatewayKind.OFF:
            return "no gateway: no text is sent, and operators confirm phones"
        case SmsGatewayKind.CONSOLE:
            return "texts are shown on the worker's terminal"
        case SmsGatewayKind.SMPP:
            return asyncio.run(_probe_smpp(settings))
        case SmsGatewayKind.KANNEL | SmsGatewayKind.JSON:
            return asyncio.run(_probe_http(settings))


# --- parts ------------------------------------------------------------------------


def _smpp_address(settings: Settings) -> SmppAddress:
    if not 1 <= len(settings.sms_user) <= LONGEST_USER:
        raise SettingsInvalid(f"sms_user: SMPP wants 1 to {LONGEST_USER} characters")
    return smpp_address(settings.sms_url, reached_at=settings.sms_reached_at)


def _smpp_password(settings: Settings) -> str:
    password = _secret(settings)
    if len(password) > LONGEST_PASSWORD:
        raise SettingsInvalid(f"sms_secret_file: SMPP has passwords of {LONGEST_PASSWORD} at most")
    return password


def _key(settings: Settings) -> bytes:
    """Read a key in the form of Standard Webhooks."""
    prefix, _, encoded = _secret(settings).rpartition(KEY_PREFIX)
    try:
        key = b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise SettingsInvalid(f"sms_secret_file is not {KEY_PREFIX} and base64") from error
    if prefix or len(key) < SHORTEST_KEY:
        raise SettingsInvalid(f"sms_secret_file holds less than {SHORTEST_KEY} bytes")
    return key


def _secret(settings: Settings) -> str:
    path = settings.sms_secret_file
    if path is None:
        raise SettingsInvalid(f"CELLKEY_SMS_GATEWAY={settings.sms} needs CELLKEY_SMS_SECRET_FILE")
    secret = _read(path).strip()
    if not secret or len(secret) > LONGEST_SECRET or not secret.isascii():
        raise SettingsInvalid(f"{path} holds no secret of ASCII characters")
    return secret


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"sms_secret_file: {path} cannot be read") from error


def _needed(value: str, name: str) -> str:
    if not value:
        raise SettingsInvalid(f"the SMS gateway needs {name}")
    return value


def _report_address(settings: Settings, private_key: ec.EllipticCurvePrivateKey) -> ReportAddress:
    keys, base = SmsKeys(private_key), settings.authorization_server_url.rstrip("/")
    return lambda message, part: f"{base}{REPORTS_PATH}{keys.report_token(message, part)}"


def make_report_taker(sessions: Sessions, clock: Clock) -> TakeReport:
    """Give what writes down the reports of an SMS centre, in a thread and a commit of its own."""

    def write(report: PartReport, part: tuple[UUID, int] | None) -> bool:
        with sessions() as session:
            if part is not None:
                return take_report_of_part(session, *part, report.report, now=clock())
            return take_report_by_reference(session, report.reference, report.report, now=clock())

    async def take(report: PartReport, *, part: tuple[UUID, int] | None) -> bool:
        return await asyncio.to_thread(write, report, part)

    return take


# --- probing ----------------------------------------------------------------------


async def _probe_smpp(settings: Settings) -> str:
    address = _smpp_address(settings)
    session = SmppSession(await connect(address), take_report=_take_nothing)
    try:
        if not _is_readable(settings.sms_secret_file):
            return f"answers at {settings.sms_url}; only who reads the secret can sign in"
        await session.sign_in(user=settings.sms_user, password=_smpp_password(settings))
        return f"lets us in at {settings.sms_url}"
    finally:
        session.close()


async def _probe_http(settings: Settings) -> str:
    endpoint = gateway_endpoint(settings.sms_url, reached_at=settings.sms_reached_at)
    async with GuardedSession(endpoint) as session:
        await session.request("GET", endpoint, headers={})
    return f"answers at {settings.sms_url}"


async def _take_nothing(_report: PartReport) -> bool:
    return False


def _is_readable(path: Path | None) -> bool:
    try:
        return path is not None and bool(path.read_bytes())
    except OSError:
        return False
