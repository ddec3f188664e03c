"""backend/delivery/sms.py"""

import asyncio
import io
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from backend.delivery.sms import ConsoleGateway, open_text
from backend.errors import MalformedMessage
from backend.protocol.jose import PublicJwk
from backend.protocol.sms import Sms, seal_sms
from tests.world.clock import START

MESSAGE = UUID("0e4a3c1e-7a53-4c55-8f5c-6f0d2f4c3a1b")
KEY = ec.generate_private_key(ec.SECP256R1())


def seal(text: str) -> str:
    sms = Sms(number="+79001234567", text=text)
    return seal_sms(sms, PublicJwk.of(KEY.public_key()))


def test_a_text_that_the_sam_sealed_comes_out_as_one_block() -> None:
    stream = io.StringIO()
    sms = open_text(
        seal("Code 1234 5678.\nTell nobody."),
        message_id=MESSAGE,
        expires_at=START,
        private_key=KEY,
    )
    asyncio.run(ConsoleGateway(stream).send(sms))
    assert stream.getvalue() == (
        f"+-- SMS to +79001234567 ({MESSAGE})\n| Code 1234 5678.\n| Tell nobody.\n+--\n"
    )


def test_a_text_sealed_to_another_worker_goes_nowhere() -> None:
    with pytest.raises(MalformedMessage):
        open_text(
            seal("code"),
            message_id=MESSAGE,
            expires_at=START,
            private_key=ec.generate_private_key(ec.SECP256R1()),
        )


def test_an_open_text_says_nothing_of_itself_where_it_might_be_printed() -> None:
    sms = open_text(seal("Code 1234 5678"), message_id=MESSAGE, expires_at=START, private_key=KEY)
    assert repr(sms) == f"OutgoingSms({MESSAGE})"


def test_what_is_sent_again_has_the_same_reference() -> None:
    """So a phone that gets parts of both makes one text of them."""
    sealed = seal("a" * 161)
    first, again = (
        open_text(sealed, message_id=MESSAGE, expires_at=START, private_key=KEY) for _ in range(2)
    )
    assert first.parts == again.parts
    assert first.parts[0].header[3] == MESSAGE.bytes[-1]
