"""``credentials/authorize`` of v2: what cannot be asked or shown asks nobody."""

import pytest
from sqlalchemy import func, select

from backend.model.tables import AuthorisedHash, OutboxMessage, Transaction
from tests.unit.summary.declared import whole
from tests.unit.summary.requests import golden, with_field
from tests.world.csc_client import (
    INVALID,
    MD5,
    PAYMENT,
    SHA1,
    SHA512,
    CscClient,
    refusal,
    times_asked,
    words,
)
from tests.world.service import hashes

ONE = hashes(1)


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"credentialID": ...}, "Missing (or invalid type) string parameter credentialID"),
        ({"credentialID": 7}, "Missing (or invalid type) string parameter credentialID"),
        ({"credentialID": "unknown"}, "Invalid parameter credentialID"),
        (
            {"credentialID": "0b7f5f9e-7d1c-4a5e-9f39-2f2c0c3f7a11"},
            "Invalid parameter credentialID",
        ),
        ({"numSignatures": ...}, "Missing (or invalid type) integer parameter numSignatures"),
        ({"numSignatures": "1"}, "Missing (or invalid type) integer parameter numSignatures"),
        ({"numSignatures": True}, "Missing (or invalid type) integer parameter numSignatures"),
        ({"numSignatures": 0}, "Invalid value for parameter numSignatures"),
        ({"numSignatures": -1}, "Invalid value for parameter numSignatures"),
        ({"numSignatures": 101}, "Numbers of signatures is too high"),
    ],
)
def test_csc_77_a_wrong_credential_or_number_asks_nobody(
    calm_shop: CscClient, members: dict[str, object], said: str
) -> None:
    answer = calm_shop.authorize(*ONE, **members)

    assert refusal(answer) == INVALID
    assert words(answer) == said
    assert times_asked(calm_shop.service) == 0


@pytest.mark.parametrize(
    "members",
    [
        {"hashes": ...},
        {"hashes": None},
        {"hashes": "text"},
        {"hashes": []},
        {"hashes": [7]},
        {"hashes": ["!"]},
        {"hashes": ["A" * 400]},
        {"hashes": ["AAAA"]},
        {"numSignatures": 2},
        {"hashAlgorithmOID": ...},
        {"hashAlgorithmOID": SHA1},
        {"hashAlgorithmOID": MD5},
        {"hashAlgorithmOID": SHA512},
        {"hashAlgorithmOID": 7},
        {"hashAlgorithmOID": "x" * 5000},
    ],
    ids=str,
)
def test_csc_78_without_fitting_hashes_nobody_is_asked(
    calm_shop: CscClient, members: dict[str, object]
) -> None:
    """SCAL 2."""
    assert refusal(calm_shop.authorize(*ONE, **members)) == INVALID
    assert times_asked(calm_shop.service) == 0


def test_csc_78_a_hash_stands_once(calm_shop: CscClient) -> None:
    assert refusal(calm_shop.authorize(*ONE, *ONE)) == INVALID
    assert times_asked(calm_shop.service) == 0


def test_csc_78_a_p_256_key_is_asked_for_sha_256_alone(calm_shop: CscClient) -> None:
    assert refusal(calm_shop.authorize(bytes(64), hashAlgorithmOID=SHA512)) == INVALID


@pytest.mark.parametrize(
    "auth_data",
    [[{"id": "sms"}], [{"id": "app", "value": "1234"}], [{"id": "app"}, {"id": "pin"}]],
    ids=str,
)
def test_csc_79_134_what_would_pass_through_the_caller_is_refused(
    calm_shop: CscClient, auth_data: object
) -> None:
    """CSC-134: nothing that the relying party hands in can stand for the phone."""
    answer = calm_shop.authorize(*ONE, authData=auth_data)

    assert refusal(answer) == (400, "invalid_authentication_data")
    assert times_asked(calm_shop.service) == 0


@pytest.mark.parametrize(
    "auth_data", ["app", {"id": "app"}, ["app"], [{}], [{"id": 7}], [{"id": "app"}] * 11], ids=str
)
def test_csc_10_auth_data_is_an_array_of_objects(calm_shop: CscClient, auth_data: object) -> None:
    answer = calm_shop.authorize(*ONE, authData=auth_data)

    assert refusal(answer) == INVALID
    assert "authData" in words(answer)


