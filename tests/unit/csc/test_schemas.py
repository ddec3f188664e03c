"""backend/csc/schemas.py and fields.py: what a body may be, before anything else looks at it"""

import base64
import json
from typing import Any

import pytest
from flask import Flask, request
from hypothesis import given
from hypothesis import strategies as st

from backend.csc import schemas
from backend.csc.calls import AuthorizeCall, CheckCall, InfoCall, SignCall
from backend.csc.fields import OWN_WORDS
from backend.csc.schemas import CscBody, load_body
from backend.csc.v1 import ListCall, page
from backend.errors import RequestRefused

APP = Flask(__name__)
AUTHORIZE: dict[str, Any] = {
    "credentialID": "C-1",
    "numSignatures": 1,
    "hashes": ["AAAA"],
    "hashAlgorithmOID": "1.2.3",
}
CALLS: list[tuple[type[CscBody], type[Any]]] = [
    (schemas.AuthorizeBody, AuthorizeCall),
    (schemas.OldAuthorizeBody, AuthorizeCall),
    (schemas.CheckBody, CheckCall),
    (schemas.InfoBody, InfoCall),
    (schemas.SignBody, SignCall),
    (schemas.OldSignBody, SignCall),
    (schemas.OldListBody, ListCall),
]
NAMES = st.sampled_from(
    sorted({field.data_key or name for body, _ in CALLS for name, field in body().fields.items()})
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def load(body: object, schema: type[CscBody], call: type[Any], **foreign: str) -> Any:  # noqa: ANN401  # of the call's type
    data = json.dumps(body).encode()
    context = APP.test_request_context(
        method="POST", data=data, content_type="application/json; charset=utf-8"
    )
    with context:
        return load_body(request, schema, call, foreign=foreign)


@given(st.binary(min_size=1, max_size=64))
def test_hashes_are_read_in_every_form_as_the_same_bytes(digest: bytes) -> None:
    """csc.md, A2."""
    standard = base64.b64encode(digest).decode()
    forms = [standard, standard.rstrip("="), standard.replace("+", "-").replace("/", "_")]

    found = load(AUTHORIZE | {"hashes": forms}, schemas.AuthorizeBody, AuthorizeCall)

    assert set(found.hashes) == {digest}


@pytest.mark.parametrize("wrong", ["A", "A A=", "AA\n==", "ä", "=", "====A", "AA=A", "A" * 101])
def test_csc_95_what_is_no_base64_is_refused(wrong: str) -> None:
    with pytest.raises(RequestRefused, match="Invalid Base64 hash string parameter"):
        load(AUTHORIZE | {"hashes": [wrong]}, schemas.AuthorizeBody, AuthorizeCall)


def test_more_hashes_than_any_approval_may_cover_are_refused() -> None:
    body = AUTHORIZE | {"hashes": ["AAAA"] * 10_001}

    with pytest.raises(RequestRefused, match="Numbers of signatures is too high"):
        load(body, schemas.AuthorizeBody, AuthorizeCall)


def test_what_both_editions_say_is_the_same_call() -> None:
    old = {name: AUTHORIZE[name] for name in ("credentialID", "numSignatures")}

    v1 = load(old | {"hash": ["AAAA"]}, schemas.OldAuthorizeBody, AuthorizeCall)
    v2 = load(AUTHORIZE, schemas.AuthorizeBody, AuthorizeCall)

    assert (v1.credential_id, v1.count, v1.hashes) == (v2.credential_id, v2.count, v2.hashes)


def test_foreign_members_are_named_unless_they_are_null() -> None:
    with pytest.raises(RequestRefused, match="PIN: not here"):
        load(AUTHORIZE | {"PIN": ""}, schemas.AuthorizeBody, AuthorizeCall, PIN="not here")

    assert load(AUTHORIZE | {"PIN": None}, schemas.AuthorizeBody, AuthorizeCall, PIN="not here")


VALID: dict[str, Any] = AUTHORIZE | {
    "hash": ["AAAA"],
    "SAD": "s",
    "signAlgo": "1",
    "userID": "a",
    "handle": "h",
}


@given(st.sampled_from(CALLS), st.dictionaries(NAMES, JSON_VALUES, max_size=6))
def test_csc_10_any_json_object_is_a_call_or_refused(
    kind: tuple[type[CscBody], type[Any]], body: dict[str, Any]
) -> None:
    """Never another error: it comes from outside."""
    schema, call = kind

    try:
        found = load(VALID | body, schema, call)
    except RequestRefused as refused:
        found = str(refused)

    assert isinstance(found, call) or "parameter" in found or found in OWN_WORDS


# --- pages of v1 ------------------------------------------------------------------


def list_call(most: int | None, token: str | None = None) -> ListCall:
    return ListCall(user_id="anna", most=most, page_token=token)


@pytest.mark.parametrize("most", [1, 2, 3, 4, 100])
def test_csc_125_pages_together_are_the_list(most: int) -> None:
    ids = ["a", "b", "c", "d"]
    found: list[str] = []
    told = page(ids, list_call(most))
    found += told["credentialIDs"]
    while "nextPageToken" in told:
        assert len(told["credentialIDs"]) == most
        told = page(ids, list_call(most, told["nextPageToken"]))
        found += told["credentialIDs"]

    assert found == ids


def test_csc_125_without_a_bound_one_page_holds_all() -> None:
    assert page(["a", "b"], list_call(None)) == {"credentialIDs": ["a", "b"]}
    assert page([], list_call(1)) == {"credentialIDs": []}
