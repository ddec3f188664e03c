"""The SMS of a transaction: what it always says, what it leaves out, and when there is none."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.errors import SummaryRefused
from backend.summary.catalogue import KINDS, PHRASES, levels
from backend.summary.characters import SHOWN
from backend.summary.sms import MOST_PARTS, SMS_AROUND
from backend.summary.sms_parts import is_gsm, sms_parts
from tests.unit.summary.golden_files import LANGUAGES, REQUESTS
from tests.unit.summary.requests import golden, sms, with_field

WITH_SMS = sorted(name for name, kind in KINDS.items() if kind.sms)
ASKED = [name for name in REQUESTS if golden(name)["fields"]["type"] in WITH_SMS]
LAST_LINE = re.compile(r"@[a-z0-9.-]+ #[0-9]{8}")


def refusal(request: dict[str, Any], lang: str = "en", **changed: Any) -> str:  # noqa: ANN401  # members of SmsFrame
    with pytest.raises(SummaryRefused) as refused:
        sms(request, lang, **changed)
    return refused.value.field


def of_length(length: int) -> str:
    return ("word " * length)[: length - 1] + "z"


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("name", ASKED)
def test_every_sms_has_code_operation_asking_party_validity_and_a_warning(
    name: str, lang: str
) -> None:
    """R-129, T-32."""
    request = golden(name)
    lines = sms(request, lang).split("\n")
    body = "\n".join(lines[:-1])

    assert lines[-1] == "@ca.example #00123456"
    for part in ("00123456", "7KQ3M9XD", request["rp_name"], "14:30", "UTC+3"):
        assert part in body
    assert ("Никому не говорите" if lang == "ru" else "ever tell") in body
    assert all(lines)


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("name", ASKED)
def test_a_browser_finds_domain_and_code_in_the_last_line_alone(name: str, lang: str) -> None:
    """WICG, origin-bound one-time codes."""
    found = [line for line in sms(golden(name), lang).split("\n") if LAST_LINE.fullmatch(line)]
    assert found == ["@ca.example #00123456"]


def test_every_level_of_the_frame_says_what_must_be_said() -> None:
    lines = (*PHRASES.sms_head, *PHRASES.sms_foot)
    deepest = max(len(levels(KINDS[kind].sms)) for kind in WITH_SMS)
    for level in range(max(deepest, len(levels(lines)))):
        for lang in LANGUAGES:
            said = " ".join(line.of(lang) for line in lines if line.at(level) and line.when is None)
            for place in (
                "{code}",
                "{operation}",
                "{rp_name}",
                "{valid_until",
                "@{domain} #{code}",
            ):
                assert place in said
            assert ("Никому не говорите" if lang == "ru" else "ever tell") in said


def test_the_frames_lines_name_only_what_stands_around_a_request() -> None:
    for line in (*PHRASES.sms_head, *PHRASES.sms_foot):
        line.check(SMS_AROUND)
        assert is_gsm(line.en)


@pytest.mark.parametrize("kind", WITH_SMS)
def test_an_english_sms_has_no_sign_of_ours_that_the_gsm_alphabet_lacks(kind: str) -> None:
    """One such sign makes three parts of one."""
    assert all(is_gsm(line.en) for line in KINDS[kind].sms)
    assert not any("\u00a0" in sms(golden(name)) for name in ASKED)


def test_a_latin_request_is_sent_in_the_gsm_alphabet() -> None:
    assert is_gsm(sms(golden("invoice_latin")))


def test_a_kind_that_is_asked_of_phones_alone_has_no_sms() -> None:
    assert refusal(golden("enrol")) == "type"


def test_the_first_form_that_fits_is_sent() -> None:
    """Labels first, then salutation and manners, then what is not vital; the counts stay."""
    request = golden("generic_hash_only")
    assert "contract\u2026" not in sms(request)
    short = sms(request | {"document_labels": ["Contract"]})
    assert "1 x Contract" in short
    assert "Ann Example, you are asked" in short
    longer = sms(request | {"document_labels": [f"Contract {n}" for n in range(12)]})
    assert "Contract" not in longer
    assert "12 documents" in longer


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("payment_least", "payee.name"),
        ("tender_bid_least", "tender.number"),
        ("invoice_latin", "buyer"),
        ("act", "contractor"),
        ("waybill_least", "consignee"),
        ("certificate_request", "name"),
    ],
)
def test_a_vital_value_stands_whole_or_the_sms_is_refused_by_its_name(
    name: str, path: str, lang: str
) -> None:
    request = golden(name)
    if path == "name":
        request["fields"]["subject"] = "d29yZC13b3JkeiB3b3JkIHdvcmR6IHd6"
    seen = set()
    for length in range(2, 41 if path == "tender.number" else 161, 3):
        value = of_length(length) if path != "name" else "word"
        text, refused_at = sent_or_refused(with_field(request, path, value), lang)
        assert refused_at in {None, path}
        assert text is None or (value in text and sms_parts(text) <= MOST_PARTS)
        seen.add(refused_at)
    assert None in seen


def sent_or_refused(request: dict[str, Any], lang: str) -> tuple[str | None, str | None]:
    """The text, or the field that is refused."""
    try:
        return sms(request, lang), None
    except SummaryRefused as refused:
        return None, refused.field


def test_where_no_form_fits_the_longest_field_is_named() -> None:
    assert refusal(
        with_field(golden("payment"), "payee.name", "\u0416\u0443\u043a " * 30 + "\u0416"), "ru"
    ) == ("payee.name")
    assert (
        refusal(golden("payment") | {"rp_name": "\u0416\u0443\u043a " * 24 + "\u0416"}, "ru")
        == "rp_name"
    )
    package = golden("package")
    package["fields"]["contents"] = [
        {"type": name, "documents": 1}
        for name in ("invoice", "tax_invoice", "act", "waybill", "contract", "agreement", "payment")
    ]
    package["document_labels"] = package["document_labels"][:7]
    assert refusal(package, "ru") == "contents"


@pytest.mark.parametrize(
    "link",
    ["shop.example", "www.shop", "https://shop", "a@shop", "\u0440\u0443.\u0440\u0444", "x://y"],
)
def test_no_sms_holds_a_link(link: str) -> None:
    """T-32: a line that may be left out is; where it may not, there is no SMS."""
    request = with_field(golden("payment_least"), "purpose", f"pay at {link} now")
    text = sms(request)
    assert link not in text
    assert "Aster Trading Ltd" in text
    assert refusal(with_field(request, "payee.name", link)) == "payee.name"
    assert refusal(request | {"rp_name": f"Shop {link}"}) == "rp_name"


@pytest.mark.parametrize("text", ["of 21.10.2025", "20/120", "дом. Москва", "д. 1", "И. И. Иванов"])
def test_a_date_an_initial_and_a_fraction_are_no_links(text: str) -> None:
    assert text in sms(with_field(golden("tender_bid_least"), "tender.number", text), "ru")


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("code", "1234567"),
        ("code", "123456789"),
        ("code", "\u0661" * 8),
        ("code", "00123456\n"),
        ("operation", "7kq"),
        ("operation", "7KQ"),
        ("operation", "7KQ3M9XD7KQ3M"),
        ("operation", "7KQ 3M9XD"),
        ("domain", "CA.example"),
        ("domain", "ca.example:8600"),
        ("domain", "ca.example/x"),
        ("domain", "https://ca.example"),
        ("domain", "-ca.example"),
        ("domain", "ca..example"),
        ("domain", "ca.example."),
        ("domain", "a" * 61),
        ("domain", ""),
        ("domain", "\u0440\u0444"),
        ("domain", "ca.example\n"),
        ("salutation", "Ann \u202e"),
        ("salutation", "\u0410nn"),
        ("salutation", ""),
        ("salutation", "evil.example"),
    ],
)
def test_what_stands_around_is_of_its_form_or_refused(member: str, value: str) -> None:
    """But a salutation that looks like a link: it is left out."""
    if value == "evil.example":
        assert value not in sms(golden("payment_least"), salutation=value)
    else:
        assert refusal(golden("payment_least"), **{member: value}) == member


def test_without_a_salutation_its_line_is_left_out() -> None:
    assert "you are asked" in sms(golden("payment_least"))
    assert "you are asked" not in sms(golden("payment_least"), salutation=None)


def test_the_code_is_good_until_a_time_by_the_signers_clock() -> None:
    at = datetime(2025, 11, 21, 23, 59, tzinfo=UTC)
    assert "02:59 (Moscow, UTC+3)" in sms(golden("payment_least"), valid_until=at)
    shifted = at.astimezone(tz=None) + timedelta()
    assert sms(golden("payment_least"), valid_until=shifted) == sms(
        golden("payment_least"), valid_until=at
    )


@settings(max_examples=60)
@given(
    st.sampled_from(["payee.name", "purpose", "payee.bank"]),
    st.text(alphabet=sorted(SHOWN - {"\u20ac"}), min_size=1, max_size=150),
    st.sampled_from(LANGUAGES),
)
def test_whatever_is_asked_the_sms_fits_and_cuts_nothing(path: str, value: str, lang: str) -> None:
    request = with_field(golden("payment_least"), path, value)
    text, refused_at = sent_or_refused(request, lang)
    assert refused_at in {None, path, "rp_name", "payee.name"}
    if text is None:
        return
    assert sms_parts(text) <= MOST_PARTS
    label = {
        "payee.name": ("Получатель: ", "Payee: "),
        "purpose": ("Назначение: ", "Purpose: "),
        "payee.bank": ("Банк: ", "Bank: "),
    }[path][LANGUAGES.index(lang)]
    said = [line.removeprefix(label) for line in text.split("\n") if line.startswith(label)]
    assert said in ([], [value])
    assert said or path != "payee.name"
