"""Registration and the envelope, with a real SAM, on both databases."""

from tests.world.counter import Counter


def test_x(enrolled: Counter) -> None:
    assert enrolled.confirm(enrolled.send_code()) == "confirmed"
