"""One frozen object, read once from ``CELLKEY_*``; nothing else reads the environment.

No secret has a default and no switch turns a check off. Secrets are files, so that they stand in no
process list and no crash report. An unknown ``CELLKEY_`` name is refused: it is a typing error.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec

from backend.errors import NotFound, SettingsInvalid
from backend.time_zones import time_zone
from backend.web_addresses import check_address

PREFIX = "CELLKEY_"
LISTS = {
    "sam_peers",
    "push_hosts",
    "trusted_proxies",
    "sms_prefixes",
    "webhook_pins",
    "code_amounts",
}
"""Settings that are JSON lists."""
_AMOUNT = re.compile(r"[A-Z]{3} (0|[1-9][0-9]{0,14})(\.[0-9]{1,4})?")


class Environment(StrEnum):
    """Where the installation stands. Production refuses software cells and virtual phones."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class HsmKind(StrEnum):
    """Where keys live."""

    SOFTWARE = "software"
    PKCS11 = "pkcs11"


LEAST_CONTRAST = 4.5
"""WCAG 2.2, 1.4.3."""


class SmsGatewayKind(StrEnum):
    """How text messages leave."""

    OFF = "off"
    """They do not."""
    CONSOLE = "console"
    """They are written to the worker's terminal, where whoever looks reads codes."""
    SMPP = "smpp"
    KANNEL = "kannel"
    JSON = "json"


