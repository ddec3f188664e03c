"""Files that are whole or not there, whatever crashes.

A new file is written under another name, synced, and only then given its own; the folder is synced
last. :func:`create` never replaces what is there, :func:`replace` does.
"""

import os
import tempfile
from pathlib import Path

_BEING_WRITTEN = ".new-"
_BEING_ERASED = ".erased-"


def create(path: Path, content: bytes) -> None:
    """Make a secret file (mode 0600).

    Raises:
        FileExistsError: there is one already; it stays as it is.
    """
    written = _written_beside(path, content)
    try:
        # Like O_EXCL, link() refuses a name that exists; unlike it, the file is complete at once.
        path.hardlink_to(written)
    finally:
        written.unlink()
    _sync_folder(path.parent)


def replace(path: Path, content: bytes) -> None:
    """Make or replace a file that everybody may read (mode 0644)."""
    written = _written_beside(path, content)
    written.chmod(0o644)
    written.replace(path)
    _sync_folder(path.parent)


def erase(path: Path) -> None:
    """Overwrite a file with zeros and remove it; nothing happens if it is not there.

    It loses its name before its content: who has read it and still finds the name read it whole.
    """
    nameless = path.with_name(_BEING_ERASED + path.name)
    try:
        path.replace(nameless)
    except FileNotFoundError:
        return
    _overwrite_and_unlink(nameless)


def finish_erasing(folder: Path) -> None:
    """Erase what a crash left half erased."""
    for leftover in folder.glob(f"{_BEING_ERASED}*"):
        _overwrite_and_unlink(leftover)


def _overwrite_and_unlink(path: Path) -> None:
    try:
        with path.open("r+b") as file:
            file.write(bytes(path.stat().st_size))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
    except FileNotFoundError:
        return  # another process was faster
    _sync_folder(path.parent)


def _written_beside(path: Path, content: bytes) -> Path:
    descriptor, name = tempfile.mkstemp(prefix=_BEING_WRITTEN, dir=path.parent)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return Path(name)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
