"""backend/delivery/sms.py"""

import io
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from backend.delivery.sms import ConsoleGateway, send_sms
from backend.errors import MalformedMessage
from backend.protocol.jose import PublicJwk
from backend.protocol.sms import Sms, seal_sms

MESSAGE = UUID("0e4a3c1e-7a53-4c55-8f5c-6f0d2f4c3a1b")
KEY = ec.generate_private_key(ec.SECP256R1())


def seal(text: str) -> str:
    sms = Sms(number="+79001234567", text=text)
    return seal_sms(sms, PublicJwk.of(KEY.public_key()))


def test_a_text_that_the_sam_sealed_comes_out_as_one_block() -> None:
    stream = io.StringIO()
    send_sms(
        seal("Code 1234 5678.\nTell nobody."),
        message_id=MESSAGE,
        private_key=KEY,
        gateway=ConsoleGateway(stream),
    )
    assert stream.getvalue() == (
        f"+-- SMS to +79001234567 ({MESSAGE})\n| Code 1234 5678.\n| Tell nobody.\n+--\n"
    )


def test_a_text_sealed_to_another_worker_goes_nowhere() -> None:
    stream = io.StringIO()
    with pytest.raises(MalformedMessage):
        send_sms(
            seal("code"),
            message_id=MESSAGE,
            private_key=ec.generate_private_key(ec.SECP256R1()),
            gateway=ConsoleGateway(stream),
        )
    assert stream.getvalue() == ""
