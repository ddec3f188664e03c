"""What is read and written in one go, for batches, is what is read and written member by member."""

import base64

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backend.errors import MalformedMessage
from backend.protocol.encoding import (
    Octets,
    Octets32,
    b64u,
    b64u_all,
    read_message,
    unb64u,
    unb64u_all,
    unb64u_together,
    write_message,
)
from backend.protocol.receipt import ReceiptClaims, SignedItem, sign_receipt
from backend.protocol.tree import Documents, Item, item_texts, tree_root, verify_list
from tests.unit.protocol import cast

DIGESTS = st.sampled_from((32, 48, 64)).flatmap(lambda n: st.binary(min_size=n, max_size=n))
ITEMS = st.builds(
    Item,
    label=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200),
    type=st.sampled_from(("dtbsr", "sdr")),
    hash=DIGESTS.map(Octets),
    document=st.none() | DIGESTS.map(Octets),
)
PARTS = (
    "{", "}", ",", ":", " ", '"', "\\", "0", "-", "é", "=", "+", "_", '"label":"x"', '"type":"csr"',
    '"document":null', '"more":1', "\\ud800", "\\u0041", "1.5", "null", "[", "AAAA",
)  # fmt: skip  # one part is like another


def read_alone(text: str) -> Item | None:
    """As the list's reader does."""
    documents = Documents(root=tree_root((text,)), count=1)
    try:
        return verify_list((text,), expected=documents).items[0]
    except MalformedMessage:
        return None


def read_strictly(text: str) -> Item | None:
    """As every other message is read."""
    try:
        return read_message(text.encode(), Item)
    except MalformedMessage:
        return None


@given(ITEMS)
def test_an_item_is_read_as_it_was_written(item: Item) -> None:
    text = write_message(item).decode()
    assert read_alone(text) == read_strictly(text) == item


@given(ITEMS, st.data())
def test_an_item_that_is_changed_is_read_or_refused_as_any_other_message(
    item: Item, data: st.DataObject
) -> None:
    """No form is let through that the strict reader refuses."""
    text = write_message(item).decode()
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 3)))
    changed = text[:start] + data.draw(st.sampled_from(PARTS)) + text[end:]
    assert read_alone(changed) == read_strictly(changed)


@pytest.mark.parametrize(
    "text",
    [
        '{"label":"x","label":"y","type":"dtbsr","hash":"%s"}',
        '{"label":"x","type":"dtbsr","hash":"%s","document":null}',
        '{"label":"\\ud800","type":"dtbsr","hash":"%s"}',
    ],
    ids=["twice", "null", "surrogate"],
)
def test_what_a_lax_reader_would_let_through_is_refused(text: str) -> None:
    assert read_alone(text % b64u(bytes(32))) is None


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"dtbsr","label":"x","hash":"%s"}',
        '{"label":"x","type":"dtbsr","hash":"%s"} ',
        '{"label":"\\u0041","type":"dtbsr","hash":"%s"}',
    ],
    ids=["order", "space", "escape"],
)
def test_another_form_of_an_item_is_still_read(text: str) -> None:
    """The tree is over the text as it is; how it is written is its maker's."""
    assert read_alone(text % b64u(bytes(32))) is not None


@given(st.lists(DIGESTS, min_size=1, max_size=5))
def test_a_receipt_is_written_as_any_other_message(digests: list[bytes]) -> None:
    claims = ReceiptClaims(
        boot=cast.BOOT,
        number=7,
        iat=cast.NOW,
        tx_hash=Octets32(cast.TX_HASH),
        approval=Octets32(bytes(32)),
        signed=tuple(
            SignedItem(item=Octets32(digest[:32]), hash=Octets(digest)) for digest in digests
        ),
    )
    compact = sign_receipt(claims, key=cast.public(cast.KA), sign=lambda _: bytes(64))
    assert unb64u(compact.split(".")[1]) == write_message(claims)


@given(st.integers(0, 70).flatmap(lambda n: st.lists(st.binary(min_size=n, max_size=n))))
def test_values_of_one_length_are_written_and_read_as_each_alone(values: list[bytes]) -> None:
    texts = [b64u(value) for value in values]
    assert b64u_all(values) == texts
    assert unb64u_all(texts) == values
    assert unb64u_together(texts) == (values if any(values) else None)


@given(st.lists(st.binary(max_size=5)))
def test_values_of_many_lengths_are_written_and_read_as_each_alone(values: list[bytes]) -> None:
    texts = [b64u(value) for value in values]
    assert b64u_all(values) == texts
    assert unb64u_all(texts) == values


TEXTS = st.text(st.sampled_from("ABQgw-_+/= \n\u00e9z9"), max_size=8)


@example(["AAAA", "AA=="])
@example(["AA==", "AAAA"])
@example(["AAAAA", "AAAAA"])
@example(["AA/A", "AAAA"])
@example(["AA+A", "AAAA"])
@given(st.lists(TEXTS, max_size=4) | TEXTS.flatmap(lambda text: st.lists(st.permutations(text))))
def test_together_texts_are_base64url_only_if_each_alone_is(found: list[str | list[str]]) -> None:
    """Of one length or not; a stray bit, another alphabet, padding, a space: all are refused."""
    texts = ["".join(text) for text in found]
    try:
        alone: list[bytes] | None = [unb64u(text) for text in texts]
    except MalformedMessage:
        alone = None
    try:
        together: list[bytes] | None = unb64u_all(texts)
    except MalformedMessage:
        together = None
    assert together == alone


@given(st.lists(ITEMS, min_size=1, max_size=4, unique_by=lambda item: item.hash), st.data())
def test_a_list_is_read_as_each_of_its_items_alone(items: list[Item], data: st.DataObject) -> None:
    """Whatever stands in one text cannot be read as another's, nor as two."""
    texts = list(item_texts(items))
    if data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(texts) - 1))
        at = data.draw(st.integers(0, len(texts[place])))
        more = data.draw(st.sampled_from((*PARTS, "\n", "\n\n", "\n" + texts[0], texts[-1] + "\n")))
        texts[place] = texts[place][:at] + more + texts[place][at:]
    documents = Documents(root=tree_root(texts), count=len(texts))
    try:
        together = list(verify_list(texts, expected=documents).items)
    except MalformedMessage:
        together = []
    alone = [read_strictly(text) for text in texts]
    distinct = len({item.hash for item in alone if item}) == len(texts)
    assert together == (alone if None not in alone and distinct else [])


@given(st.binary(max_size=100))
def test_base64url_is_that_of_the_library(value: bytes) -> None:
    text = base64.urlsafe_b64encode(value).rstrip(b"=").decode()
    assert b64u(value) == text
    assert unb64u(text) == value


@given(st.text(st.sampled_from("AB-_+/= \n\u00e9z9")))
def test_text_is_base64url_only_in_its_one_form(text: str) -> None:
    try:
        value = unb64u(text)
    except MalformedMessage:
        return
    assert base64.urlsafe_b64encode(value).rstrip(b"=").decode() == text
