"""What signers read, word for word; whoever changes a text changes a file here and is seen to."""

import json

import pytest

from backend.summary.catalogue import KINDS
from backend.summary.render import push_text, sms_pairing_code
from backend.summary.schema import json_schema
from tests.unit.summary.requests import GOLDEN, golden, rendered

REQUESTS = sorted(path.stem for path in GOLDEN.glob("*.json") if "schema" not in path.name)


def expected(name: str) -> str:
    return (GOLDEN / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("lang", ["ru", "en"])
@pytest.mark.parametrize("name", REQUESTS)
def test_the_signer_reads_exactly_the_golden_text(name: str, lang: str) -> None:
    """R-129 (counts for each label and in all), T-06 (amount first)."""
    text = rendered(golden(name), lang)
    assert text.lang == lang
    assert "\n".join((text.title, "", *text.lines, "")) == expected(f"{name}.{lang}.txt")


def test_every_kind_has_a_golden_text() -> None:
    assert {golden(name)["fields"]["type"] for name in REQUESTS} == set(KINDS)


@pytest.mark.parametrize("lang", ["ru", "en"])
def test_the_sms_reads_exactly_the_golden_text(lang: str) -> None:
    """T-32: it names the phone and says never to tell."""
    text = sms_pairing_code(
        lang=lang, ca_name="Cellkey Demo CA", twelve="ABCD2345WXYZ", code="00123456"
    )
    assert text + "\n" == expected(f"sms_pairing_code.{lang}.txt")


@pytest.mark.parametrize("lang", ["ru", "en"])
def test_the_push_message_reads_exactly_the_golden_text(lang: str) -> None:
    """T-28: nothing of the transaction; there is no argument by which it could come in."""
    text = push_text(lang)
    assert f"{text.title}\n\n{text.body}\n" == expected(f"push.{lang}.txt")


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_published_schema_is_the_golden_one(kind: str) -> None:
    assert json_schema(kind) == json.loads(expected(f"{kind}.schema.json"))
