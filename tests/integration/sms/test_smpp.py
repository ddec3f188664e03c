"""Texts to an SMS centre that is not ours (npm's `smpp`), by the worker and both databases."""

import logging
import re

import pytest

from backend.delivery.segmenter import segments
from backend.delivery.sms_reports import SmsState
from tests.integration.sms.conftest import Smpp
from tests.world.sms_centre import Centre, together
from tests.world.texts import NUMBER, RUSSIAN, Texts
from tests.world.worker import eventually, running


def test_a_russian_text_of_several_parts_arrives_to_the_letter(
    texts: Texts, centre: Centre, smpp: Smpp
) -> None:
    texts.add()
    texts.send(smpp())
    parts = centre.wait_for_texts(3)
    assert together(parts) == RUSSIAN
    assert {(part["to"], part["from"]) for part in parts} == {(NUMBER[1:], "Cellkey")}
    assert {part["coding"] for part in parts} == {8}
    assert {part["valid"] for part in parts} == {300}
    assert {part["report"] for part in parts} == {1}
    assert [tuple(part["ton"]) for part in parts] == [(5, 0, 1, 1)] * 3
    assert texts.row().sent_at == texts.clock()
    assert texts.progress().state is SmsState.SENT
    assert centre.wait_for("unbind")


@pytest.mark.parametrize(
    "text", ["Code 1234 5678 for {K7QW-2XPA}, 10 €.", "`a` 'b' §", "x|" * 100, "№ 5, ₽ 7"]
)
def test_no_character_is_changed_on_the_way(
    texts: Texts, centre: Centre, smpp: Smpp, text: str
) -> None:
    texts.add(text)
    texts.send(smpp())
    parts = centre.wait_for_texts(len(segments(text, reference=0)))
    assert (together(parts) if parts[0]["header"] else parts[0]["message"]) == text


@pytest.mark.parametrize(
    ("sender", "ton"), [("Cellkey", [5, 0]), ("+79990001122", [1, 1]), ("5544", [3, 0])]
)
def test_a_sender_is_a_name_or_a_number_or_a_short_one(
    texts: Texts, centre: Centre, smpp: Smpp, sender: str, ton: list[int]
) -> None:
    texts.add("Code")
    texts.send(smpp(sender=sender))
    (part,) = centre.wait_for_texts(1)
    assert (part["from"], part["ton"][:2]) == (sender.removeprefix("+"), ton)


def test_a_text_is_delivered_when_all_its_parts_are(
    texts: Texts, centre: Centre, smpp: Smpp
) -> None:
    texts.add()
    with running(texts.worker(smpp())):
        first, second, third = (part["id"] for part in centre.wait_for_texts(3))
        # The text form, and the optional members.
        centre.report(first, "DELIVRD")
        assert centre.wait_for("delivered")["status"] == 0
        centre.report(third, "DELIVRD", message_state=2)
        assert centre.wait_for("delivered")["status"] == 0
        eventually(lambda: texts.progress().state is SmsState.SENT)
        # What is not final says nothing.
        centre.report(second, "ENROUTE", message_state=1)
        assert centre.wait_for("delivered")["status"] == 0
        assert texts.progress().state is SmsState.SENT
        centre.report(second, "DELIVRD", message_state=2)
        assert centre.wait_for("delivered")["status"] == 0
        assert texts.progress().state is SmsState.DELIVERED
        assert texts.progress().delivered_at == texts.clock()
        # A late word against it changes nothing.
        centre.report(second, "UNDELIV", message_state=5)
        centre.wait_for("delivered")
        assert texts.progress().state is SmsState.DELIVERED


def test_a_failure_is_recorded_with_its_reason_and_nothing_of_the_text(
    texts: Texts, centre: Centre, smpp: Smpp
) -> None:
    texts.add("Code 1234")
    with running(texts.worker(smpp())):
        (part,) = centre.wait_for_texts(1)
        centre.report(part["id"], "UNDELIV")
        centre.wait_for("delivered")
    progress = texts.progress()
    assert (progress.state, progress.reason) == (SmsState.FAILED, "undeliverable, error 00b")


