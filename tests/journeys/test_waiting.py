"""A phone that waits at `cellkey wait` for what is asked, end to end on PostgreSQL."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from queue import Queue
from threading import Thread

import pytest

from backend.virtual_phone.following import events, lists
from backend.virtual_phone.transactions import Shown
from backend.wiring import utc_now
from tests.world.changing_rows import connected, stop_listening, telling
from tests.world.ports import free_port
from tests.world.service import ANNA, Service, hashes
from tests.world.serving import serving
from tests.world.wait_process import WaitProcess, running_wait


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def service(postgresql_url: str, tmp_path: Path, port: int) -> Iterator[Service]:
    with serving(
        tmp_path,
        clock=utc_now,
        database_url=postgresql_url,
        wait_url=f"http://127.0.0.1:{port}",
    ) as service:
        yield service


@pytest.fixture
def waiting(postgresql_url: str, tmp_path: Path, port: int) -> Iterator[WaitProcess]:
    with telling(postgresql_url), running_wait(postgresql_url, tmp_path, port=port) as process:
        yield process


def test_a_phone_is_woken_approves_and_is_woken_again(
    service: Service, waiting: WaitProcess
) -> None:
    """Request, wake, approve; through a lost connection; and while nothing waits there at all."""
    phone = service.signing_phone(service.register(ANNA))
    shop = service.add_relying_party()
    told: Queue[Shown] = Queue()

    def follow() -> None:
        for event in islice(events(phone), 3):
            assert isinstance(event, Shown)
            told.put(event)

    follower = Thread(target=follow)
    follower.start()
    first = service.ask(*hashes(1, seed="first"), party=shop)
    seen = told.get(timeout=60)
    approved = phone.approve(seen)
    with connected(service.settings.database) as rows:
        stop_listening(rows)
    second = service.ask(*hashes(1, seed="second"), party=shop)
    after_loss = told.get(timeout=60)
    waiting.process.kill()
    third = service.ask(*hashes(1, seed="third"), party=shop)
    without = told.get(timeout=60)
    follower.join()

    assert (seen.id, after_loss.id, without.id) == (str(first.id), str(second.id), str(third.id))
    assert approved == "approved"


def test_the_address_to_wait_at_names_no_cell_and_no_signer(
    service: Service, waiting: WaitProcess
) -> None:
    phone = service.signing_phone(service.register(ANNA))
    address = phone.pending().wait

    assert address is not None
    assert address.startswith(f"{waiting.url}/wait/")
    assert str(service.credential()) not in address
    assert str(service.signer()) not in address
    assert next(lists(phone)).wait == address
