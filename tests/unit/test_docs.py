"""What the documentation says is there: pages, commands, settings, tests, modules, libraries."""

import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import pytest

from backend.cli.main import main
from backend.settings import PREFIX, Settings

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
COMMAND = re.compile(r"(?:^|[\s/])cellkey((?: [^\n|;&()`]*)?)")
TEST = re.compile(r"test_[a-z0-9_]+")
FILE = re.compile(r"(?:backend|mobile_api|migrations|tests|docs)/[\w./-]+")
OPTION = re.compile(r"--[a-z-]+")


def pages() -> list[Path]:
    """Every page that is kept in the repository, or is about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).exists()]


PAGES = [pytest.param(page, id=str(page.relative_to(ROOT))) for page in pages()]
every_page = pytest.mark.parametrize("page", PAGES)


def code_in(text: str) -> Iterator[str]:
    """Everything in a page that is code: blocks, with their lines joined, and words."""
    for block in FENCE.findall(text):
        yield block.replace("\\\n", " ")
    yield from CODE.findall(FENCE.sub("", text))


def anchors_of(page: Path) -> set[str]:
    """The anchors of a page's headings, as hosts make them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {text.replace(" ", "-") for text in plain}


def rows_of(page: Path, *, first: str) -> Iterator[list[str]]:
    """Rows of the table whose head begins with ``first``; their cells."""
    lines = iter(page.read_text().splitlines())
    for line in lines:
        if line.startswith(f"| {first} |"):
            break
    next(lines)
    for line in lines:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in line[1:-1].split("|")]


@every_page
def test_a_link_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(FENCE.sub("", page.read_text())):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        assert there.exists(), target
        assert not anchor or anchor in anchors_of(there), target


@every_page
def test_a_file_that_is_named_is_there(page: Path) -> None:
    for code in code_in(page.read_text()):
        for name in FILE.findall(code):
            assert (ROOT / name).exists(), name


def test_a_test_that_is_named_is_there() -> None:
    """But for CONTRIBUTING.md, which only shows what a name looks like."""
    known = known_tests()
    for page in pages():
        if page.name != "CONTRIBUTING.md":
            named = {name for code in code_in(page.read_text()) for name in TEST.findall(code)}
            assert named <= known, (page.name, named - known)


def known_tests() -> set[str]:
    """Names of test functions, and of files of tests."""
    files = list((ROOT / "tests").rglob("test_*.py"))
    functions = re.compile(r"def (test_\w+)\(")
    names = {name for file in files for name in functions.findall(file.read_text())}
    return names | {file.stem for file in files}


@every_page
def test_a_command_that_is_named_is_one(page: Path) -> None:
    for code in code_in(page.read_text()):
        for words in COMMAND.findall(code):
            check_command(words)


def check_command(words: str) -> None:
    """Follow the words down the groups; the options must be those of where it ends."""
    command: click.Command = main
    context = click.Context(main)
    parts = shlex.split(words, comments=True)
    while isinstance(command, click.Group) and parts and re.fullmatch(r"[a-z-]+", parts[0]):
        if parts[0].startswith("-"):
            break
        found = command.get_command(context, parts.pop(0))
        assert found is not None, f"cellkey{words}"
        command = found
    options = [(*option.opts, *option.secondary_opts) for option in command.params]
    known = {name for names in options for name in names} | {"--help"}
    assert {part for part in parts if OPTION.fullmatch(part)} <= known, f"cellkey{words}"


def test_every_setting_is_documented_with_its_default() -> None:
    rows = rows_of(DOCS / "deployment.md", first="setting")
    documented = {row[0].strip("`"): row[1].strip("`") for row in rows}
    assert documented == {
        f"{PREFIX}{field.name.upper()}": written(field.default)
        for field in msgspec.structs.fields(Settings)
    }


def written(default: object) -> str:
    if default is None:
        return ""
    if isinstance(default, tuple):
        return msgspec.json.encode(default).decode()
    return str(default)


def test_every_setting_that_is_named_is_one() -> None:
    known = {f"{PREFIX}{field.name.upper()}" for field in msgspec.structs.fields(Settings)}
    for page in pages():
        named = set(re.findall(rf"{PREFIX}[A-Z0-9_]+", page.read_text()))
        assert named <= known, page.name


def test_who_may_import_what_is_told_as_the_contracts_have_it() -> None:
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    allowed = {
        module.removeprefix("backend."): {
            importer.removeprefix("backend.") for importer in contract["allowed_importers"]
        }
        - {"sam"}
        for contract in contracts
        if contract["type"] == "protected"
        for module in contract["protected_modules"]
    }
    rows = rows_of(DOCS / "architecture.md", first="module")
    assert {row[0].strip("`"): set(CODE.findall(row[1])) for row in rows} == allowed


def test_every_library_has_its_reason() -> None:
    needed = {re.split(r"[\[>=<]", each)[0] for each in PROJECT["project"]["dependencies"]}
    page = DOCS / "decisions/0002-libraries.md"
    rows = rows_of(page, first="library")
    assert {row[0].strip("`") for row in rows} == needed


def test_every_page_and_decision_is_listed() -> None:
    listed = {
        (DOCS / target).resolve() for target in LINK.findall((DOCS / "README.md").read_text())
    }
    missing = {page for page in DOCS.rglob("*.md") if page.resolve() not in listed}
    assert missing == {DOCS / "README.md"}


def test_a_line_of_the_log_that_somebody_should_read_is_written_somewhere() -> None:
    code = "".join(file.read_text() for file in (ROOT / "backend").rglob("*.py"))
    for row in rows_of(DOCS / "deployment.md", first="message"):
        assert row[0].strip("`") in code