def test_another_worker_writes_a_report_down_too(texts: Texts, centre: Centre, smpp: Smpp) -> None:
    """Who sent the text is gone; its name of the text is in the row."""
    texts.add("Code 1234")
    texts.send(smpp())
    (part,) = centre.wait_for_texts(1)
    centre.wait_for("bind")
    with running(texts.worker(smpp())):
        centre.wait_for("bind")
        centre.report(part["id"], "DELIVRD", message_state=2)
        assert centre.wait_for("delivered")["status"] == 0
    assert texts.progress().state is SmsState.DELIVERED


def test_a_report_of_an_unknown_text_is_asked_for_once_more_and_no_more(
    texts: Texts, centre: Centre, smpp: Smpp
) -> None:
    with running(texts.worker(smpp())):
        centre.wait_for("bind")
        centre.report("strange", "DELIVRD")
        assert centre.wait_for("delivered")["status"] == 0x64
        centre.report("strange", "DELIVRD")
        assert centre.wait_for("delivered")["status"] == 0


def test_what_is_no_report_is_taken_and_forgotten(texts: Texts, centre: Centre, smpp: Smpp) -> None:
    with running(texts.worker(smpp())):
        centre.wait_for("bind")
        centre.order("deliver", pdu={"esm_class": 0, "short_message": "STOP"})
        assert centre.wait_for("delivered")["status"] == 0
        centre.order("deliver", pdu={"esm_class": 4, "short_message": "no name in it"})
        assert centre.wait_for("delivered")["status"] == 0


def test_a_centre_that_throttles_gets_the_text_later(
    texts: Texts, centre: Centre, smpp: Smpp
) -> None:
    centre.tell(throttle=1)
    texts.add("Code")
    texts.send(smpp())
    row = texts.row()
    assert (row.sent_at, row.dead_at, row.attempts) == (None, None, 1)
    assert row.last_error == "the SMS centre takes no more now"
    assert row.is_counted, "it was surely not taken, so it keeps its place"
    assert row.due_at > texts.clock()
    texts.clock.advance(seconds=7)
    texts.send(smpp())
    assert texts.row().sent_at == texts.clock()
    assert len(centre.wait_for_texts(1)) == 1


def test_a_later_part_waits_in_place_so_that_the_first_is_not_paid_for_twice(
    texts: Texts, centre: Centre, smpp: Smpp
) -> None:
    centre.tell(throttleLater=1)
    texts.add()
    texts.send(smpp())
    assert together(centre.wait_for_texts(3)) == RUSSIAN
    centre.wait_for("throttled")
    assert (texts.row().sent_at, texts.row().attempts) == (texts.clock(), 1)


def test_a_number_that_the_centre_refuses_is_a_dead_letter(
    texts: Texts, centre: Centre, smpp: Smpp
) -> None:
    centre.tell(refuse=0x0B)
    texts.add("Code")
    texts.send(smpp())
    assert texts.row().last_error == "the SMS centre refused the text: status 11"
    assert texts.progress().state is SmsState.FAILED


def test_any_other_error_is_tried_again(texts: Texts, centre: Centre, smpp: Smpp) -> None:
    centre.tell(refuse=0x08)
    texts.add("Code")
    texts.send(smpp())
    assert texts.row().last_error == "the SMS centre answered status 8"
    assert texts.row().dead_at is None


def test_a_text_of_which_a_part_was_taken_counts_again(
    texts: Texts, centre: Centre, smpp: Smpp
) -> None:
    centre.tell(refuseLater=0x08)
    texts.add()
    texts.send(smpp())
    assert texts.row().last_error == "the SMS centre answered status 8"
    assert not texts.row().is_counted


