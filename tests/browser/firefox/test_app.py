"""The phone app in a real Firefox, from the envelope to a signature that is collected.

What wakes it is a real message: made and encrypted by our worker, taken by a push service as strict
as the real ones (RFC 8030, 8291, 8292), brought and decrypted by Firefox. Firefox's software
authenticator has no PRF that a verifier accepts, so the installation allows phones without.
"""

from collections.abc import Iterator

import pytest
from sqlalchemy import select

from backend.model.tables import Device, PushSubscription
from backend.summary.render import push_text
from backend.wiring import Clock, utc_now
from tests.world.app_stage import ask
from tests.world.authority import Signer
from tests.world.csc_client import PAYMENT, CscClient
from tests.world.firefox import Alert, Firefox
from tests.world.installation import Installation, running_installation
from tests.world.push_service import PushService
from tests.world.push_socket import DELIVERED
from tests.world.service import NEW_PASSWORD
from tests.world.worker import eventually

WORDS = push_text("ru")
ALERT = Alert(title=WORDS.title, body=WORDS.body)


@pytest.fixture(scope="module")
def time() -> Clock:
    """Everybody's clock is the true one."""
    return utc_now


@pytest.fixture(scope="module")
def installation(
    tmp_path_factory: pytest.TempPathFactory, push_service: PushService
) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("installation")
    with running_installation(folder, push_service, app_software_unlock=True) as running:
        yield running


def pair(firefox: Firefox, signer: Signer) -> None:
    firefox.open(signer.authority.app_url)
    firefox.tap("pair")
    firefox.type("envelope-code", signer.qr2_code)
    firefox.tap("next")
    firefox.at("pair-password")
    firefox.type("login", signer.login)
    firefox.type("password", signer.envelope.first_password)
    firefox.type("new-password", NEW_PASSWORD)
    firefox.tap("next")
    firefox.take_focus()
    firefox.tap("make-passkey")
    firefox.at("pair-confirm")
    signer.confirm(firefox.read("twelve"))
    firefox.at("requests")


def subscriptions(signer: Signer) -> list[str]:
    """Where the signer's phones are woken."""
    with signer.authority.sessions() as session:
        query = select(PushSubscription.endpoint).join(Device, Device.kid == PushSubscription.kid)
        return list(session.scalars(query.where(Device.cell_id == signer.cell)))


def approve(firefox: Firefox) -> None:
    firefox.at("request")
    firefox.take_focus()
    firefox.tap("approve")
    firefox.at("done-approved")


@pytest.fixture(scope="module")
def signer(firefox: Firefox, installation: Installation) -> Signer:
    """The signer, whose Firefox is paired and may sign."""
    firefox.add_authenticator()
    signer = installation.register()
    # Else the first request might wake the phone, at any time: the subscription comes beside it.
    firefox.may_notify(yes=False)
    pair(firefox, signer)
    firefox.tap("request")
    approve(firefox)
    eventually(lambda: signer.is_certified)
    assert not subscriptions(signer)
    firefox.may_notify(yes=True)
    firefox.open("about:blank")
    firefox.open(f"{signer.authority.app_url}/")
    eventually(lambda: len(subscriptions(signer)) == 1)
    return signer


@pytest.fixture
def shop(installation: Installation, signer: Signer) -> CscClient:
    return installation.relying_party(signer)


def test_a_real_push_brings_the_signer_to_what_is_asked(
    firefox: Firefox, signer: Signer, shop: CscClient, push_service: PushService
) -> None:
    """From the relying party's call to its valid signature; nobody looks at the app before."""
    firefox.open("about:blank")
    push_service.browsers.acknowledged.clear()
    asked = ask(shop, transaction=PAYMENT)

    assert firefox.alert() == ALERT
    firefox.click(ALERT)
    firefox.switch_to(f"{signer.authority.app_url}/#/tx/{asked.id}")
    assert "12 500,00" in firefox.at("request")
    approve(firefox)
    asked.collect()
    eventually(lambda: [ack.code for ack in push_service.browsers.acknowledged] == [DELIVERED])


def test_where_no_push_arrives_any_more_the_open_app_hears_of_it_all_the_same(
    firefox: Firefox, signer: Signer, shop: CscClient, push_service: PushService
) -> None:
    """410: the worker forgets the subscription; the list is the truth, and is looked at.

    At the next start the browser gives up the dead one and subscribes anew.
    """
    firefox.open(f"{signer.authority.app_url}/")
    firefox.read("no-requests")
    (endpoint,) = subscriptions(signer)
    push_service.expire(endpoint)
    asked = ask(shop)
    # None, or the next one already: the app, which has just started, may ask after it right now.
    eventually(lambda: endpoint not in subscriptions(signer))
    firefox.tap("request")
    approve(firefox)
    assert not firefox.alerts
    asked.collect()
    firefox.open("about:blank")
    firefox.open(f"{signer.authority.app_url}/")
    eventually(lambda: subscriptions(signer) not in ([], [endpoint]))


def test_a_browser_that_lost_its_subscription_gets_another_while_the_app_is_open(
    firefox: Firefox, signer: Signer, shop: CscClient, push_service: PushService
) -> None:
    """``pushsubscriptionchange``: the push service has lost all it knew of this browser."""
    firefox.open(f"{signer.authority.app_url}/")
    eventually(lambda: len(subscriptions(signer)) == 1)
    (lost,) = subscriptions(signer)
    push_service.lose_browsers()
    eventually(lambda: subscriptions(signer) not in ([], [lost]))
    asked = ask(shop)
    assert firefox.alert() == ALERT
    firefox.click(ALERT)
    approve(firefox)
    asked.collect()
