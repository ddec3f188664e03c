"""The sign-in page of the OAuth way, in a real browser."""

from collections.abc import Iterator

import pytest

from tests.world.chromium import OpenPage, assert_accessible, picture
from tests.world.oauth_client import OauthClient, an_oauth_client
from tests.world.serving import serving


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OauthClient]:
    with serving(tmp_path_factory.mktemp("served")) as service:
        yield an_oauth_client(service)


@pytest.mark.parametrize("lang", ["en", "ru"])
def test_the_sign_in_page_has_nothing_that_axe_objects_to(
    shop: OauthClient, open_page: OpenPage, lang: str
) -> None:
    address, _ = shop.address(shop.session())
    page = open_page(lang=lang)
    page.goto(address)
    assert_accessible(page)
    picture(page, f"sign-in-{lang}")
