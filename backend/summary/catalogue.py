"""The kinds of requests, as ``kinds/*.toml`` declare them, and the phrases that they share.

Read once, when the module is loaded; a file that breaks a rule stops the start. The rules:

1. a line says the same in both languages: the same placeholders;
2. it names nothing that the kind does not have;
3. every field is shown: nothing is signed for that was not read;
4. an amount stands in the first line (T-06).
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Annotated, Final, Literal, final

import msgspec

from backend.summary.fields import (
    ChoiceField,
    Field,
    NameField,
    PersonField,
    SubjectField,
    TextField,
    join,
)
from backend.summary.package_data import read_toml
from backend.summary.quantities import (
    AccountField,
    AmountField,
    CountField,
    DateField,
    InstantField,
)
from backend.summary.words import Plural, Words, placeholders

Leaf = (
    AccountField
    | AmountField
    | ChoiceField
    | CountField
    | DateField
    | InstantField
    | NameField
    | PersonField
    | SubjectField
    | TextField
)
DocumentsBound = Annotated[int, msgspec.Meta(ge=0, le=10_000)]

AROUND: Final = frozenset({"rp_name", "documents", "labels"})
"""What every kind may show beside its fields: who asks, how many documents, which."""


@final
class Group(Field, frozen=True, kw_only=True, tag="group"):
    """An object with members; one level is deep enough for a screen."""

    members: tuple[Leaf, ...]


@final
class Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line's templates.

    It is left out where a value it names, or the one in ``when``, is absent, and repeated for each
    row of the only value it names.
    """

    ru: str
    en: str
    when: str | None = None

    def names(self) -> frozenset[str]:
        """Name the values without which the line is left out."""
        return placeholders(self.ru) | (frozenset() if self.when is None else {self.when})


@final
class Kind(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of request: what it holds and what the signer reads."""

    title: Words
    ask: Literal["sign", "enrol", "certificate_request"]
    """The kind of ask that it belongs in (docs/phone-protocol.md 2); the SAM refuses it in another.

    A relying party asks only to ``sign``.
    """
    least_documents: DocumentsBound
    most_documents: DocumentsBound
    fields: tuple[Leaf | Group, ...]
    lines: tuple[Line, ...]

    def __post_init__(self) -> None:
        """Hold the file to the rules.

        Raises:
            ValueError: it breaks one.
        """
        leaves = dict(_leaves(self.fields))
        self._check_lines(leaves.keys() | AROUND)
        self._check_fields(leaves)

    def _check_lines(self, known: AbstractSet[str]) -> None:
        for line in self.lines:
            if placeholders(line.ru) != placeholders(line.en):
                raise ValueError(f"rule 1: the languages differ: {line.en}")
            if not line.names() <= known:
                raise ValueError(f"rule 2: unknown {sorted(line.names() - known)}")

    def _check_fields(self, leaves: Mapping[str, Leaf]) -> None:
        shown = [placeholders(line.ru) for line in self.lines]
        for path, leaf in leaves.items():
            stands_as = leaf.read_as if isinstance(leaf, SubjectField) else path
            if stands_as not in frozenset[str]().union(*shown):
                raise ValueError(f"rule 3: {path} is not shown")
            if isinstance(leaf, AmountField) and path not in shown[0]:
                raise ValueError(f"rule 4: {path} is not in the first line")


@final
class Phrases(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is said beside the kinds."""

    documents: Plural
    many_labels: Plural
    sms_pairing_code: Words
    push_title: Words
    push_body: Words


def _leaves(fields: Iterable[Leaf | Group], path: str = "") -> Iterable[tuple[str, Leaf]]:
    for field in fields:
        if isinstance(field, Group):
            yield from _leaves(field.members, field.name)
        else:
            yield join(path, field.name), field


KINDS: Final[Mapping[str, Kind]] = {
    name: read_toml("kinds", f"{name}.toml", kind=Kind)
    for name in ("payment", "generic", "enrol", "certificate_request")
}
"""The kinds by ``fields.type``."""

PHRASES: Final = read_toml("phrases.toml", kind=Phrases)
