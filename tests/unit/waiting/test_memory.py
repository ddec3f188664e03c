"""What changed when, and that nothing is missed between reading and waiting."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import MalformedMessage
from backend.waiting.memory import Memory

ANNA = "00000000-0000-4000-8000-00000000000a"
BORIS = "00000000-0000-4000-8000-00000000000b"


def changed(memory: Memory, wait_id: str, cursor: str) -> bool:
    return memory.has_changed(wait_id, unverified_cursor=cursor)


def test_what_changed_after_the_cursor_is_told_and_what_changed_before_is_not() -> None:
    memory = Memory()
    memory.keep(ANNA)
    cursor = memory.cursor()
    before = changed(memory, ANNA, cursor)
    memory.keep(ANNA)

    assert not before
    assert changed(memory, ANNA, cursor)
    assert not changed(memory, ANNA, memory.cursor())


def test_another_ids_change_tells_nothing() -> None:
    memory = Memory()
    cursor = memory.cursor()
    memory.keep(BORIS)

    assert not changed(memory, ANNA, cursor)


def test_a_cursor_of_another_boot_is_a_change() -> None:
    assert changed(Memory(), ANNA, Memory().cursor())


def test_a_cursor_that_was_not_given_yet_is_a_change() -> None:
    memory = Memory()
    boot = memory.cursor().partition("-")[0]

    assert changed(memory, ANNA, f"{boot}-1")


def test_a_cursor_from_before_a_gap_is_a_change_and_one_from_after_is_not() -> None:
    memory = Memory()
    before = memory.cursor()
    memory.keep_gap()

    assert changed(memory, ANNA, before)
    assert not changed(memory, ANNA, memory.cursor())


def test_what_is_older_than_the_memory_is_a_change() -> None:
    memory = Memory(most=2)
    first = memory.cursor()
    memory.keep(ANNA)
    second = memory.cursor()
    for number in range(2):
        memory.keep(f"other {number}")

    assert changed(memory, BORIS, first)
    assert not changed(memory, BORIS, second)
    assert not changed(memory, ANNA, second)


BOOT = "0123456789abcdef"
ARABIC_ONE = chr(0x661)


@pytest.mark.parametrize(
    "cursor",
    [
        *("", "-", "0", BOOT, f"{BOOT}-", f"{BOOT}-01", f"{BOOT}--1", f"{BOOT}-1\n", f" {BOOT}-1"),
        *(f"{BOOT.upper()}-1", f"{BOOT}-{'9' * 19}", f"{BOOT}-{ARABIC_ONE}", f"{BOOT}-1" * 1000),
    ],
)
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(MalformedMessage):
        changed(Memory(), ANNA, cursor)


@given(st.lists(st.sampled_from([ANNA, BORIS, "c", "d", "gap"]), max_size=30), st.data())
def test_no_change_is_ever_missed(words: list[str], data: st.DataObject) -> None:
    """Whatever is forgotten: who waits after a cursor hears of each later change of his id."""
    memory = Memory(most=2)
    split = data.draw(st.integers(0, len(words)))
    for word in words[:split]:
        memory.keep_gap() if word == "gap" else memory.keep(word)
    cursor = memory.cursor()
    for word in words[split:]:
        memory.keep_gap() if word == "gap" else memory.keep(word)

    if {ANNA, "gap"} & set(words[split:]):
        assert changed(memory, ANNA, cursor)
    if not words[split:]:
        assert not changed(memory, ANNA, cursor)
