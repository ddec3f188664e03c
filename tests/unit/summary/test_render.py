"""The request as a whole: kinds, documents, languages, the certificate's name, SMS and push."""

import base64
import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import SummaryRefused
from backend.summary.catalogue import KINDS
from backend.summary.characters import SHOWN
from backend.summary.reading import MOST_LABELS
from backend.summary.render import LONGEST_TEXT, push_text, sms_pairing_code
from tests.unit.summary.requests import golden, rendered, with_field, without_field

TWELVE = "ABCD2345WXYZ"
CODE = "00123456"


def refused_at(request: dict[str, Any], lang: str = "en") -> str:
    with pytest.raises(SummaryRefused) as refused:
        rendered(request, lang)
    return refused.value.field


# --- kinds and languages ------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", [None, "", "Payment", "payment ", "unknown", 1, ["payment"], "__class__"]
)
def test_an_unknown_kind_is_refused(kind: object) -> None:
    assert refused_at(with_field(golden("payment"), "type", kind)) == "type"


def test_a_request_without_a_kind_is_refused() -> None:
    assert refused_at(without_field(golden("payment"), "type")) == "type"


@pytest.mark.parametrize("lang", ["", "RU", "de", "ru-RU", "en_US"])
def test_an_unknown_language_is_refused(lang: str) -> None:
    assert refused_at(golden("payment"), lang) == "lang"
    with pytest.raises(SummaryRefused, match=r"^lang: "):
        push_text(lang)
    with pytest.raises(SummaryRefused, match=r"^lang: "):
        sms_pairing_code(lang=lang, ca_name="CA", twelve=TWELVE, code=CODE)


def test_a_kind_belongs_in_one_kind_of_ask() -> None:
    """A certificate request must not be read as an invoice; the SAM holds asks to it."""
    assert {name: kind.ask for name, kind in KINDS.items()} == {
        "act": "sign",
        "generic": "sign",
        "invoice": "sign",
        "package": "sign",
        "payment": "sign",
        "register": "sign",
        "tender_bid": "sign",
        "waybill": "sign",
        "enrol": "enrol",
        "certificate_request": "certificate_request",
        "set_password": "set_password",
        "amend": "amend",
    }


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_same_request_gives_the_same_text_whatever_its_order(kind: str) -> None:
    request = golden(kind)
    turned = request | {"fields": dict(reversed(request["fields"].items()))}
    assert rendered(request) == rendered(turned)


# --- documents ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "ru", "en"),
    [
        (1, "1 \u0434\u043e\u043a\u0443\u043c\u0435\u043d\u0442", "1 document"),
        (2, "2 \u0434\u043e\u043a\u0443\u043c\u0435\u043d\u0442\u0430", "2 documents"),
        (5, "5 \u0434\u043e\u043a\u0443\u043c\u0435\u043d\u0442\u043e\u0432", "5 documents"),
        (11, "11 \u0434\u043e\u043a\u0443\u043c\u0435\u043d\u0442\u043e\u0432", "11 documents"),
        (21, "21 \u0434\u043e\u043a\u0443\u043c\u0435\u043d\u0442", "21 documents"),
        (111, "111 \u0434\u043e\u043a\u0443\u043c\u0435\u043d\u0442\u043e\u0432", "111 documents"),
        (
            10_000,
            "10\u00a0000 \u0434\u043e\u043a\u0443\u043c\u0435\u043d\u0442\u043e\u0432",
            "10,000 documents",
        ),
    ],
)
def test_documents_are_counted_with_the_right_plural(n: int, ru: str, en: str) -> None:
    request = golden("generic_hash_only") | {"document_labels": ["Act"] * n}
    assert rendered(request, "ru").lines[1].endswith(f": {ru}")
    assert rendered(request, "en").lines[1] == f"To be signed: {en}"
    assert rendered(request, "en").lines[2] == f"{n:,} \u00d7 Act"


def test_a_smuggled_document_changes_what_the_signer_reads() -> None:
    """T-33: the 31st document."""
    request = golden("generic")
    more = request | {
        "document_labels": [*request["document_labels"], request["document_labels"][0]]
    }
    assert set(rendered(more).lines) - set(rendered(request).lines) == {
        "To be signed: 31 documents",
        f"21 \u00d7 {request['document_labels'][0]}",
    }


