"""The page that says of each requirement which test shows it, or why none does."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from tests.conformance.ids import Requirement, Test

PAGE: Final = Path(__file__).resolve().parents[2] / "docs/csc-conformance.md"
HEAD: Final = """\
# CSC API: what is kept, and which test shows it

Written by `python -m tests.conformance` from the tests' names and
`tests/conformance/requirements.toml`; do not edit it. A requirement with neither a test nor a
reason fails the build.

The numbers are ours. They stand for what a client can notice of CSC API 1.0.4 and 2.0 to 2.2, and
of ETSI TS 119 432. [relying-party.md](relying-party.md) says how to call,
[decision 22](decisions/0022-what-csc-leaves-open.md) what we chose where the specification is open.
"""


def page(asked: Sequence[Requirement], tested: Mapping[int, Sequence[Test]]) -> str:
    """Write it."""
    without = [each for each in asked if each.reason]
    counted = (
        f"{len(asked) - len(without)} of {len(asked)} requirements have tests; "
        f"{len(without)} have a reason instead.\n"
    )
    sections = (
        _section(name, list(members), tested)
        for name, members in groupby(asked, lambda each: each.section)
    )
    return "\n".join([HEAD, counted, *sections])


def _section(name: str, asked: Sequence[Requirement], tested: Mapping[int, Sequence[Test]]) -> str:
    lines = [f"## {name}", "", "| id | asks | shown by |", "|---|---|---|"]
    for each in asked:
        shown = "<br>".join(_shown(each, tested.get(each.id, ())))
        lines.append(f"| {each.name} | {each.says} | {shown} |")
    return "\n".join([*lines, ""])


def _shown(each: Requirement, tests: Sequence[Test]) -> Iterator[str]:
    if each.reason:
        yield f"*no test:* {each.reason}"
    for test in tests:
        yield f"[`{test.name}`](../tests/{test.file})"
    if each.note:
        yield f"*note:* {each.note}"
