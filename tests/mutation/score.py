"""The score of each module, and whether survivors are those that docs/mutation-testing.md lists."""

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import click

from tests.mutation.run import Result
from tests.mutation.tree import Mutant

DEMANDED_PERCENT: Final = 95
ROW: Final = re.compile(r"^\| `(backend/\S+\.py)` \| `(\S+)` \| `(.+?)` \| .", re.MULTILINE)

Listed = set[tuple[str, str, str]]


def listed(page: Path) -> Listed:
    """The survivors that a page gives a reason for: file, function, change."""
    return {
        (file, function, change.replace(r"\|", "|"))
        for file, function, change in ROW.findall(page.read_text())
    }


def identity(mutant: Mutant) -> tuple[str, str, str]:
    """What a mutant is known by: it outlives changes elsewhere in its file."""
    return mutant.file, mutant.function, mutant.change


def report(results: Iterable[Result], *, known: Listed, whole: bool) -> bool:
    """Print the score, and every survivor that is not listed, as a row for the page.

    Args:
        results: of the mutants that were tried.
        known: the survivors that are listed.
        whole: whether all mutants were tried, so that a row without its survivor is out of date.

    Returns:
        Whether the score is reached and every survivor listed.
    """
    by_file: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        by_file[result.mutant.file].append(result)
        by_file[f"{Path(result.mutant.file).parent}/"].append(result)
    click.echo(f"{'':42} mutants  killed  (hung)  survived   score")
    reached = [_print_score(name, of_file) for name, of_file in sorted(by_file.items())]
    survivors = {identity(result.mutant) for result in results if not result.is_killed}
    for file, function, change in sorted(survivors - known):
        click.echo(
            f"not listed: | `{file}` | `{function}` | `{change.replace('|', chr(92) + '|')}` | |"
        )
    if whole:
        for row in sorted(known - survivors):
            click.echo("listed, but it does not survive: " + " ".join(row))
    return all(reached) and survivors <= known


def _print_score(name: str, results: list[Result]) -> bool:
    """Print a line; whether a room reaches what is demanded. Of a file nothing is demanded."""
    killed = sum(result.is_killed for result in results)
    hung = sum(result.hung for result in results)
    score = 100 * killed / len(results)
    click.echo(
        f"{name:42} {len(results):7} {killed:7} {hung:7} {len(results) - killed:9} {score:6.1f} %"
    )
    return score >= DEMANDED_PERCENT or not name.endswith("/")
