"""SMS is switched off: a SAM that writes a text all the same makes the test fail.

The settings of the tests' world say so (``CELLKEY_SMS_GATEWAY=off``), and this watches over them: a
fixture that forgot it does not pass. Tests of what a text is for have the mark ``sms``.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from backend.protocol.sms import Sms

WRITERS = ("backend.sam.sms_texts", "backend.sam.module")
"""What of the SAM seals a text."""


@contextmanager
def without_texts() -> Iterator[None]:
    """Let no SAM of this process seal a text."""
    with pytest.MonkeyPatch.context() as patch:
        for writer in WRITERS:
            patch.setattr(f"{writer}.seal_sms", _refuse)
        yield


def _refuse(_sms: Sms, _worker_key: object) -> str:
    raise AssertionError("SMS is switched off: mark the test `sms`, or ask without a text")
