"""What a signer does with requests in a real browser, and what the relying party gets of it."""

from tests.world.app_stage import AppStage, Asked
from tests.world.csc_client import PAYMENT


def history(stage: AppStage) -> list[str]:
    """The decisions that the phone remembers, newest first."""
    stage.handset.open("/#/history")
    stage.handset.at("history")
    entries = stage.handset.page.get_by_test_id("entry").all()
    return [str(entry.get_attribute("data-decision")) for entry in entries]


def open_asked(stage: AppStage, asked: Asked) -> None:
    """Go to the list, and tap on that request when it comes."""
    stage.handset.open()
    stage.handset.page.locator(f"a[href*='{asked.id}']").click()
    stage.handset.at("request")


def test_two_taps_approve_and_the_relying_party_collects(stage: AppStage) -> None:
    asked = stage.ask(transaction=PAYMENT)
    stage.handset.open()
    stage.handset.page.locator(f"a[href*='{asked.id}']").click()
    shown = stage.handset.at("request").inner_text()
    for words in ("Shop", "12 500,00", "ИП Ромашкин", "Иванова"):
        assert words in shown.replace("\xa0", " ").replace("\u202f", " ")
    stage.handset.tap("approve")
    stage.handset.at("done-approved")
    asked.collect()
    assert history(stage)[0] == "approved"