def test_a_label_cannot_pretend_to_be_a_count_or_a_line() -> None:
    """T-06: the count is ours and comes first; the sign of multiplication is ours alone."""
    request = golden("generic_hash_only") | {"document_labels": ["Amount: RUB 1.00", "5 - Act"]}
    assert rendered(request).lines[2:] == (
        "1 \u00d7 Amount: RUB 1.00",
        "1 \u00d7 5 - Act",
    )
    request["document_labels"] = ["20 \u00d7 Act"]
    assert refused_at(request) == "documents[0].label"


def test_as_many_labels_as_fit_are_shown_and_more_are_counted() -> None:
    labels = [f"Act {n}" for n in range(MOST_LABELS)]
    request = golden("generic_hash_only")
    assert rendered(request | {"document_labels": labels}).lines[2:] == tuple(
        f"1 \u00d7 {label}" for label in labels
    )
    assert rendered(request | {"document_labels": [*labels, "One more"]}).lines[2:] == (
        "13 different names, all in the list of documents",
    )


@pytest.mark.parametrize(
    ("kind", "least", "most"),
    [
        ("payment", 1, 10_000),
        ("generic", 1, 10_000),
        ("enrol", 0, 0),
        ("certificate_request", 0, 1),
    ],
)
def test_a_kind_has_as_many_documents_as_it_may(kind: str, least: int, most: int) -> None:
    request = golden(kind)
    for n in (least, most):
        rendered(request | {"document_labels": ["Act"] * n})
    for n in {least - 1, most + 1} - {-1}:
        assert refused_at(request | {"document_labels": ["Act"] * n}) == "documents"


def test_a_label_may_have_200_characters_and_no_more() -> None:
    request = golden("generic_hash_only")
    label = "ab " * 66 + "cd"
    assert rendered(request | {"document_labels": [label]}).lines[2] == f"1 \u00d7 {label}"
    assert refused_at(request | {"document_labels": [label + "e"]}) == "documents[0].label"


def test_the_asking_party_may_have_100_characters_and_no_more() -> None:
    request = golden("generic_hash_only")
    name = "ab " * 33 + "c"
    assert name in rendered(request | {"rp_name": name}).lines[0]
    assert refused_at(request | {"rp_name": name + "d"}) == "rp_name"


def test_a_text_that_nobody_would_read_is_refused() -> None:
    request = with_field(golden("generic_hash_only"), "description", "long words " * 45 + "end")
    labels = [f"{n:02}" + " label" * 18 for n in range(MOST_LABELS - 1)] + ["x"]
    room = LONGEST_TEXT - sum(map(len, rendered(request | {"document_labels": labels}).lines))
    assert 0 < room < 200
    labels[-1] = ("x-" * 100)[: room + 1]
    fits = rendered(request | {"document_labels": labels}).lines
    assert sum(map(len, fits)) == LONGEST_TEXT
    labels[-1] += "y"
    assert refused_at(request | {"document_labels": labels}) == "fields"


# --- the name in a certificate ----------------------------------------------------------------


def test_a_name_that_the_certificate_will_not_have_is_refused() -> None:
    """T-05: what is read stands in the DER Name that is signed."""
    request = golden("certificate_request")
    assert refused_at(with_field(request, "name", "Petrov")) == "name"
    family = request["fields"]["name"].split()[0]
    assert refused_at(with_field(request, "name", f"{family} Petrov")) == "name"
    assert rendered(with_field(request, "name", family)).lines[0].endswith(family)


@pytest.mark.parametrize(
    "subject",
    ["", "A", "MAA=", "MA+/", "MAB", " MAA", "MAA\n", "M\u0410A", "A" * 2052, "MA"],
)
def test_a_subject_that_is_not_base64url_in_its_one_form_is_refused(subject: str) -> None:
    request = with_field(golden("certificate_request"), "subject", subject)
    field = refused_at(request)
    assert field == ("name" if subject == "MA" else "subject")


def test_the_longest_subject_is_read() -> None:
    subject = base64.urlsafe_b64encode(b"Aster".ljust(1536, b"x")).decode("ascii")
    assert len(subject) == 2048
    request = with_field(golden("certificate_request"), "subject", subject)
    assert rendered(with_field(request, "name", "Aster")).lines[0].endswith("Aster")


@pytest.mark.parametrize("algorithm", ["P-256", "RSA-2048", "RSA-3072"])
def test_the_keys_algorithm_is_shown(algorithm: str) -> None:
    request = with_field(golden("certificate_request"), "algorithm", algorithm)
    assert rendered(request).lines[2] == f"Key: {algorithm}"


