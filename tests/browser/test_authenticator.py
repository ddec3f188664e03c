"""The phone app in a real Chromium: pairs, is asked, answers."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.world.chromium import PHONE, OpenPage
from tests.world.phone_app import a_person, serving_app
from tests.world.service import Service, hashes


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serving_app(tmp_path_factory.mktemp("app")) as opened:
        yield opened


def test_a_phone_is_paired_and_approves(service: Service, open_page: OpenPage) -> None:
    person = a_person(service, open_page(size=PHONE).context)
    person.pair(service.register())
    person.certify()
    person.tap("to-requests")
    shop = service.add_relying_party()
    service.ask(*hashes(2), party=shop)
    person.see("request").click()
    expect(person.see("asked-by")).to_have_text("Shop")
    person.tap("approve")
    person.screen("done-approved")
    assert not person.failures
