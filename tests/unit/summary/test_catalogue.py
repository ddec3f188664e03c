"""A kind's file that breaks a rule stops the start."""

import tomllib
from typing import Any

import msgspec
import pytest

from backend.summary.catalogue import KINDS, Kind, Line, SmsLine, levels
from backend.summary.package_data import read_toml

KIND = """
ask = "sign"
least_documents = 1
most_documents = 2
title = { ru = "T", en = "T" }
[[fields]]
name = "amount"
type = "amount"
required = true
[[fields]]
name = "payee"
type = "group"
required = true
[[fields.members]]
name = "name"
type = "name"
required = true
longest = 10
[[lines]]
ru = "R {amount}"
en = "E {amount}"
[[lines]]
ru = "R {payee.name}"
en = "E {payee.name}"
[[lines]]
ru = "R"
en = "E"
when = "payee.name"
"""


def kind_of(text: str) -> Kind:
    return msgspec.convert(tomllib.loads(text), Kind)


def broken(before: str, after: str) -> str:
    assert before in KIND
    with pytest.raises(msgspec.ValidationError) as refused:
        kind_of(KIND.replace(before, after, 1))
    return str(refused.value)


def test_the_kind_that_the_tests_break_is_whole() -> None:
    assert [field.name for field in kind_of(KIND).fields] == ["amount", "payee"]


def test_a_line_names_the_same_values_in_both_languages() -> None:
    assert broken('en = "E {payee.name}"', 'en = "E"').startswith("rule 1")


@pytest.mark.parametrize(
    "line",
    [
        'en = "{bank}"\nru = "{bank}"',
        'en = ""\nru = ""\nwhen = "bank"',
        'en = ""\nru = ""\nunless = "bank"',
    ],
)
def test_a_line_names_only_what_the_kind_has(line: str) -> None:
    assert broken("[[lines]]", f"[[lines]]\n{line}\n[[lines]]").startswith("rule 2")


def test_a_field_that_no_line_shows_is_refused() -> None:
    """``when`` alone shows nothing."""
    hidden = KIND.replace("R {payee.name}", "R").replace("E {payee.name}", "E")
    with pytest.raises(msgspec.ValidationError, match=r"rule 3: payee.name"):
        kind_of(hidden)


def test_the_amount_stands_in_the_first_line() -> None:
    first = '[[lines]]\nru = "x"\nen = "x"\n[[lines]]'
    assert broken("[[lines]]", first).startswith("rule 4")


def test_two_amounts_stand_in_the_first_two_lines() -> None:
    fee = '[[fields]]\nname = "fee"\ntype = "amount"\nrequired = false\n'
    line = '[[lines]]\nru = "{fee}"\nen = "{fee}"\n'
    head, lines = KIND.split("[[lines]]", 1)
    assert len(kind_of(f"{head}{fee}{line}[[lines]]{lines}").lines) == 4
    with pytest.raises(msgspec.ValidationError, match="rule 4"):
        kind_of(f"{head}{fee}[[lines]]{lines}{line}")


SMS = """
[[sms]]
ru = "R {amount}, {documents}"
en = "E {amount}, {documents}"
"""


def test_an_sms_says_money_and_count_at_every_level() -> None:
    """T-33."""
    assert kind_of(KIND + SMS).sms[0].at(9)
    longer = '[[sms]]\nru = "{payee.name}"\nen = "{payee.name}"\nuntil = 3\n'
    assert len(kind_of(KIND + SMS + longer).sms) == 2
    for line in (SMS + "until = 2\n", SMS + "since = 1\n", SMS.replace("{amount}", "x")):
        with pytest.raises(msgspec.ValidationError, match="rule 5"):
            kind_of(KIND + line + longer)
    with pytest.raises(msgspec.ValidationError, match="rule 5"):
        kind_of(KIND + SMS.replace(", {documents}", ""))


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ('ru = "{amount}, {documents}"\nen = "{documents}"\n', "rule 1"),
        ('ru = "{amount}, {documents}, {code}"\nen = "{amount}, {documents}, {code}"\n', "rule 2"),
        ('ru = "x"\nen = "x"\nuntil = 10\n', "<= 9"),
        ('ru = "x"\nen = "x"\nsince = -1\n', ">= 0"),
    ],
)
def test_a_line_of_an_sms_keeps_the_rules_of_lines(line: str, rule: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=rule):
        kind_of(f"{KIND}{SMS}[[sms]]\n{line}")


def test_a_line_stands_from_a_level_on_until_another() -> None:
    line = SmsLine(ru="", en="", since=2, until=4)
    assert [level for level in range(6) if line.at(level)] == [2, 3]
    assert list(levels([line, SmsLine(ru="", en="", since=1)])) == [0, 1, 2, 3, 4]


def test_a_line_stands_where_one_value_is_there_and_another_is_not() -> None:
    line = Line(ru="{a}", en="{a}", when="b", unless="c")
    assert line.stands({"a", "b"})
    assert not line.stands({"a"})
    assert not line.stands({"a", "b", "c"})


def test_a_subject_is_shown_by_its_reading() -> None:
    subject = '[[fields]]\nname = "subject"\ntype = "subject"\nrequired = true\nread_as = "{}"\n'
    place = '[[fields]]\nname = "payee"'
    shown = kind_of(KIND.replace(place, subject.format("amount") + place, 1))
    assert [field.name for field in shown.fields] == ["amount", "subject", "payee"]
    assert broken(place, subject.format("nothing") + place).startswith("rule 3: subject")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('type = "name"', 'type = "float"'),
        ('type = "name"', 'type = "group"'),
        ("longest = 10", "longest = 0"),
        ("longest = 10", "longest = 1001"),
        ("longest = 10", "longest = 10\nhidden = true"),
        ('ask = "sign"', 'ask = "amends"'),
        ("most_documents = 2", "most_documents = 10001"),
        ('name = "payee"', 'name = "Payee"'),
        ('title = { ru = "T", en = "T" }', 'title = { ru = "T" }'),
    ],
)
def test_a_file_of_another_form_is_refused(before: str, after: str) -> None:
    assert broken(before, after)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_kinds_templates_are_themselves_fit_to_be_shown(kind: str) -> None:
    for line in KINDS[kind].lines:
        assert line.ru.isprintable()
        assert line.en.isprintable()
        assert line.en.isascii()


def test_reading_checks_what_it_reads() -> None:
    with pytest.raises(msgspec.ValidationError):
        read_toml("phrases.toml", kind=Kind)


def test_currencies_are_in_one_row_each() -> None:
    decimals: dict[str, Any] = read_toml("currencies.toml", kind=dict)["decimals"]
    codes = " ".join(decimals.values()).split()
    assert len(codes) == len(set(codes)) == 155