@pytest.mark.parametrize("algorithm", ["", "p-256", "RSA-1024", "P-256 "])
def test_another_algorithm_is_refused(algorithm: str) -> None:
    request = with_field(golden("certificate_request"), "algorithm", algorithm)
    assert refused_at(request) == "algorithm"


# --- SMS and push -------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["ru", "en"])
def test_the_longest_sms_still_is_one_logical_sms(lang: str) -> None:
    """R-129: five parts of 67 UCS-2 characters at most, with the longest name of an authority."""
    name = "ab " * 33 + "c"
    text = sms_pairing_code(lang=lang, ca_name=name, twelve=TWELVE, code=CODE)
    assert len(text) <= 5 * 67
    assert "\n" not in text


@pytest.mark.parametrize("lang", ["ru", "en"])
def test_the_sms_holds_no_link_and_the_phones_twelve_characters(lang: str) -> None:
    """T-32."""
    text = sms_pairing_code(lang=lang, ca_name="Demo CA", twelve=TWELVE, code=CODE)
    assert "ABCD 2345 WXYZ" in text
    assert CODE in text
    assert not {"/", "@", "www"} & set(text.split()) | {mark for mark in "/@" if mark in text}


@pytest.mark.parametrize(
    "name",
    [
        "evil.example",
        "https://evil",
        "ca@evil",
        "www.evil",
        "evil/ca",
        "\u202eAC",
        "12",
        "",
        "C\u0410",
    ],
)
def test_an_authority_whose_name_looks_like_a_link_sends_no_sms(name: str) -> None:
    with pytest.raises(SummaryRefused, match=r"^ca_name: "):
        sms_pairing_code(lang="en", ca_name=name, twelve=TWELVE, code=CODE)


@pytest.mark.parametrize(
    "twelve",
    [
        "",
        "ABCD2345WXY",
        "ABCD2345WXYZA",
        "abcd2345wxyz",
        "ABCD 2345 WX",
        "ABCD0189WXYZ",
        "ABCD2345WXYZ\n",
    ],
)
def test_only_twelve_characters_of_base32_name_a_phone(twelve: str) -> None:
    with pytest.raises(SummaryRefused, match=r"^twelve: "):
        sms_pairing_code(lang="en", ca_name="CA", twelve=twelve, code=CODE)


@pytest.mark.parametrize(
    "code", ["", "1234567", "123456789", "1234567a", "1234 678", "\u0661" * 8, "12345678\n"]
)
def test_only_eight_digits_are_a_code(code: str) -> None:
    with pytest.raises(SummaryRefused, match=r"^code: "):
        sms_pairing_code(lang="en", ca_name="CA", twelve=TWELVE, code=code)


# --- chance ------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)
PATHS = (
    "amount",
    "amount.value",
    "payee",
    "payee.name",
    "payee.account",
    "purpose",
    "document",
    "document.date",
    "payments",
    "execute_at",
    "prepared_by",
)


@given(st.sampled_from(sorted(KINDS)), st.dictionaries(st.text(max_size=12), JSON, max_size=4))
def test_whatever_is_asked_is_rendered_or_refused(kind: str, fields: dict[str, object]) -> None:
    request = {"fields": fields | {"type": kind}, "rp_name": "CA", "document_labels": []}
    with contextlib.suppress(SummaryRefused):
        assert rendered(request).lines


@given(st.sampled_from(PATHS), JSON, st.sampled_from(["ru", "en"]))
def test_whatever_stands_in_a_payment_is_rendered_or_refused(
    path: str, value: object, lang: str
) -> None:
    try:
        text = rendered(with_field(golden("payment"), path, value), lang)
    except SummaryRefused:
        return
    assert all(set(line) <= SHOWN | {"\u00a0", "\u00d7"} for line in text.lines)


@given(st.text(alphabet=[*sorted(SHOWN), "\n"], max_size=60), st.sampled_from(["ru", "en"]))
def test_a_description_is_shown_whole_or_not_at_all(description: str, lang: str) -> None:
    """Refused, never cut (T-06)."""
    try:
        text = rendered(with_field(golden("generic_hash_only"), "description", description), lang)
    except SummaryRefused:
        return
    shown = [line.removeprefix("> ") for line in text.lines if line.startswith("> ")]
    assert "\n".join(shown) == description
