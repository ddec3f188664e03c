"""Where the kinds take text, as their files declare it; the tests need not name each field."""

from collections.abc import Iterator
from typing import Final

from backend.summary.catalogue import KINDS, Group, Leaf
from backend.summary.fields import NameField, PersonField, TextField

WHOLE: Final = {"package": "package_whole"}
"""Golden requests that have every field, where it is not the one called like the kind."""


def whole(kind: str) -> str:
    """Name the golden request of a kind that has every field."""
    return WHOLE.get(kind, kind)


def leaves(kind: str) -> Iterator[tuple[str, Leaf]]:
    """Every field of a kind that is no group, by its path."""
    for field in KINDS[kind].fields:
        if isinstance(field, Group):
            yield from ((f"{field.name}.{member.name}", member) for member in field.members)
        else:
            yield field.name, field


def text_paths(kind: str) -> Iterator[tuple[str, bool]]:
    """Every place of a kind where words stand, and whether they are a name."""
    for path, leaf in leaves(kind):
        if isinstance(leaf, PersonField):
            yield from ((f"{path}.{part}", True) for part in ("family", "given", "patronymic"))
        elif isinstance(leaf, (NameField, TextField)):
            yield path, isinstance(leaf, NameField)


def paths(kind: str) -> Iterator[tuple[str, bool]]:
    """Every path of a kind's declaration, groups too, and whether it is required."""
    for field in KINDS[kind].fields:
        yield field.name, field.required
        for member in field.members if isinstance(field, Group) else ():
            yield f"{field.name}.{member.name}", member.required


def members(kind: str) -> Iterator[tuple[str, bool]]:
    """Every field of a kind that is no group, and whether a request must have it."""
    for field in KINDS[kind].fields:
        if isinstance(field, Group):
            for member in field.members:
                yield f"{field.name}.{member.name}", field.required and member.required
        else:
            yield field.name, field.required
