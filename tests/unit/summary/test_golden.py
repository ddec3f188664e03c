"""What signers read, word for word; whoever changes a text changes a file here and is seen to.

``python -m tests.unit.summary.golden_files`` writes them anew.
"""

import pytest

from backend.summary.catalogue import KINDS
from backend.summary.sms_parts import is_gsm, sms_parts
from tests.unit.summary import golden_files
from tests.unit.summary.golden_files import LANGUAGES, REQUESTS
from tests.unit.summary.requests import GOLDEN, golden, sms

FILES = golden_files.files()


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_signer_reads_exactly_the_golden_text(name: str) -> None:
    """R-129 (counts for each type and label, and in all), T-06 (money first), T-28, T-32."""
    path = GOLDEN / name
    kept = path.read_text(encoding="utf-8") if path.exists() else "(there is no such file)"
    assert FILES[name] == kept, "if that is wanted: python -m tests.unit.summary.golden_files"


def test_every_kind_has_a_golden_text() -> None:
    assert {golden(name)["fields"]["type"] for name in REQUESTS} == set(KINDS)


def test_no_golden_file_is_of_nothing() -> None:
    kept = {path.name for path in GOLDEN.iterdir()}
    assert kept == FILES.keys() | {f"{name}.json" for name in REQUESTS}


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize(
    "name", [name for name in REQUESTS if KINDS[golden(name)["fields"]["type"]].sms]
)
def test_a_golden_sms_has_three_parts_at_most(name: str, lang: str) -> None:
    text = sms(golden(name), lang)
    assert sms_parts(text) <= 3
    assert len(text) <= (3 * 153 if is_gsm(text) else 3 * 67)


def test_thirty_documents_are_one_message_and_one_code() -> None:
    """R-127, R-129: code, operation, purpose, period, counts for each type and in all."""
    text = sms(golden("package"), "ru")
    assert sms_parts(text) == 3
    for part in (
        "00123456", "7KQ3M9XD", "ЭТП Север", "Закрывающие документы", "октябрь 2025",
        "20 счетов", "7 актов", "3 накладные", "30 документов", "14:30",
    ):  # fmt: skip  # a line a part says no more
        assert part in text
    assert text.splitlines()[-1] == "@ca.example #00123456"
