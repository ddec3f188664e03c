"""docs/csc-conformance.md: no requirement of CSC without a test or a reason, and none invented."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import pytest

from tests.conformance.ids import Requirement, Test, claims, faults, numbers, requirements
from tests.conformance.page import PAGE, page

SOME = Test(name="test_csc_01_something", file="test_some.py")


def test_each_requirement_has_a_test_that_is_named_by_it_or_a_reason() -> None:
    assert list(faults(requirements(), claims())) == []


def test_the_page_is_written_anew() -> None:
    """``python -m tests.conformance`` writes it."""
    assert PAGE.read_text(encoding="utf-8") == page(requirements(), claims())


def test_what_has_no_tests_yet_answers_501() -> None:
    """Whole chapters may be left out only where the method is."""
    left_out = {each.id for each in requirements() if each.reason and "501" in each.reason}
    assert left_out == {*range(99, 119), 137}


@pytest.mark.parametrize(
    ("change", "tested", "fault"),
    [
        ({}, {}, "CSC-01: neither a test nor a reason"),
        ({"reason": "so"}, {1: [SOME]}, "CSC-01: there is a test, and a reason why there is none"),
        ({}, {1: [SOME], 141: [SOME]}, "CSC-141: there is no such requirement"),
    ],
)
def test_what_is_wrong_is_found(
    change: dict[str, str], tested: Mapping[int, Sequence[Test]], fault: str
) -> None:
    asked = [
        msgspec.structs.replace(each, reason="so") if each.id > 1 else each
        for each in requirements()
    ]
    asked[0] = msgspec.structs.replace(asked[0], **({"reason": ""} | change))

    assert list(faults(asked, tested)) == [fault]


def test_a_requirement_that_is_left_out_is_found() -> None:
    asked = [msgspec.structs.replace(each, reason="so") for each in requirements()][:-1]

    assert list(faults(asked, {})) == ["requirements.toml: not CSC-01 to CSC-140 in their order"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("test_csc_01_methods_are_called_by_post", [1]),
        ("test_csc_28_34_36_what_is_not_the_same", [28, 34, 36]),
        ("test_csc_135_stock_pyhanko", [135]),
        ("test_csc_answers_as_its_schemas_say", []),
        ("test_a_csc_01_method", []),
        ("csc_01_helper", []),
    ],
)
def test_a_name_says_its_ids(name: str, found: list[int]) -> None:
    assert numbers(name) == found


def test_what_is_no_test_claims_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(
        "def test_csc_01_one(): ...\n"
        "def helper():\n    def test_csc_02_two(): ...\n"
        "# def test_csc_03_three(): ...\n"
    )
    (tmp_path / "other.py").write_text("def test_csc_04_four(): ...\n")

    assert claims(tmp_path) == {1: [Test(name="test_csc_01_one", file="test_some.py")]}


def test_a_note_stands_beside_the_tests() -> None:
    asked = Requirement(id=1, section="Some", says="this", note="not that")

    assert page([asked], {1: [SOME]}).splitlines()[-1] == (
        "| CSC-01 | this | [`test_csc_01_something`](../tests/test_some.py)<br>*note:* not that |"
    )
