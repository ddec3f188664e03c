"""A request wakes the phone, by a push service that is as strict as the real ones."""

from pathlib import Path

from backend.virtual_phone.push import PushService
from backend.virtual_phone.transport import Caller, Clock, RequestsHttp
from tests.journeys.conftest import Stage
from tests.world.clock import SettableClock
from tests.world.push_service import running_push_service
from tests.world.service import copy_service, hashes


def test_a_request_wakes_the_phone_and_the_message_says_nothing_of_it(
    certified: Stage, tmp_path: Path, clock: SettableClock
) -> None:
    """Design 5.2: the id and a neutral line, nothing else."""
    ca_file = tmp_path / "ca.pem"
    with running_push_service(ca_out=ca_file, clock=lambda: clock().timestamp()) as at:
        service = copy_service(
            certified.folder, tmp_path / "service", clock=clock, push_hosts=(at.allow_list_entry,)
        )
        phone = service.phone()
        inbox = PushService(
            Caller(RequestsHttp(certificates=ca_file), clock=Clock(), sleep=lambda _seconds: None),
            url=at.base,
        )
        phone.subscribe(inbox)
        asked = service.ask(
            *hashes(1),
            party=service.add_relying_party(name="Very Secret Shop"),
            description="a divorce",
        )
        service.work()
        message = phone.wait_for_push(inbox, wait_seconds=5)
        service.close()

    assert message is not None
    assert message.notification.data.id == str(asked.id)
    shown = f"{message.notification.title} {message.notification.body}"
    assert "Secret" not in shown
    assert "divorce" not in shown
