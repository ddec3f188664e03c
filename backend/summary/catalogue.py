"""The kinds of requests, as ``kinds/*.toml`` declare them, and the phrases that they share.

Read once, when the module is loaded; a file that breaks a rule stops the start. The rules:

1. a line says the same in both languages: the same placeholders;
2. it names nothing that the kind does not have;
3. every field is shown: nothing is signed for that was not read; but for a hash, which only binds;
4. the lines with money come first (T-06);
5. no SMS leaves out money, nor the count of documents (T-33).
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Annotated, Final, Literal, final

import msgspec

from backend.summary.fields import (
    ChoiceField,
    Field,
    HashField,
    NameField,
    PersonField,
    SubjectField,
    TextField,
    join,
)
from backend.summary.package_data import read_toml, toml_names
from backend.summary.quantities import (
    AccountField,
    AmountField,
    CountField,
    DateField,
    InstantField,
    PeriodField,
)
from backend.summary.several import ContentsField, TotalsField
from backend.summary.text import Language
from backend.summary.words import Plural, Words, placeholders

Leaf = (
    AccountField
    | AmountField
    | ChoiceField
    | ContentsField
    | CountField
    | DateField
    | HashField
    | InstantField
    | NameField
    | PeriodField
    | PersonField
    | SubjectField
    | TextField
    | TotalsField
)
Level = Annotated[int, msgspec.Meta(ge=0, le=9)]
DocumentsBound = Annotated[int, msgspec.Meta(ge=0, le=10_000)]

Money = AmountField | TotalsField

AROUND: Final = frozenset({"rp_name", "documents", "labels"})
"""What every kind may show beside its fields: who asks, how many documents, which."""


@final
class Group(Field, frozen=True, kw_only=True, tag="group"):
    """An object with members; one level is deep enough for a screen."""

    members: tuple[Leaf, ...]


class Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line's templates.

    It is left out where a value it names, or the one in ``when``, is absent, or the one in
    ``unless`` is there; on a phone it is repeated for each row of the only value it names.
    """

    ru: str
    en: str
    when: str | None = None
    unless: str | None = None

    def of(self, lang: Language) -> str:
        """Give the template in one language."""
        return self.ru if lang == "ru" else self.en

    def names(self) -> frozenset[str]:
        """Name the values without which the line is left out."""
        return placeholders(self.ru) | (frozenset() if self.when is None else {self.when})

    def stands(self, shown: AbstractSet[str]) -> bool:
        """Tell whether the line stands beside what there is to show."""
        return self.names() <= shown and self.unless not in shown

    def check(self, known: AbstractSet[str]) -> None:
        """Hold the line to rules 1 and 2.

        Raises:
            ValueError: it breaks one.
        """
        if placeholders(self.ru) != placeholders(self.en):
            raise ValueError(f"rule 1: the languages differ: {self.en}")
        named = self.names() | (frozenset() if self.unless is None else {self.unless})
        if not named <= known:
            raise ValueError(f"rule 2: unknown {sorted(named - known)}")


@final
class SmsLine(Line, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line of an SMS. Level 0 says the most, each further one less; the first that fits is sent.

    The line stands from level ``since`` on, and no longer from ``until`` on.
    """

    since: Level = 0
    until: Level | None = None

    def at(self, level: int) -> bool:
        """Tell whether the line stands at a level."""
        return self.since <= level and (self.until is None or level < self.until)


def levels(lines: Sequence[SmsLine]) -> range:
    """Name the levels at which lines differ."""
    return range(1 + max(max(line.since, line.until or 0) for line in lines))


@final
class Kind(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of request: what it holds and what the signer reads."""

    title: Words
    ask: Literal["sign", "enrol", "certificate_request", "set_password", "amend"]
    """The kind of ask that it belongs in (docs/phone-protocol.md 2); the SAM refuses it in another.

    A relying party asks only to ``sign``.
    """
    least_documents: DocumentsBound
    most_documents: DocumentsBound
    fields: tuple[Leaf | Group, ...]
    lines: tuple[Line, ...]
    sms: tuple[SmsLine, ...] = ()
    """Without them the kind is asked of phones alone."""

    def __post_init__(self) -> None:
        """Hold the file to the rules.

        Raises:
            ValueError: it breaks one.
        """
        leaves = dict(_leaves(self.fields))
        for line in (*self.lines, *self.sms):
            line.check(leaves.keys() | AROUND)
        money = frozenset(path for path, leaf in leaves.items() if isinstance(leaf, Money))
        self._check_shown(leaves, money)
        if self.sms:
            self._check_sms(money)

    def _check_shown(self, leaves: Mapping[str, Leaf], money: frozenset[str]) -> None:
        shown = [placeholders(line.ru) for line in self.lines]
        for path, leaf in leaves.items():
            if isinstance(leaf, HashField):
                continue
            stands_as = leaf.read_as if isinstance(leaf, SubjectField) else path
            if stands_as not in frozenset[str]().union(*shown):
                raise ValueError(f"rule 3: {path} is not shown")
        with_money = [bool(names & money) for names in shown]
        if with_money != sorted(with_money, reverse=True):
            raise ValueError("rule 4: a line with money stands after one without")

    def _check_sms(self, money: frozenset[str]) -> None:
        wanted = money | ({"documents"} if self.ask == "sign" else frozenset())
        for level in levels(self.sms):
            lines = [placeholders(line.ru) for line in self.sms if line.at(level)]
            missing = wanted.difference(*lines)
            if missing:
                raise ValueError(f"rule 5: at level {level} an SMS leaves out {sorted(missing)}")


@final
class Phrases(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is said beside the kinds."""

    documents: Plural
    numbered: Words
    many_labels: Plural
    sms_pairing_code: Words
    sms_head: tuple[SmsLine, ...]
    sms_foot: tuple[SmsLine, ...]
    push_title: Words
    push_body: Words


def _leaves(fields: Iterable[Leaf | Group], path: str = "") -> Iterable[tuple[str, Leaf]]:
    for field in fields:
        if isinstance(field, Group):
            yield from _leaves(field.members, field.name)
        else:
            yield join(path, field.name), field


KINDS: Final[Mapping[str, Kind]] = {
    name.removesuffix(".toml"): read_toml("kinds", name, kind=Kind) for name in toml_names("kinds")
}
"""The kinds by ``fields.type``: a file each."""

PHRASES: Final = read_toml("phrases.toml", kind=Phrases)
