"""Which test stands for which requirement: a test says it by its name, ``test_csc_28_34_…``."""

import ast
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

TESTS: Final = Path(__file__).resolve().parents[1]
REQUIREMENTS: Final = Path(__file__).with_name("requirements.toml")
LAST: Final = 140
_NUMBERS: Final = re.compile(r"test_csc((?:_\d+)+)_[a-z]")


class Requirement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of CSC-01 to CSC-140."""

    id: int
    section: str
    says: str
    reason: str = ""
    """Why no test has its id."""
    note: str = ""
    """What of it is not offered, beside what is tested."""

    @property
    def name(self) -> str:
        """As it is cited."""
        return f"CSC-{self.id:02}"


class Test(msgspec.Struct, frozen=True, kw_only=True):
    """A test that claims something of a requirement."""

    __test__ = False

    name: str
    file: str
    """Below ``tests``."""


def requirements() -> Sequence[Requirement]:
    """All of them, in their order."""
    loaded = tomllib.loads(REQUIREMENTS.read_text())
    return msgspec.convert(loaded["requirements"], list[Requirement])


def claims(folder: Path = TESTS) -> Mapping[int, Sequence[Test]]:
    """Every test function that is named by an id, by that id."""
    found = defaultdict(list)
    for path in sorted(folder.rglob("test_*.py")):
        for name in _functions(path):
            for number in numbers(name):
                test = Test(name=name, file=str(path.relative_to(folder)))
                found[number].append(test)
    return found


def numbers(name: str) -> Sequence[int]:
    """The ids in a test's name."""
    named = _NUMBERS.match(name)
    return [] if named is None else [int(number) for number in named[1].split("_")[1:]]


def _functions(path: Path) -> Iterator[str]:
    text = path.read_text()
    if "test_csc_" not in text:
        return
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name


def faults(asked: Sequence[Requirement], tested: Mapping[int, Sequence[Test]]) -> Iterator[str]:
    """Say of each id what is wrong with it: neither test nor reason, or both; or no such id."""
    if [each.id for each in asked] != list(range(1, LAST + 1)):
        yield f"requirements.toml: not CSC-01 to CSC-{LAST} in their order"
    for each in asked:
        if not tested.get(each.id) and not each.reason:
            yield f"{each.name}: neither a test nor a reason"
        if tested.get(each.id) and each.reason:
            yield f"{each.name}: there is a test, and a reason why there is none"
    for number in tested.keys() - {each.id for each in asked}:
        yield f"CSC-{number}: there is no such requirement"