Seconds = Annotated[int, msgspec.Meta(ge=1)]
Parts = Annotated[int, msgspec.Meta(ge=3, le=10_000_000)]
"""Parts of texts: they are what is paid for. One text may have three."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything an administrator chooses. Each name is ``CELLKEY_`` and the field in capitals."""

    environment: Environment = Environment.DEVELOPMENT
    data_dir: Path = Path("var")
    """Folder of the embedded default: database, software keys, worker's keys."""
    database_url: str = ""
    """SQLAlchemy URL; empty means SQLite in ``data_dir``. Production: ``postgresql+psycopg://…``."""

    ca_name: str = "Cellkey Demo CA"
    """Name of the certification authority, as signers read it."""
    region: Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")] = "RU"
    """Where it serves: ISO 3166-1 alpha-2, as CSC's ``info`` tells it."""
    time_zone: str = "Europe/Moscow"
    """By whose clock signers read moments, unless they are registered with another (IANA name)."""

    authorization_server_url: str = "http://127.0.0.1:8600"
    mobile_api_url: str = "http://127.0.0.1:8601"
    wait_url: str = ""
    """Public address of ``cellkey wait``; empty where there is none. Needs PostgreSQL."""
    app_url: str = "http://localhost:8602"
    """Origin of the phone app; the only origin that CORS admits and WebAuthn accepts."""
    rp_id: str = "localhost"
    """WebAuthn relying party id: the app's domain."""
    app_color: Annotated[str, msgspec.Meta(pattern="^#[0-9a-f]{6}$")] = "#1e4078"
    """Colour of the authority in the phone app and in its icon: ``#rrggbb``, dark enough for white
    letters."""
    app_logo_file: Path | None = None
    """The authority's own icon of the phone app: PNG, 512 by 512, at most 48 KiB, its picture in
    the middle four fifths. Without it the app draws a cell in ``app_color``."""
    app_software_unlock: bool = False
    """Whether a phone whose passkey has no PRF may pair all the same; the app says so there."""

    app_desktop: bool = True
    """Whether the app in a computer's browser may pair and approve, for cells made from now on."""

    client_certificate_header: str = ""
    """Header in which the proxy passes a relying party's TLS certificate; empty: no mutual TLS."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses (JSON list) of the proxies whose word on that header is taken."""

    sam_socket: Path | None = None
    """Unix socket of ``cellkey sam``; without it the SAM lives in the process that needs it."""
    sam_peers: tuple[int, ...] = ()
    """User ids (JSON list) that the SAM admits, beside its own."""

    hsm: HsmKind = HsmKind.SOFTWARE
    pkcs11_module: Path | None = None
    pkcs11_token: str = "cellkey"  # noqa: S105  # a token's label, not a secret
    pkcs11_pin_file: Path | None = None

    worker_key_file: Path | None = None
    """Private key that opens sealed SMS texts; only the worker reads it. Default: ``data_dir``."""
    worker_public_key_file: Path | None = None
    """Its public half (JWK), to which the SAM seals. Default: in ``data_dir``."""
    vapid_key_file: Path | None = None
    """VAPID key (PEM). Changing it ends every push subscription. Default: in ``data_dir``."""
    vapid_subject: str = "mailto:admin@example.org"
    push_hosts: tuple[str, ...] = (
        "fcm.googleapis.com",
        "*.push.services.mozilla.com",
        "*.push.apple.com",
        "*.notify.windows.com",
    )
    """JSON list of hosts that push endpoints may name; ``host=ADDRESS:PORT;CAFILE`` pins one."""
    webhook_pins: tuple[str, ...] = ()
    """JSON list, ``host=ADDRESS:PORT;CAFILE``: webhooks' hosts that are of our own network."""

    sms_gateway: SmsGatewayKind | None = None
    """Empty: the console in development, off in production."""
    sms_url: str = ""
    """The gateway's address: ``smpp://``, ``smpps://``, ``https://``, or ``http://`` on this
    machine."""
    sms_reached_at: str = ""
    """``ADDRESS:PORT;CAFILE``: the one address, and the one CA, of a gateway of our own network."""
    sms_user: Annotated[str, msgspec.Meta(pattern="^[!-~]{0,63}$")] = ""
    """Who we are to the gateway: ``system_id`` of SMPP, ``username`` of Kannel."""
    sms_secret_file: Path | None = None
    """Password of SMPP and Kannel, key of the signed JSON."""
    sms_sender: Annotated[
        str, msgspec.Meta(pattern=r"^([A-Za-z0-9 .&_-]{1,11}|\+?[0-9]{1,15})?$")
    ] = ""
    """From whom a text comes: a name of 11 characters, or a number."""
    sms_prefixes: tuple[Annotated[str, msgspec.Meta(pattern=r"^\+[1-9][0-9]{0,8}$")], ...] = (
        "+79",
    )
    """JSON list of how numbers begin that texts are sent to; to others none is (T-14)."""
    # Budgets of texts in a day, by UTC (T-14). None can be switched off.
    sms_parts_per_number: Parts = 45
    sms_parts_per_neighbourhood: Parts = 300
    """Numbers that differ in their last four digits alone."""
    sms_parts_per_relying_party: Parts = 3_000
    """Also for the codes of pairings, which no relying party asks for."""
    sms_parts_per_day: Parts = 10_000
    """Of the whole installation."""

    transaction_seconds: Seconds = 300
    """How long a signer may take to approve; the relying party may not prolong it."""
    use_seconds: Annotated[int, msgspec.Meta(ge=1, le=600)] = 300
    """How long after that an approval may be redeemed."""
    first_approval_seconds: Annotated[int, msgspec.Meta(ge=60, le=86_400)] = 86_400
    implicit_wait_seconds: Annotated[int, msgspec.Meta(ge=1, le=300)] = 55
    """How long a v1 ``credentials/authorize`` blocks for the phone."""
    long_poll_seconds: Annotated[int, msgspec.Meta(ge=1, le=60)] = 25
    envelope_hours: Annotated[int, msgspec.Meta(ge=1, le=168)] = 72
    multisign: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 10_000
    """Most hashes that one approval may cover, of cells made from now on."""
    code_amounts: tuple[str, ...] = ("RUB 15000.00",)
    """JSON list: the most money of each currency that a code may approve (R-126), of cells that are
    made, or loosened, from now on. A currency that is not named is approved on a phone alone."""
    sms_delay_seconds: Annotated[int, msgspec.Meta(ge=0, le=3600)] = 60
    """How long a paired phone is asked alone before an SMS is sent (T-24), of those cells."""

    # Limits slow down who begins something (T-01, T-21, T-22, T-39). None can be switched off.
    pending_per_signer: Annotated[int, msgspec.Meta(ge=1, le=20)] = 5
    """Unanswered requests of one relying party to one signer."""
    requests_per_minute: Annotated[int, msgspec.Meta(ge=1, le=600_000)] = 15_000
    """Requests of one relying party to all signers together."""
    pushes_per_ten_minutes: Annotated[int, msgspec.Meta(ge=1, le=60)] = 3
    """Pushes to one signer for one relying party that lead to no approval."""
    calls_per_minute: Annotated[int, msgspec.Meta(ge=60, le=6_000_000)] = 60_000
    """Calls of one relying party; and of one address without a token that one process answers."""
    tokens_per_minute: Annotated[int, msgspec.Meta(ge=1, le=6_000)] = 60
    """Access tokens for one relying party."""
    authorizations_per_minute: Annotated[int, msgspec.Meta(ge=6, le=60_000)] = 300
    """Authorisations that one process opens for browsers of one address."""
    phone_calls_per_minute: Annotated[int, msgspec.Meta(ge=30, le=60_000)] = 300
    """Calls of one phone that one process answers."""
    failures_per_minute: Annotated[int, msgspec.Meta(ge=1, le=6_000)] = 60
    """False secrets, passwords, proofs and tickets from one address that one process looks at."""
    proxies: Annotated[int, msgspec.Meta(ge=0, le=5)] = 0
    """Proxies before us that add the caller's address to ``X-Forwarded-For``."""

    @property
    def sms(self) -> SmsGatewayKind:
        """How text messages leave, here."""
        if self.sms_gateway is not None:
            return self.sms_gateway
        is_production = self.environment is Environment.PRODUCTION
        return SmsGatewayKind.OFF if is_production else SmsGatewayKind.CONSOLE

    @property
    def sends_sms(self) -> bool:
        """Tell whether texts can be sent at all; where not, nobody is offered one."""
        return self.sms is not SmsGatewayKind.OFF

    @property
    def database(self) -> str:
        """The database's URL."""
        return self.database_url or f"sqlite:///{(self.data_dir / 'cellkey.sqlite3').absolute()}"

    @property
    def public_keys_path(self) -> Path:
        """Public half of the SAM's keys (``ks``, ``ka``, ``keys``); by ``cellkey hsm init``."""
        return self.data_dir / "public-keys.json"

    @property
    def root_certificate_path(self) -> Path:
        """The authority's root certificate, PEM, written by ``cellkey hsm init``."""
        return self.data_dir / "root.pem"

    @property
    def software_vault_path(self) -> Path:
        """Folder of the software vault's keys."""
        return self.data_dir / "software-vault"

    @property
    def worker_key_path(self) -> Path:
        """Where the worker's private key lies."""
        return self.worker_key_file or self.data_dir / "worker.key"

    @property
    def worker_public_key_path(self) -> Path:
        """Where the worker's public key lies."""
        return self.worker_public_key_file or self.data_dir / "worker.pub.json"

    @property
    def vapid_key_path(self) -> Path:
        """Where the VAPID key lies."""
        return self.vapid_key_file or self.data_dir / "vapid.pem"


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read and check the settings.

    Raises:
        SettingsInvalid: a name is unknown, a value does not fit, or two contradict each other.
    """
    given = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environ.items()
        if name.startswith(PREFIX)
    }
    lists = LISTS & given.keys()
    try:
        values: dict[str, object] = {
            name: msgspec.json.decode(value) if name in lists else value
            for name, value in given.items()
        }
        settings = msgspec.convert(values, type=Settings, strict=False, dec_hook=_decode)
    except msgspec.MsgspecError as error:
        raise SettingsInvalid(f"settings: {error}") from error
    _check(settings)
    return settings


def contrast_with_white(color: str) -> float:
    """How well white letters are read on ``#rrggbb``: 1 to 21 (WCAG 2.2, contrast ratio)."""
    red, green, blue = (_linear(part / 255) for part in bytes.fromhex(color.removeprefix("#")))
    return 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)


