"""The package's own TOML files; the only thing that this room reads."""

import tomllib
from importlib.resources import files
from typing import TypeVar

import msgspec

Data = TypeVar("Data")


def read_toml(*path: str, kind: type[Data]) -> Data:
    """Read one of the package's files as what it must be.

    Raises:
        msgspec.ValidationError: the file is not of that form; nothing starts with it.
    """
    text = files("backend.summary").joinpath(*path).read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), kind, str_keys=True)


def toml_names(folder: str) -> tuple[str, ...]:
    """Name the TOML files of one of the package's folders, in alphabetical order."""
    found = files("backend.summary").joinpath(folder).iterdir()
    return tuple(sorted(file.name for file in found if file.name.endswith(".toml")))
