"""``make mutants``: mutation testing of the protocol and of the SAM (docs/mutation-testing.md)."""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import click
import msgspec

from tests.mutation.run import PLAN, RESULTS, Result
from tests.mutation.score import identity, listed, report
from tests.mutation.tree import Mutant, make_tree

ROOT: Final = Path(__file__).resolve().parents[2]
TREE: Final = ROOT / "var/mutants"
KEPT: Final = ROOT / "var/mutants.jsonl"
TESTS: Final = ("tests/unit/protocol", "tests/unit/sam")
WITHOUT: Final = ("no:randomly", "no:xdist", "no:cacheprovider")
READS_THE_SOURCE: Final = "tests/unit/protocol/test_known_types.py"
"""It would find what mutmut writes beside each function."""
LONGEST_TEST_SECONDS: Final = 30


def main() -> bool:
    """Make the mutants, try them, compare the survivors with those that are listed."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--only", default="", help="a part of a file's path, as sam/door")
    parser.add_argument(
        "--again",
        action="store_true",
        help="try only what survived or hung the last time, or is of a function that changed since",
    )
    arguments = parser.parse_args()
    start = time.monotonic()
    made = make_tree(ROOT, TREE)
    before = _killed_before() if arguments.again else []
    asked = [mutant for mutant in made if arguments.only in mutant.file]
    known = {_tried(result.mutant) for result in before}
    try:
        _try_all([mutant for mutant in asked if _tried(mutant) not in known])
    finally:  # what is broken off goes on with --again
        results = _kept(asked, before)
    click.echo(f"{(time.monotonic() - start) / 60:.0f} minutes, {len(results)} mutants")
    return report(
        results, known=listed(ROOT / "docs/mutation-testing.md"), whole=not arguments.only
    )


def _try_all(plan: list[Mutant]) -> None:
    click.echo(f"{len(plan)} mutants")
    (TREE / PLAN).write_bytes(msgspec.json.encode(plan))
    options = [word for plugin in WITHOUT for word in ("-p", plugin)]
    options += [
        "-p",
        "tests.mutation.run",
        "--capture=no",
        "--tb=native",
        f"--timeout={LONGEST_TEST_SECONDS}",
        f"--deselect={READS_THE_SOURCE}",
    ]
    with (TREE / "log").open("wb") as log:
        subprocess.run(
            [sys.executable, "-m", "pytest", "--quiet", *options, *TESTS],
            cwd=TREE,
            stdout=log,
            stderr=subprocess.STDOUT,
            check=True,
        )


def _kept(asked: list[Mutant], before: list[Result]) -> list[Result]:
    """Keep what was tried now, and what was before and is still there."""
    there = {_tried(mutant) for mutant in asked}
    results = _read(TREE / RESULTS)
    results += [result for result in before if _tried(result.mutant) in there]
    KEPT.write_bytes(b"".join(msgspec.json.encode(result) + b"\n" for result in results))
    return results


def _killed_before() -> list[Result]:
    """What need not be tried again; what only time has noticed may have met a busy machine."""
    results = _read(KEPT)
    doubtful = {_tried(result.mutant) for result in results if result.hung or not result.is_killed}
    return [result for result in results if _tried(result.mutant) not in doubtful]


def _tried(mutant: Mutant) -> tuple[str, str, str, str]:
    """A mutant, of the function as it was then: another line of it may decide who notices."""
    return *identity(mutant), mutant.text


def _read(path: Path) -> list[Result]:
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [msgspec.json.decode(line, type=Result) for line in lines]


sys.exit(not main())
