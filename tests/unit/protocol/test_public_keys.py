"""The file by which other processes know the service's keys."""

import msgspec
import pytest

from backend.errors import MalformedMessage
from backend.protocol.encoding import write_message
from backend.protocol.public_keys import PublicKeys, read_public_keys
from tests.unit.protocol import by_hand, cast

KEYS = PublicKeys(ks=cast.public(cast.KS), ka=cast.public(cast.KA), keys=("one", "two"))


def test_the_file_is_read_as_it_was_written() -> None:
    assert read_public_keys(write_message(KEYS)) == KEYS


def test_a_file_without_form_is_refused() -> None:
    good = msgspec.json.decode(write_message(KEYS))
    wrong_files: tuple[object, ...] = (
        {"ks": good["ks"], "ka": good["ka"]},
        good | {"ks": good["ks"] | {"d": "AQ"}},
        good | {"keys": ["x"] * 33},
        good | {"keys": ["x" * 65_537]},
        good | {"kp": "AQ"},
        [],
    )
    for wrong in wrong_files:
        with pytest.raises(MalformedMessage):
            read_public_keys(by_hand.compact_json(wrong))