def _linear(channel: float) -> float:
    """A channel of sRGB without its gamma."""
    steep = 0.04045
    return channel / 12.92 if channel <= steep else ((channel + 0.055) / 1.055) ** 2.4


def _decode(_kind: type[object], value: object) -> Path:
    """Read a path: the only type here that msgspec does not know."""
    return Path(str(value))


def _check(settings: Settings) -> None:
    """Check what no single value can tell."""
    has_token = settings.pkcs11_module and settings.pkcs11_pin_file
    opens_token = settings.hsm is HsmKind.PKCS11 and settings.sam_socket is None
    if opens_token and not has_token:
        raise SettingsInvalid(
            "CELLKEY_HSM=pkcs11 needs CELLKEY_PKCS11_MODULE and CELLKEY_PKCS11_PIN_FILE"
        )
    if settings.environment is Environment.PRODUCTION:
        _check_production(settings)
    try:
        time_zone(settings.time_zone)
    except NotFound as error:
        raise SettingsInvalid(f"{PREFIX}TIME_ZONE is none that the IANA names") from error
    _check_amounts(settings.code_amounts)
    if bool(settings.client_certificate_header) != bool(settings.trusted_proxies):
        raise SettingsInvalid(
            "CELLKEY_CLIENT_CERTIFICATE_HEADER and CELLKEY_TRUSTED_PROXIES go together"
        )
    if contrast_with_white(settings.app_color) < LEAST_CONTRAST:
        raise SettingsInvalid(f"{PREFIX}APP_COLOR is too light: white letters on it are not read")
    for name in ("authorization_server_url", "mobile_api_url", "app_url"):
        check_address(PREFIX + name.upper(), getattr(settings, name))
    if settings.wait_url:
        check_address("CELLKEY_WAIT_URL", settings.wait_url)
        if settings.database.startswith("sqlite"):
            raise SettingsInvalid("CELLKEY_WAIT_URL needs PostgreSQL: SQLite tells no changes")


def _check_production(settings: Settings) -> None:
    if settings.hsm is HsmKind.SOFTWARE:
        raise SettingsInvalid(
            "production needs CELLKEY_HSM=pkcs11: software cells keep keys in memory and files"
        )
    if settings.sms is SmsGatewayKind.CONSOLE:
        raise SettingsInvalid("production shows no texts on a console: CELLKEY_SMS_GATEWAY")


def _check_amounts(amounts: tuple[str, ...]) -> None:
    if not all(_AMOUNT.fullmatch(amount) for amount in amounts):
        raise SettingsInvalid(f'{PREFIX}CODE_AMOUNTS is a list as ["RUB 15000.00"]')
