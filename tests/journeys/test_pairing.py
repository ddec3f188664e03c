"""A phone is paired, through HTTP, with the real SAM and the reference client."""

from backend.devices.envelope import Envelope
from tests.world.service import Service


def test_a_phone_is_paired_by_the_code_and_gets_its_certificate(
    service: Service, envelope: Envelope
) -> None:
    phone = service.phone()

    progress = phone.pair_start(service.applicant(envelope))
    tries = phone.send_code()
    sms = service.work()[-1]
    confirmed = phone.pair_confirm(sms.code)
    code = phone.recovery_code()
    service.certify(phone)

    assert progress.confirmation == ("sms",)
    assert progress.twelve.replace("-", " ") in sms.text
    assert tries == 3
    assert confirmed
    assert code
    assert not phone.pending().transactions
