"""`cellkey phone pair`: ask for what the envelope and the signer's head hold, then pair.

Rules: passwords and codes come from files or prompts, never from the command's arguments; prompts
go to standard error. The recovery code is printed once, after its lock has arrived.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict, TypeVar, Unpack

import click

from backend.cli.context import answer, json_option
from backend.virtual_phone.answers import BROWSERS, PhoneKind
from backend.virtual_phone.encoding import secret_of
from backend.virtual_phone.errors import ServerRefused
from backend.virtual_phone.invitation import Addresses, Envelope, read_addresses, read_envelope
from backend.virtual_phone.pairing import Applicant
from backend.virtual_phone.phone import OPERATOR_ROUNDS, VirtualPhone

Command = TypeVar("Command", bound=Callable[..., Any])

EXISTING_FILE = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)


def _opened(_context: click.Context, _option: click.Parameter, state: Path) -> VirtualPhone:
    return VirtualPhone(state)


phone_option = click.option(
    "--state",
    "phone_",
    type=click.Path(dir_okay=False, path_type=Path),
    default=lambda: Path.home() / ".cellkey" / "phone.json",
    show_default="~/.cellkey/phone.json",
    callback=_opened,
    help="File that is this phone; several phones are several files.",
)
"""Gives a command the parameter ``phone_``."""


kind_option = click.option(
    "--kind",
    type=click.Choice(["virtual", "pwa", "desktop"]),
    default="virtual",
    help="A native phone's keys alone, or a phone's or computer's browser with a software passkey.",
)
_ADDRESSES = (
    click.option("--qr1", help="Text of the envelope's first QR code."),
    click.option("--as", "authorization_server", help="Authorisation server, instead of --qr1."),
    click.option("--api", help="Mobile API, instead of --qr1."),
    click.option("--app", default="", help="Address of the app, for a browser without --qr1."),
)


def addresses_options(command: Command) -> Command:
    """Give a command the options that :func:`addresses_of` reads."""
    for option in reversed(_ADDRESSES):
        command = option(command)
    return command


class PairOptions(TypedDict):
    """Options of ``pair``."""

    phone_: VirtualPhone
    kind: PhoneKind
    qr1: str | None
    authorization_server: str | None
    api: str | None
    app: str
    qr2: str | None
    login: str | None
    password_file: Path | None
    new_password_file: Path | None
    code_file: Path | None
    recovery_code_file: Path | None
    as_json: bool


@click.command()
@phone_option
@kind_option
@addresses_options
@click.option("--qr2", help="Text of the envelope's second QR code, or its 26 characters.")
@click.option("--login", help="Login from the envelope.")
@click.option("--password-file", type=EXISTING_FILE, help="First password; - is standard input.")
@click.option("--new-password-file", type=EXISTING_FILE, help="The password to have from now on.")
@click.option("--code-file", type=EXISTING_FILE, help="Code from the SMS.")
@click.option(
    "--recovery-code-file",
    type=EXISTING_FILE,
    help="For a cell that exists: its recovery code; an empty file means: by the password.",
)
@json_option
def pair(**options: Unpack[PairOptions]) -> None:
    """Pair this phone with the cell of an envelope.

    Where a step fails, call it again with the same envelope and passwords.
    """
    virtual, as_json = options["phone_"], options["as_json"]
    applicant = _applicant(options)
    progress = virtual.pair_start(applicant, kind=options["kind"])
    answer(
        {"event": "enrolled", "twelve": progress.twelve, "confirmation": progress.confirmation},
        f"This phone is {progress.twelve}",
        as_json=as_json,
    )
    if not progress.confirmed and not _confirmed(
        virtual,
        needs_code="sms" in progress.confirmation,
        operator="operator" in progress.confirmation,
        code_file=options["code_file"],
        password=applicant.new_password or applicant.password,
    ):
        raise click.ClickException("nobody confirmed the pairing in time; start it again")
    code = virtual.recovery_code() or virtual.new_recovery_code()
    device = virtual.device()
    answer(
        {
            "event": "paired",
            "kid": virtual.kid(),
            "cell": device.cell,
            "recovery_code": code,
        },
        f"Paired.\nRecovery code, shown this once; keep it in a safe: {code}",
        as_json=as_json,
    )


def _applicant(options: PairOptions) -> Applicant:
    """Ask for what the options do not give."""
    addresses = addresses_of(
        options["qr1"],
        options["authorization_server"],
        options["api"],
        options["app"],
        kind=options["kind"],
    )
    envelope = _envelope(options["qr2"])
    recovery_code = None
    if envelope.ks_thumbprint is not None:
        recovery_code = _recovery_code(options["recovery_code_file"])
    password_file = options["password_file"]
    return Applicant(
        addresses=addresses,
        envelope=envelope,
        login=options["login"] or click.prompt("Login", err=True),
        password=_secret(password_file) or click.prompt("Password", hide_input=True, err=True),
        new_password=_new_password(options["new_password_file"], asked=password_file is None),
        recovery_code=recovery_code,
    )


def addresses_of(
    qr1: str | None, authorization_server: str | None, api: str | None, app: str, *, kind: PhoneKind
) -> Addresses:
    """Read where the servers are.

    Raises:
        click.UsageError: it is not said.
    """
    if qr1 is not None:
        addresses = read_addresses(qr1)
    elif authorization_server is None or api is None:
        raise click.UsageError("give --qr1, or both --as and --api")
    else:
        addresses = Addresses(
            authorization_server=authorization_server.rstrip("/"),
            mobile_api=api.rstrip("/"),
            app=app,
        )
    if kind in BROWSERS and not addresses.app:
        raise click.UsageError(
            f"--kind {kind} needs --qr1 or --app: a passkey belongs to an address"
        )
    return addresses


def _recovery_code(file: Path | None) -> bytes | None:
    """Ask for the recovery code of a cell that exists; ``None``: the password is to do it."""
    typed = _secret(file)
    if typed is None:
        typed = click.prompt(
            "Recovery code (empty if it is lost: then the password does it)",
            hide_input=True,
            default="",
            show_default=False,
            err=True,
        )
    return secret_of(typed) if typed else None


def _envelope(qr2: str | None) -> Envelope:
    text = qr2 or click.prompt("26 characters of the envelope", hide_input=True, err=True)
    return read_envelope(text)


def _new_password(file: Path | None, *, asked: bool) -> str | None:
    if file is not None or not asked:
        return _secret(file)
    typed: str = click.prompt(
        "New password (empty if it is changed already)",
        hide_input=True,
        confirmation_prompt=True,
        default="",
        show_default=False,
        err=True,
    )
    return typed or None


def _secret(file: Path | None) -> str | None:
    if file is None:
        return None
    text: str
    with click.open_file(str(file), encoding="utf-8") as stream:
        text = stream.read()
    return text.rstrip("\r\n")


def _confirmed(
    virtual: VirtualPhone,
    *,
    needs_code: bool,
    operator: bool,
    code_file: Path | None,
    password: str,
) -> bool:
    rounds = OPERATOR_ROUNDS if operator else 1
    if operator:
        click.echo("Read these characters to the operator, who confirms them.", err=True)
    if not needs_code:
        return virtual.pair_confirm(None, rounds=rounds)
    virtual.send_code()
    code = _secret(code_file)
    while True:
        typed = code or click.prompt("Code from the SMS", err=True)
        try:
            return virtual.pair_confirm(typed, password=password, rounds=rounds)
        except ServerRefused as error:
            if code is not None or not error.members.get("tries_left"):
                raise
        click.echo("This is not the code.", err=True)
