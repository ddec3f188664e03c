"""What must hold before anything is shown (section 6)."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import pytest
from joserfc.jwk import ECKey

from backend.virtual_phone.asks import CheckedAsk, check_documents, read_ask, trust
from backend.virtual_phone.errors import MessageRefused
from backend.virtual_phone.jose import Jwk
from tests.unit.virtual_phone.other_side import (
    NOW,
    OtherSide,
    b64u,
    public,
    sha256,
    signed,
    thumbprint,
)


def ks_of(service: OtherSide) -> Jwk:
    return Jwk(**public(service.ks))


def checked(service: OtherSide, ask: str, items: Sequence[str] = ()) -> CheckedAsk:
    ks = ks_of(service)
    trusted = trust(read_ask(ask, ks=ks), pin=ks.thumbprint(), pinned=ks, keys=())
    return check_documents(trusted, items)


def change(old: ECKey, new: ECKey, /, **claims: object) -> str:
    usual = {"v": 1, "iat": NOW, "old": old.thumbprint(), "new": public(new)}
    return signed(old, typ="cell-keys+jwt", claims=usual | claims)


def test_an_ask_of_the_service_is_read_with_its_documents(service: OtherSide) -> None:
    items = [service.item("Договор.pdf")]
    ask = service.ask(items=items)
    read = checked(service, ask, items)
    assert read.tx_hash == sha256(ask.encode())
    assert read.cell == service.cell.bytes
    assert read.ask.text.lines == ("Сумма: 100 ₽",)
    assert [item.label for item in read.items] == ["Договор.pdf"]


@pytest.mark.parametrize(
    "claims",
    [
        {"v": 2},
        {"kind": "payment"},
        {"note": "x"},
        {"jti": "x"},
        {"jti": str(uuid4()).upper()},
        {"cell": "x"},
        {"epoch": 0},
        {"exp": str(NOW)},
        {"exp": NOW - 1},
        {"use_by": NOW + 299},
        {"rp": {"id": "a", "name": "b", "url": "c"}},
        {"text": {"lang": "en", "title": "a"}},
        {"text": {"lang": "en", "title": "a", "lines": [1]}},
        {"fields": {}},
        {"fields": {"type": 1}},
        {"sam": {"kty": "EC", "crv": "P-256", "x": b64u(bytes(32)), "y": b64u(bytes(32))}},
        {"sam": None},
        {"number_asked": "no"},
        {"documents": {"root": b64u(bytes(32)), "count": 0}},
        {"hash_alg": None},
        {"hash_alg": "MD5"},
        {"documents": None},
        {"documents": {"root": b64u(bytes(32)), "count": 10_001}},
        {"iss": "x" * 501},
        {"rp": {"id": "x" * 201, "name": "x"}},
        {"text": {"lang": "en", "title": "x" * 201, "lines": []}},
        {"text": {"lang": "en", "title": "x", "lines": ["x"] * 101}},
        {"text": {"lang": "en", "title": "x", "lines": ["x" * 2001]}},
        {"fields": {"type": "x"} | {str(number): 0 for number in range(64)}},
        {"key_thumbprints": dict.fromkeys(("approval", "request", "unlock"), "x")},
    ],
)
def test_an_ask_with_another_form_is_refused(service: OtherSide, claims: dict[str, Any]) -> None:
    items = [service.item()]
    with pytest.raises(MessageRefused):
        read_ask(service.ask(items=items, **claims), ks=ks_of(service))


@pytest.mark.parametrize("kind", ["enrol", "amend", "set_password"])
def test_documents_belong_to_no_other_kind(service: OtherSide, kind: str) -> None:
    documents = {"root": b64u(bytes(32)), "count": 1}
    ask = service.ask(kind, documents=documents, hash_alg="SHA-256")
    with pytest.raises(MessageRefused, match="belong to"):
        read_ask(ask, ks=ks_of(service))


def test_an_ask_that_is_missing_a_claim_is_refused(service: OtherSide) -> None:
    ask = signed(service.ks, typ="cell-ask+jwt", claims={"v": 1})
    with pytest.raises(MessageRefused):
        read_ask(ask, ks=ks_of(service))


@pytest.mark.parametrize(
    "typ", ["cell-approval+jwt", "cell-record+jwt", "cell-keys+jwt", "JWT", "dpop+jwt"]
)
def test_another_message_of_the_service_is_no_ask(service: OtherSide, typ: str) -> None:
    message = signed(service.ks, typ=typ, claims={})
    with pytest.raises(MessageRefused, match="of type"):
        read_ask(message, ks=ks_of(service))


def test_an_ask_of_another_service_is_refused_though_it_brings_its_own_key(
    service: OtherSide,
) -> None:
    pinned = ks_of(service)
    other = OtherSide()
    forged = read_ask(other.ask("enrol"), ks=ks_of(other))
    with pytest.raises(MessageRefused, match="this phone knows"):
        trust(forged, pin=pinned.thumbprint(), pinned=pinned, keys=())


def test_a_new_key_of_the_service_is_followed_from_the_pinned_one(service: OtherSide) -> None:
    first, second, third = (ECKey.generate_key("P-256") for _ in range(3))
    pinned = Jwk(**public(second))
    service.ks = ECKey.generate_key("P-256")
    later = ECKey.generate_key("P-256")
    changes = [
        change(first, second),
        change(second, third),
        change(third, service.ks),
        change(service.ks, later),
    ]
    read = read_ask(service.ask("enrol"), ks=ks_of(service))
    assert trust(read, pin=pinned.thumbprint(), pinned=pinned, keys=changes).signed is read


@pytest.mark.parametrize("fault", ["missing", "order", "forged", "old", "type"])
def test_a_chain_of_keys_with_a_fault_is_refused(service: OtherSide, fault: str) -> None:
    first, second, foreign = (ECKey.generate_key("P-256") for _ in range(3))
    good = [change(first, second), change(second, service.ks)]
    wrong = {
        "missing": good[1:],
        "order": good[::-1],
        "forged": [signed(foreign, typ="cell-keys+jwt", claims={}, kid=first.thumbprint())],
        "old": [change(first, second, old=foreign.thumbprint()), good[1]],
        "type": [signed(first, typ="cell-ask+jwt", claims={}), good[1]],
    }
    pinned = Jwk(**public(first))
    read = read_ask(service.ask("enrol"), ks=ks_of(service))
    with pytest.raises(MessageRefused):
        trust(read, pin=pinned.thumbprint(), pinned=pinned, keys=wrong[fault])


def test_a_thumbprint_is_followed_by_the_keys_that_the_chain_brings(service: OtherSide) -> None:
    """At pairing the phone has a thumbprint: the first key introduces itself, the others follow."""
    first, second = ECKey.generate_key("P-256"), ECKey.generate_key("P-256")
    chain = [change(first, first), change(first, second), change(second, service.ks)]
    read = read_ask(service.ask("enrol"), ks=ks_of(service))
    for pin in (first, second, service.ks):
        trusted = trust(read, pin=thumbprint(pin), pinned=None, keys=chain)
        assert trusted.signed is read


def test_a_change_is_not_followed_from_a_thumbprint_whose_key_nobody_brings(
    service: OtherSide,
) -> None:
    first = ECKey.generate_key("P-256")
    read = read_ask(service.ask("enrol"), ks=ks_of(service))
    with pytest.raises(MessageRefused, match="not known"):
        trust(read, pin=thumbprint(first), pinned=None, keys=[change(first, service.ks)])


def test_a_key_that_introduces_itself_is_not_trusted_for_that(service: OtherSide) -> None:
    thief = ECKey.generate_key("P-256")
    pin, service.ks = thumbprint(service.ks), thief
    read = read_ask(service.ask("enrol"), ks=ks_of(service))
    with pytest.raises(MessageRefused, match="this phone knows"):
        trust(read, pin=pin, pinned=None, keys=[change(thief, thief)])


def test_an_endless_chain_of_keys_is_not_followed(service: OtherSide) -> None:
    pinned = ks_of(service)
    read = read_ask(service.ask("enrol"), ks=pinned)
    with pytest.raises(MessageRefused, match="more than"):
        trust(read, pin=pinned.thumbprint(), pinned=pinned, keys=["a.b.c"] * 33)


def test_another_list_than_the_asks_is_refused(service: OtherSide) -> None:
    with pytest.raises(MessageRefused, match="not those of the ask"):
        checked(service, service.ask(items=[service.item()]), [service.item()])


def test_documents_beside_an_ask_without_any_are_refused(service: OtherSide) -> None:
    with pytest.raises(MessageRefused, match="has none"):
        checked(service, service.ask("enrol"), [service.item()])


def test_a_certificate_request_is_about_one_csr_and_nothing_else_is(service: OtherSide) -> None:
    request = service.item("Иванов Иван", kind="csr")
    document = service.item()
    kind = "certificate_request"
    assert checked(service, service.ask(kind, items=[request]), [request]).items
    for items in ([document], [request, document], [request, service.item(kind="csr")]):
        with pytest.raises(MessageRefused, match="exactly one csr"):
            checked(service, service.ask(kind, items=items), items)
    with pytest.raises(MessageRefused, match="by SHA-256"):
        checked(service, service.ask(kind, items=[request], hash_alg="SHA-384"), [request])
    with pytest.raises(MessageRefused, match="belongs to"):
        checked(service, service.ask(items=[document, request]), [document, request])