@pytest.mark.parametrize(
    "members",
    [
        {"description": "x" * 501},
        {"description": 7},
        {"description": "\N{RIGHT-TO-LEFT OVERRIDE}"},
        {"description": "and so", "transaction": PAYMENT},
        {"transaction": "payment"},
        {"transaction": {}},
        {"transaction": {"type": "certificate_request"}},
        {"transaction": PAYMENT | {"amount": {"value": "12500", "currency": "RUB"}}},
        {"transaction": PAYMENT | {"unknown": "member"}},
        {"labels": "one"},
        {"labels": []},
        {"labels": ["one", "two"]},
        {"labels": [7]},
        {"labels": [None]},
        {"labels": [""]},
        {"labels": ["x" * 201]},
        {"labels": ["line\nbreak"]},
        {"labels": ["nothing\x00"]},
    ],
    ids=str,
)
def test_csc_82_what_cannot_be_shown_to_the_signer_is_refused(
    calm_shop: CscClient, members: dict[str, object]
) -> None:
    """T-06: hostile text is refused, never cut or mended."""
    assert refusal(calm_shop.authorize(*ONE, **members)) == INVALID
    assert times_asked(calm_shop.service) == 0


@pytest.mark.parametrize("member", ["hash", "hashAlgo", "PIN", "OTP"])
def test_csc_129_members_of_v1_are_refused_by_name(calm_shop: CscClient, member: str) -> None:
    answer = calm_shop.authorize(*ONE, **{member: "x"})

    assert refusal(answer) == INVALID
    assert words(answer).startswith(f"{member}: ")


HOSTILE = (
    ("payment", "payee.name", "\u0421\u0431\u0435p\u0431\u0430\u043d\u043a"),  # a Latin p
    ("payment", "purpose", "pay\u202e005"),
    ("payment", "payee.bank", "Bank\u200b"),
    ("tender_bid", "tender.subject", "Paper\n\n\n\n\n\n\n\n\n1.00"),
    ("tender_bid", "customer", "x" * 161),
    ("invoice", "seller", "\uff2f\uff2f\uff2f"),
    ("act", "work", "e\u0301" * 20),
    ("waybill", "goods", "\x1b[2J"),
    ("waybill", "carrier", "\U000e0041"),
    ("register", "payer.name", "12345"),
    ("register", "prepared_by.family", "Petrov  "),
    ("package", "counterparty", "\u0661\u0662"),
    ("generic", "description", "." * 300),
)
"""Kind, field and text."""


@pytest.mark.parametrize(("kind", "path", "text"), HOSTILE, ids=ascii)
def test_csc_82_hostile_text_is_refused_by_the_fields_name_and_leaves_nothing(
    calm_shop: CscClient, kind: str, path: str, text: str
) -> None:
    """T-06: the relying party's programmer learns what to mend; nobody is asked, or woken."""
    before = rows(calm_shop)
    request = with_field(golden(whole(kind)), path, text)
    labels = request["document_labels"]

    answer = calm_shop.authorize(*hashes(len(labels)), transaction=request["fields"], labels=labels)

    assert refusal(answer) == INVALID
    assert words(answer).startswith(f"{path}: ")
    assert text not in words(answer)
    assert rows(calm_shop) == before


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["Act 1", "Act\u2028 2"], "documents[1].label: has U+2028, which is not shown"),
        (["Act 1", "20 \u00d7 Act"], "documents[1].label: has U+00D7, which is not shown"),
    ],
)
def test_csc_82_a_hostile_label_is_refused_by_its_place(
    calm_shop: CscClient, labels: list[str], said: str
) -> None:
    answer = calm_shop.authorize(*hashes(2), labels=labels)

    assert refusal(answer) == INVALID
    assert words(answer) == said


def test_half_of_a_surrogate_pair_is_no_json_here(calm_shop: CscClient) -> None:
    """JSON can spell it; what cannot be written as UTF-8 is not read at all."""
    before = rows(calm_shop)

    answer = calm_shop.authorize(*ONE, transaction=PAYMENT | {"purpose": "A\ud83d"})

    assert refusal(answer) == INVALID
    assert rows(calm_shop) == before


def test_csc_82_a_smuggled_document_is_refused_by_the_contents(calm_shop: CscClient) -> None:
    """T-33: thirty are counted, thirty-one are to be signed."""
    request = golden("package")

    answer = calm_shop.authorize(*hashes(31), transaction=request["fields"])

    assert refusal(answer) == INVALID
    assert words(answer) == "contents: counts 30 documents, the list has 31"
    assert times_asked(calm_shop.service) == 0


def rows(shop: CscClient) -> list[int]:
    """How many rows there are of whatever an ask writes."""
    with shop.service.sessions() as session:
        return [
            session.scalar(select(func.count()).select_from(table)) or 0
            for table in (Transaction, AuthorisedHash, OutboxMessage)
        ]
