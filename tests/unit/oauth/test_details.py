"""backend/oauth/details.py and request.py: whatever comes is read or refused, nothing else."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import RequestRefused
from backend.oauth.asking import ascii_words
from backend.oauth.details import read_details, read_entry, same
from backend.oauth.request import read_request

HASH = "A" * 43
ENTRY = {
    "type": "credential",
    "credentialID": "C",
    "documentDigests": [{"hash": HASH}],
    "hashAlgorithmOID": "2.16.840.1.101.3.4.2.1",
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
NAMES = st.sampled_from(
    [*ENTRY, "numSignatures", "signatureQualifier", "transaction", "locations", "other"]
)


@given(st.dictionaries(NAMES, JSON))
def test_a_hostile_entry_is_read_or_refused(changed: dict[str, object]) -> None:
    """T-35."""
    text = json.dumps([ENTRY | changed])
    try:
        entry = read_entry(text)
        hashes = read_details(entry).hashes()
    except RequestRefused as refusal:
        hashes, entry, text = (), {}, ascii_words(refusal)
    if not hashes:
        assert text.isascii()
        return
    assert same(entry, text)


@given(st.text(max_size=60))
def test_a_hostile_text_is_no_entry(text: str) -> None:
    with pytest.raises(RequestRefused):
        read_entry(text)
    assert not same(ENTRY, text)


PARAMETERS = st.sampled_from(
    [
        *("state", "hashes", "hash", "numSignatures", "hashAlgorithmOID", "credentialID", "lang"),
        *("description", "authorization_details", "code_challenge", "code_challenge_method"),
        *("dpop_jkt", "redirect_uri"),
    ]
)


@given(
    st.dictionaries(PARAMETERS, st.text(max_size=60)), st.sampled_from(["service", "credential"])
)
def test_a_hostile_request_is_read_or_refused(changed: dict[str, str], scope: str) -> None:
    given_parameters = {
        "code_challenge": "a" * 43,
        "code_challenge_method": "S256",
        "credentialID": "C",
        "numSignatures": "1",
        "hashes": HASH,
        "hashAlgorithmOID": "2.16.840.1.101.3.4.2.1",
    }
    try:
        read = read_request(
            given_parameters | changed, redirect_uri="https://a.example", scope=scope
        )
    except RequestRefused:
        return
    assert read.scope == scope


def test_an_error_description_has_only_the_characters_it_may_have() -> None:
    """RFC 6749, 4.1.2.1."""
    told = ascii_words('ä"\\\n\x00ok')

    assert told == "?'/  ok"
