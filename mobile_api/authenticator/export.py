"""Writes the phone app into a folder, for a web server that serves files itself."""

from pathlib import Path

from backend.settings import Settings
from mobile_api.authenticator.files import file_name, served_files
from mobile_api.authenticator.headers import headers


def export(settings: Settings, folder: Path) -> Path:
    """Write the files, each beside its ``.gz``; give the file of headers, next to the folder.

    Raises:
        SettingsInvalid: a library of the app is not what it must be.
        OSError: the folder cannot be written.
    """
    for path, file in served_files(settings).items():
        target = folder / file_name(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.body)
        if file.zipped:
            target.with_name(f"{target.name}.gz").write_bytes(file.zipped)
    lines = [f'add_header {name} "{value}" always;\n' for name, value in headers(settings).items()]
    beside = folder.with_name(f"{folder.name}-headers.conf")
    beside.write_text("".join(lines), "utf-8")
    return beside


def hashes(settings: Settings) -> str:
    """What ``/hashes.txt`` says.

    Raises:
        SettingsInvalid: a library of the app is not what it must be.
    """
    return served_files(settings)["/hashes.txt"].body.decode()
