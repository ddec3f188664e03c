"""HSMs of both kinds under one form, and what a test may do to them from outside."""

import secrets
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pkcs11 import Attribute

from backend.hsm.protocol import Hsm
from backend.hsm.software import SoftwareCellsWarning, SoftwareHsm
from backend.settings import Environment
from tests.world.softhsm import Token, softhsm


class Place(NamedTuple):
    """An HSM under test."""

    hsm: Hsm
    reopen: Callable[[], Hsm]
    """Opens the same HSM once more, as another process would."""
    another: Callable[[], Hsm]
    """Makes another HSM of this kind, with other keys."""
    contents: Callable[[], list[str]]
    """Names everything that the HSM holds now."""
    add_wrapping_key: Callable[[str], None]
    initialise: Callable[[], None]
    """Makes the service keys, as the first time."""


def software_place(folder: Path) -> Place:
    """A new software vault in a folder."""

    def make(path: Path) -> Hsm:
        SoftwareHsm.initialise(path)
        return open_vault(path)

    path = folder / "vault"
    return Place(
        hsm=make(path),
        reopen=lambda: open_vault(path),
        another=lambda: make(folder / secrets.token_hex(4)),
        contents=lambda: sorted(file.name for file in path.iterdir()),
        add_wrapping_key=lambda kw: write_key(path / f"{kw}.key"),
        initialise=lambda: SoftwareHsm.initialise(path),
    )


def pkcs11_place(token: Token) -> Place:
    """A token of SoftHSM."""

    def contents() -> list[str]:
        with token.attacker() as session:
            return sorted(
                f"{key[Attribute.CLASS]} {key[Attribute.LABEL]}" for key in session.get_objects()
            )

    return Place(
        hsm=token.hsm(),
        reopen=token.hsm,
        another=lambda: softhsm().new_token().hsm(),
        contents=contents,
        add_wrapping_key=token.add_wrapping_key,
        initialise=token.initialise,
    )


def open_vault(path: Path) -> SoftwareHsm:
    """Open a software vault; its warning is expected."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SoftwareCellsWarning)
        return SoftwareHsm(path, environment=Environment.DEVELOPMENT)


def write_key(path: Path) -> None:
    """Put a random AES-256 key into a vault."""
    path.write_bytes(secrets.token_bytes(32))
