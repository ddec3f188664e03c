"""The waiting page where `cellkey wait` tells what changes: on PostgreSQL, in a real browser."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Request, expect
from sqlalchemy import update

from backend.model.tables import Transaction
from backend.wiring import utc_now
from tests.world.changing_rows import telling
from tests.world.chromium import OpenPage, another_page, wait_until
from tests.world.oauth_client import OauthClient, an_oauth_client
from tests.world.ports import free_port
from tests.world.postgres import Postgres
from tests.world.service import NEW_PASSWORD, hashes
from tests.world.serving import serving
from tests.world.shop_door import ShopDoor
from tests.world.wait_process import running_wait

NO_PAUSE_ENDS = """
const begin = window.setTimeout;
window.setTimeout = (work, ms, ...rest) => (ms > 1000 ? 0 : begin(work, ms, ...rest));
Math.random = () => 1;  // so that each pause of the script is longer
AbortSignal.timeout = undefined;  // a look may take as long as it does
"""
"""The page looks when it is told, and by itself never."""
MOST_LOOKS = 10
"""It needs four: the stream opens, the message moves, the phone opens it, the phone approves."""


@pytest.fixture(scope="module")
def shop(
    postgres: Postgres, postgres_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OauthClient]:
    """A relying party of a service whose pages wait at `cellkey wait`."""
    folder, port = tmp_path_factory.mktemp("told"), free_port()
    name = postgres.create_database(like=postgres_template)
    url, wait_url = postgres.url(name), f"http://127.0.0.1:{port}"
    with (
        serving(folder, clock=utc_now, database_url=url, wait_url=wait_url) as service,
        telling(url),
        running_wait(url, folder, port=port, pages_url=service.settings.authorization_server_url),
    ):
        service.signing_phone(service.register())
        yield an_oauth_client(service)
    postgres.drop_database(name)


def test_the_page_looks_when_it_is_told_and_goes_on_after_the_approval(
    shop: OauthClient, open_page: OpenPage
) -> None:
    """By the policy of the page, and by what `cellkey wait` lets its origin read."""
    page = open_page()
    page.add_init_script(NO_PAUSE_ENDS)
    ShopDoor(page)
    looks: list[Request] = []
    page.on("request", lambda sent: looks.append(sent) if sent.url.endswith("/state") else None)
    address, _ = shop.address(shop.session(scope="credential"), **shop.wish(*hashes(1)))
    page.goto(address)
    page.locator("#login").fill("a.ivanova")
    page.locator("#password").fill(NEW_PASSWORD)
    with another_page(page):
        page.locator("#password").press("Enter")
    steps = page.locator("[data-step].reached")
    expect(steps).to_have_count(0)
    wait_until(page, lambda: bool(looks))
    with shop.service.sessions.begin() as session:
        pending = update(Transaction).where(Transaction.state == "pending")
        session.execute(pending.values(sent_at=utc_now(), delivered_at=utc_now()))
    expect(steps).to_have_count(2)
    phone = shop.service.phone()
    (asked,) = phone.pending().transactions
    phone.approve(phone.show(asked.id))
    expect(page.get_by_role("heading", level=1)).to_have_text("Approved")

    assert len(looks) <= MOST_LOOKS
