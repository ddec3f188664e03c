"""The phone app's files as a browser gets them."""

import json
import re
import shutil
import subprocess
import zlib
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from backend.errors import SettingsInvalid
from backend.settings import Settings
from mobile_api.authenticator import files
from mobile_api.authenticator.export import export, hashes
from mobile_api.authenticator.files import STATIC, colored, file_name, served_files

SETTINGS = Settings(ca_name='Тест <"УЦ">', app_color="#7a1420")
FIRST_LOAD = 120_000
SINKS = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|"
    r"createContextualFragment|srcdoc|setTimeout\([\"'`]"
)
ADDRESS = re.compile(r"https?://[^\s\"'`)]+")
OWN_SCRIPTS = [path for path in STATIC.rglob("*.js") if path.parent.name != "vendor"]


def test_every_file_but_the_list_itself_is_listed_with_its_hash() -> None:
    served = served_files(SETTINGS)
    listed = dict(line.split("  ")[::-1] for line in hashes(SETTINGS).splitlines())
    assert listed == {
        file_name(path): sha256(file.body).hexdigest()
        for path, file in served.items()
        if path != "/hashes.txt"
    }


def test_what_the_first_visit_transfers_is_at_most_120_kb() -> None:
    """The worker fetches all there is, but what only reads and draws QR codes."""
    served = served_files(SETTINGS)
    later = {"/vendor/qr.js", "/vendor/qr-decode.js"}
    assert all(f'"{file_name(path)}"' in served["/sw.js"].body.decode() for path in later)
    first = [served[path] for path in served.keys() - later]
    assert sum(len(file.zipped or file.body) for file in first) <= FIRST_LOAD


@pytest.mark.parametrize("change", ["missing", "other"])
def test_nothing_is_served_with_another_library_than_the_lock_names(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "static"
    shutil.copytree(STATIC, copy)
    library = copy / "vendor" / "jose.js"
    if change == "missing":
        library.unlink()
    else:
        library.write_bytes(library.read_bytes() + b" ")
    monkeypatch.setattr(files, "STATIC", copy)
    with pytest.raises(SettingsInvalid, match="libraries"):
        served_files(SETTINGS)


def test_a_change_of_any_file_is_another_worker() -> None:
    """Else a browser would go on with the old files."""
    changed = msgspec.structs.replace(SETTINGS, mobile_api_url="https://other.example.org")
    workers = {served_files(settings)["/sw.js"].sha256 for settings in (SETTINGS, changed)}
    assert len(workers) == 2
    assert b"@version@" not in served_files(SETTINGS)["/sw.js"].body


def test_the_authority_s_name_is_text_in_the_page_and_in_the_manifest() -> None:
    served = served_files(SETTINGS)
    page = served["/"].body.decode()
    assert "<title>Тест &lt;&quot;УЦ&quot;&gt;</title>" in page
    assert '<"УЦ">' not in page
    assert json.loads(served["/manifest.webmanifest"].body)["name"] == SETTINGS.ca_name


def test_the_profile_says_where_the_service_is() -> None:
    settings = Settings(authorization_server_url="https://a.example.org/", app_software_unlock=True)
    assert json.loads(served_files(settings)["/profile.json"].body) == {
        "ca": "Cellkey Demo CA",
        "color": "#1e4078",
        "authorization_server": "https://a.example.org",
        "mobile_api": "http://127.0.0.1:8601",
        "wait": None,
        "rp_id": "localhost",
        "software_unlock": True,
    }


def test_the_icon_has_the_authority_s_colour_and_is_whole() -> None:
    png = served_files(SETTINGS)["/icons/icon-192.png"].body
    palette = png[png.index(b"PLTE") + 4 :][: 3 * 256]
    assert palette[-3:] == bytes.fromhex("7a1420")
    assert palette[:3] == b"\xff\xff\xff"
    at = 8
    while at < len(png):
        length = int.from_bytes(png[at : at + 4])
        chunk, crc = png[at + 4 : at + 8 + length], png[at + 8 + length : at + 12 + length]
        assert zlib.crc32(chunk).to_bytes(4) == crc
        at += 12 + length
    assert colored(png, ink=bytes.fromhex("7a1420")) == png


def test_the_authority_may_bring_its_own_icon(tmp_path: Path) -> None:
    logo = tmp_path / "logo.png"
    logo.write_bytes((STATIC / "icons" / "icon-512.png").read_bytes())
    served = served_files(msgspec.structs.replace(SETTINGS, app_logo_file=logo))
    assert {served[path].body for path in files.ICONS} == {logo.read_bytes()}


@pytest.mark.parametrize("fault", ["missing", "small", "long"])
def test_an_icon_that_is_none_is_refused(fault: str, tmp_path: Path) -> None:
    logo = tmp_path / "logo.png"
    if fault == "small":
        logo.write_bytes((STATIC / "icons" / "icon-192.png").read_bytes())
    if fault == "long":
        logo.write_bytes((STATIC / "icons" / "icon-512.png").read_bytes() + bytes(48 * 1024))
    with pytest.raises(SettingsInvalid, match="logo"):
        served_files(msgspec.structs.replace(SETTINGS, app_logo_file=logo))


def test_an_export_is_what_is_served(tmp_path: Path) -> None:
    folder = tmp_path / "app"
    beside = export(SETTINGS, folder)
    served = served_files(SETTINGS)
    for path, file in served.items():
        assert (folder / file_name(path)).read_bytes() == file.body
    subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", "hashes.txt"], cwd=folder, check=True
    )
    assert 'add_header Content-Security-Policy "default-src' in beside.read_text()


# --- what the scripts hold ----------------------------------------------------------


@pytest.mark.parametrize("script", OWN_SCRIPTS, ids=lambda path: str(path.relative_to(STATIC)))
def test_a_script_parses_no_markup_and_names_no_address(script: Path) -> None:
    """Data from outside becomes text alone; the addresses come from the profile."""
    text = script.read_text("utf-8")
    assert not SINKS.findall(text)
    assert set(ADDRESS.findall(text)) <= {"http://www.w3.org/2000/svg"}


def test_both_languages_have_the_same_words_with_the_same_places() -> None:
    ru, en = (json.loads((STATIC / "words" / f"{lang}.json").read_text()) for lang in ("ru", "en"))
    assert ru.keys() == en.keys()
    for name in ru:
        assert places(ru[name]) == places(en[name]), name


def places(words: str | dict[str, str]) -> set[str]:
    forms = [words] if isinstance(words, str) else list(words.values())
    return {place for form in forms for place in re.findall(r"\{(\w+)\}", form)}


def test_every_word_that_a_script_wants_is_there_and_none_is_left_over() -> None:
    words = json.loads((STATIC / "words" / "en.json").read_text()).keys()
    text = "\n".join(script.read_text("utf-8") for script in OWN_SCRIPTS)
    wanted = set(re.findall(r'\bt\("([a-z0-9.-]+)"', text))
    wanted |= set(re.findall(r'(?:word|label|hint): "([a-z0-9.-]+)"', text))
    wanted |= set(re.findall(r'(?:CannotAnswer\(|, )"(error\.[a-z-]+)"', text))
    assert wanted <= words, wanted - words
    families = [f"{name}." for name in re.findall(r"\bt\(`([a-z-]+)\.\$", text)]
    mentioned = set(re.findall(r'"([a-z0-9.-]+)"', text))
    spare = {
        word
        for word in words
        if word not in mentioned and not word.startswith(("problem.", "state.", *families))
    }
    assert not spare
