"""An SMS travels sealed to the worker; the web tier cannot read it (design, 9)."""

import msgspec
import pytest

from backend.errors import MalformedMessage
from backend.protocol.sms import Sms, open_sms, seal_sms
from tests.unit.protocol import by_hand, cast
from tests.unit.protocol.cast import EPHEMERAL

WORKER = by_hand.private_key("worker")
SMS = Sms(number="+79161234567", text="Код 12345678: никому не говорите.")


def sealed(text: bytes, *, typ: str = "cell-sms", apv: bytes = b"cell-sms-v1") -> str:
    return by_hand.jwe(
        text,
        recipient=WORKER.public_key(),
        ephemeral=EPHEMERAL,
        nonce=bytes(12),
        head=by_hand.seal_header(typ, EPHEMERAL, apv=apv),
    )


def test_the_worker_reads_what_the_sam_wrote() -> None:
    compact = seal_sms(SMS, cast.public(WORKER))
    assert open_sms(compact, WORKER) == SMS
    assert msgspec.json.decode(by_hand.open_jwe(compact, WORKER)) == msgspec.to_builtins(SMS)


def test_nobody_else_reads_it() -> None:
    with pytest.raises(MalformedMessage):
        open_sms(seal_sms(SMS, cast.public(WORKER)), cast.KS)


GOOD = msgspec.json.encode(SMS)


def test_only_a_text_message_sealed_for_this_use_is_one() -> None:
    assert open_sms(sealed(GOOD), WORKER) == SMS
    for compact in (
        sealed(GOOD, typ="cell-secret"),
        sealed(GOOD, typ="cell-lock"),
        sealed(GOOD, apv=b""),
        sealed(b""),
        sealed(bytes(32)),
        sealed(b"{}"),
        sealed(GOOD.replace(b"+7", b"+0")),
        sealed(GOOD.replace(b"+7", b"7")),
        sealed(GOOD.replace(b"+79161234567", b"+123456")),
        sealed(GOOD.replace(b"4567", b"4567890123")),
        sealed(GOOD.replace(b'"text":"', b'"text":"' + b"x" * 1000)),
        sealed(b'{"number":"+79161234567","text":""}'),
        sealed(GOOD[:-1] + b',"to":"x"}'),
    ):
        with pytest.raises(MalformedMessage):
            open_sms(compact, WORKER)
