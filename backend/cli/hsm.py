"""`cellkey hsm`: make the keys of the HSM that the settings name, and look at it.

PINs come from files or are asked for; never from the command line, which every process can read.
What is there already, of other keys, is never written over.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import NamedTuple

import click
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from backend.cli.context import answer, json_option, settings_from_environment
from backend.errors import AlreadyThere, HsmNotReady, MalformedMessage, SettingsInvalid
from backend.hsm import files
from backend.hsm.authority_key import AuthorityKey
from backend.hsm.open import open_hsm, open_token, pkcs11_module, read_pin_file
from backend.hsm.pkcs11_provision import provision
from backend.hsm.protocol import Hsm, SigningServiceKey
from backend.hsm.root_certificate import make_root_certificate
from backend.hsm.software import SoftwareHsm
from backend.protocol.encoding import write_message
from backend.protocol.jose import PublicJwk
from backend.protocol.public_keys import PublicKeys, read_public_keys
from backend.settings import HsmKind, Settings

BACKUP = (
    "Back up KW, KS and KP of this HSM now. Without a backup of all three, every cell is lost when "
    "the HSM is lost: nobody can open a cell then, neither can we."
)

_pin_path = click.Path(exists=True, dir_okay=False, path_type=Path)


class _Pins(NamedTuple):
    """How the PINs are got, when they are needed."""

    security_officer: Callable[[], str]
    user: Callable[[], str]


@click.group()
def hsm() -> None:
    """Make the keys of an HSM ready, and look at it."""


@hsm.command()
@click.option("--so-pin-file", type=_pin_path, help="PIN of the security officer, for PKCS#11.")
@click.option("--pin-file", type=_pin_path, help="PIN of the user; default: the settings' file.")
@click.option("--if-missing", is_flag=True, help="Keep the keys where they are made already.")
@json_option
def init(
    *, so_pin_file: Path | None, pin_file: Path | None, if_missing: bool, as_json: bool
) -> None:
    """Make the service keys; write the public keys and the root certificate.

    A PIN that is in no file is asked for.
    """
    settings = settings_from_environment()
    pins = _Pins(
        security_officer=_pin("PIN of the security officer", so_pin_file),
        user=_pin("PIN of the user", pin_file or settings.pkcs11_pin_file),
    )
    made = _make_if_missing(settings, pins) if if_missing else _make(settings, pins)
    opened = _open(settings, pins)
    _keep_or_write_public_keys(settings.public_keys_path, opened)
    _keep_or_write_root_certificate(settings, opened)
    facts = {
        "made": made,
        "hsm": settings.hsm,
        "public_keys": str(settings.public_keys_path),
        "root_certificate": str(settings.root_certificate_path),
        "algorithms": sorted(opened.offered()),
        "backup": BACKUP,
    }
    text = [
        "The service keys are made." if made else "The service keys were made already.",
        f"Public keys: {settings.public_keys_path}",
        f"Root certificate: {settings.root_certificate_path}",
        f"Cells can have keys of {', '.join(sorted(opened.offered()))}.",
        BACKUP,
    ]
    answer(facts, "\n".join(text), as_json=as_json)


@hsm.command()
@json_option
def status(*, as_json: bool) -> None:
    """Say what the HSM is, after it has wrapped, opened and signed; exit code 1 if it cannot."""
    opened = open_hsm(settings_from_environment())
    facts = {
        **opened.health(),
        "hour_keys": str(len(opened.hours())),
        "algorithms": ", ".join(sorted(opened.offered())),
    }
    answer(facts, "\n".join(f"{name}: {fact}" for name, fact in facts.items()), as_json=as_json)


def _pin(prompt: str, file: Path | None) -> Callable[[], str]:
    if file is not None and file.exists():
        return lambda: read_pin_file(file)
    return cache(lambda: str(click.prompt(prompt, hide_input=True, err=True)))


def _open(settings: Settings, pins: _Pins) -> Hsm:
    if settings.hsm is HsmKind.SOFTWARE:
        return open_hsm(settings)
    return open_token(settings, read_pin=pins.user)


def _make(settings: Settings, pins: _Pins) -> bool:
    if settings.hsm is HsmKind.SOFTWARE:
        SoftwareHsm.initialise(settings.software_vault_path)
    else:
        provision(
            module=pkcs11_module(settings),
            token=settings.pkcs11_token,
            so_pin=pins.security_officer(),
            pin=pins.user(),
        )
    return True


def _make_if_missing(settings: Settings, pins: _Pins) -> bool:
    try:
        _open(settings, pins).public_key(SigningServiceKey.RECORDS)
    except HsmNotReady as not_ready:
        try:
            return _make(settings, pins)
        except AlreadyThere:
            raise not_ready from None
    return False


def _keep_or_write_public_keys(path: Path, opened: Hsm) -> None:
    ours = PublicKeys(
        ks=PublicJwk.of_spki(opened.public_key(SigningServiceKey.RECORDS)),
        ka=PublicJwk.of_spki(opened.public_key(SigningServiceKey.RECEIPTS)),
        keys=(),
    )
    if not path.exists():
        _write(path, write_message(ours))
        return
    try:
        there = read_public_keys(path.read_bytes())
    except MalformedMessage as error:
        raise _of_other_keys(path) from error
    if (there.ks, there.ka) != (ours.ks, ours.ka):
        raise _of_other_keys(path)


def _keep_or_write_root_certificate(settings: Settings, opened: Hsm) -> None:
    path = settings.root_certificate_path
    if not path.exists():
        now = datetime.now(UTC)
        root = make_root_certificate(opened, ca_name=settings.ca_name, now=now)
        _write(path, root.public_bytes(Encoding.PEM))
        return
    try:
        there = x509.load_pem_x509_certificate(path.read_bytes()).public_key()
    except ValueError as error:
        raise _of_other_keys(path) from error
    if there != AuthorityKey(opened).public_key():
        raise _of_other_keys(path)


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.replace(path, content)
    except OSError as error:
        raise SettingsInvalid(f"{path} cannot be written: {error.strerror}") from error


def _of_other_keys(path: Path) -> AlreadyThere:
    return AlreadyThere(
        f"{path} is not of this HSM's keys. Old signatures may still need it: keep it elsewhere, "
        "then run `cellkey hsm init --if-missing`"
    )