def test_a_lost_connection_is_made_again_and_what_nobody_knows_of_is_sent_again(
    texts: Texts, centre: Centre, smpp: Smpp
) -> None:
    """At least once: the second time with the same reference, and counted again."""
    centre.tell(hold=True)
    texts.add()
    with running(texts.worker(smpp())):
        (first,) = centre.wait_for_texts(1)
        centre.order("drop")
        eventually(lambda: texts.row().last_error is not None)
        assert not texts.row().is_counted
        centre.tell(hold=False)
        for _ in range(2):
            centre.wait_for("bind")
        texts.clock.advance(seconds=2)
        again = centre.wait_for_texts(3)
        assert again[0]["header"] == first["header"]
        eventually(lambda: texts.row().sent_at is not None)
    assert together(again) == RUSSIAN
    assert texts.row().attempts == 2


def test_a_centre_that_leaves_is_bound_to_again(texts: Texts, centre: Centre, smpp: Smpp) -> None:
    with running(texts.worker(smpp())):
        centre.wait_for("bind")
        centre.order("unbind")
        centre.wait_for("bind")
        texts.add("Code")
        assert len(centre.wait_for_texts(1)) == 1


def test_a_centre_that_asks_is_answered(texts: Texts, centre: Centre, smpp: Smpp) -> None:
    with running(texts.worker(smpp())):
        centre.wait_for("bind")
        centre.order("enquire")
        assert centre.wait_for("answered")


@pytest.mark.parametrize(
    "noise",
    [
        "00000000",  # a length that is none
        "7fffffff8000000400000000000000010a",  # as long as memory
        "000000100000000500000000",  # half a PDU, then nothing
        "00000011000000050000000000000001ff",  # a report that ends in the middle
    ],
)
def test_noise_ends_a_connection_at_most(
    texts: Texts, centre: Centre, smpp: Smpp, noise: str
) -> None:
    with running(texts.worker(smpp())):
        centre.wait_for("bind")
        centre.order("raw", hex=noise)
        centre.order("drop")
        centre.wait_for("bind")
        texts.add("Code")
        assert len(centre.wait_for_texts(1)) == 1


def test_a_centre_that_does_not_know_us_is_said_to_the_administrator(
    texts: Texts, centre: Centre, smpp: Smpp, caplog: pytest.LogCaptureFixture
) -> None:
    texts.add("Code")
    with running(texts.worker(smpp(password="wrong", connection_seconds=0.1))):
        eventually(lambda: "the SMS gateway does not know us: no text leaves" in caplog.text)
        eventually(lambda: texts.row().last_error is not None)
    row = texts.row()
    assert (row.last_error, row.sent_at) == ("there is no connection to the SMS centre", None)
    assert row.is_counted


def test_no_more_wait_for_an_answer_than_the_window_holds(
    texts: Texts, centre: Centre, smpp: Smpp
) -> None:
    centre.tell(hold=True)
    for number in range(30):
        texts.add(f"text {number}")
    with running(texts.worker(smpp())):
        eventually(lambda: len(centre.taken()) >= 8)
        assert len(centre.taken()) <= 10
        centre.tell(hold=False)
        centre.order("release")
        eventually(lambda: all(row.sent_at for row in texts.rows()))
    assert sorted(part["message"] for part in centre.taken()) == sorted(
        f"text {number}" for number in range(30)
    )


def test_neither_text_nor_number_is_ever_in_the_log(
    texts: Texts, centre: Centre, smpp: Smpp, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    texts.add()
    with running(texts.worker(smpp())):
        parts = centre.wait_for_texts(3)
        centre.report(parts[0]["id"], "UNDELIV")
        centre.wait_for("delivered")
        centre.order("drop")
        for _ in range(2):
            centre.wait_for("bind")
    assert not re.search(r"1234|Площадка|041f043b043e0449|Secret|9001234567", caplog.text)
