"""A copy of the repository in which each function of two rooms stands beside its mutants.

mutmut makes the mutants, with three operators more than it has: a statement that only calls is left
out, so is a ``raise``, a condition is turned round. Two kinds are not made, because nobody could
notice them: other words in an error or in a log line, another case in a codec's name. mutmut
changes bodies of functions only, and of those neither ``__new__`` nor what is inside ``len`` and
``isinstance``: docs/mutation-testing.md says what that leaves out.
"""

import difflib
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import libcst as cst
import msgspec
from libcst.matchers import Attribute, Name, matches
from mutmut.mutation import file_mutation
from mutmut.mutation.mutators import mutation_operators
from mutmut.mutation.trampoline_templates import mangle_function_name

COPIED: Final = ("backend", "mobile_api", "migrations", "tests", "docs")
ROOMS: Final = ("backend/protocol", "backend/sam")
CODECS: Final = {"ascii", "utf-8"}


class Mutant(msgspec.Struct, frozen=True, kw_only=True):
    """One changed function.

    Attributes:
        name: mutmut's, with its module.
        trampoline: name of the function as it is recorded when it is called.
        file: path in the repository.
        function: with its class, as ``Door.release``.
        change: the lines before and after.
        text: SHA-256 of the function as it was before.
    """

    name: str
    trampoline: str
    file: str
    function: str
    change: str
    text: str


def make_tree(root: Path, tree: Path) -> list[Mutant]:
    """Copy the repository and mutate the rooms.

    Args:
        root: the repository.
        tree: where the copy is made; what is there is removed.
    """
    shutil.rmtree(tree, ignore_errors=True)
    for name in COPIED:
        shutil.copytree(root / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(root / "pyproject.toml", tree / "pyproject.toml")
    os.chdir(tree)  # mutmut reads its settings there
    mutation_operators.extend(
        [(cst.Expr, _without_call), (cst.Raise, _without_raise), (cst.If, _turned)]
    )
    mutants: list[Mutant] = []
    for room in ROOMS:
        for path in sorted(Path(room).glob("*.py")):
            mutants += _mutate(path)
    return mutants


def _mutate(path: Path) -> Iterator[Mutant]:
    source = path.read_text()
    module, mutations, *ignored = file_mutation.create_mutations(str(path), source)
    silent = _silent(module)
    heard = [mutation for mutation in mutations if _is_heard(mutation, silent)]
    path.write_text(file_mutation.combine_mutations_to_source(module, heard, *ignored).code)
    by_function = file_mutation.group_by_top_level_node(heard)
    for class_name, function in _functions(module):
        mangled = mangle_function_name(name=function.name.value, class_name=class_name)
        recorded = f"{path.with_suffix('')}.{mangled}".replace("/", ".")
        before = module.code_for_node(function)
        text = hashlib.sha256(before.encode()).hexdigest()
        for number, mutation in enumerate(by_function.get(function, ()), start=1):
            after = file_mutation.deep_replace(
                function, mutation.original_node, mutation.mutated_node
            )
            yield Mutant(
                name=f"{recorded}__mutmut_{number}",
                trampoline=recorded,
                file=str(path),
                function=".".join(filter(None, (class_name, function.name.value))),
                change=_change(before, module.code_for_node(after)),
                text=text,
            )


def _functions(module: cst.Module) -> Iterator[tuple[str | None, cst.FunctionDef]]:
    for statement in module.body:
        if isinstance(statement, cst.FunctionDef):
            yield None, statement
        elif isinstance(statement, cst.ClassDef):
            for member in statement.body.body:
                if isinstance(member, cst.FunctionDef):
                    yield statement.name.value, member


def _change(before: str, after: str) -> str:
    """The lines that differ, as one line: ``before → after``."""
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    gone, come = [], []
    for line in lines:
        if line.startswith("- "):
            gone.append(line[2:].strip())
        elif line.startswith("+ "):
            come.append(line[2:].strip())
    return f"{' '.join(gone)} → {' '.join(come)}"


def _silent(node: cst.CSTNode) -> set[int]:
    """The ids of all nodes below that are words of an error or of the log."""
    found: set[int] = set()
    for child in node.children:
        found |= _silent(child)
    if isinstance(node, cst.Raise) and isinstance(node.exc, cst.Call):
        found = found.union(*(_all_ids(part) for part in node.exc.args if _is_words(part.value)))
    elif _is_log(node) or (isinstance(node, cst.Expr) and _is_log(node.value)):
        found |= _all_ids(node)
    return found


def _is_words(node: cst.BaseExpression) -> bool:
    """Text, or another error's text."""
    if isinstance(node, cst.Call):
        return isinstance(node.func, cst.Name) and node.func.value == "str"
    return isinstance(node, cst.BaseString)


def _is_log(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.Call) and matches(node.func, Attribute(value=Name("log")))


def _is_big(node: cst.BaseExpression) -> bool:
    """The order of bytes that Python takes if none is named."""
    return isinstance(node, cst.SimpleString) and node.value[1:-1] == "big"


def _all_ids(node: cst.CSTNode) -> set[int]:
    return {id(node)}.union(*(_all_ids(child) for child in node.children))


def _is_heard(mutation: file_mutation.Mutation, silent: set[int]) -> bool:
    """Whether a test could notice this mutation."""
    original, mutated = mutation.original_node, mutation.mutated_node
    if id(original) in silent:
        return False
    if isinstance(original, cst.SimpleString) and isinstance(mutated, cst.SimpleString):
        return original.value[1:-1] not in CODECS or mutated.value.lower() != original.value
    if isinstance(original, cst.Call) and isinstance(mutated, cst.Call):
        kept = {id(argument) for argument in mutated.args}
        changed = [argument for argument in original.args if id(argument) not in kept]
        if len(mutated.args) < len(original.args) and _is_big(changed[0].value):
            return False
        return not changed or not {id(argument) for argument in changed} <= silent
    return True


def _without_call(node: cst.Expr) -> Iterator[cst.Pass]:
    if isinstance(node.value, cst.Call):
        yield cst.Pass()


def _without_raise(node: cst.Raise) -> Iterator[cst.Pass]:
    yield cst.Pass()


def _turned(node: cst.If) -> Iterator[cst.If]:
    """Turn a condition round, unless mutmut does so itself."""
    if not isinstance(node.test, cst.Comparison | cst.UnaryOperation):
        test = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
        yield node.with_changes(test=cst.UnaryOperation(cst.Not(), test))
