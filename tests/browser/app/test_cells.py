"""Two cells of one authority in one app: on every screen it is plain which of them is meant."""

from dataclasses import dataclass

import pytest
from playwright.sync_api import Locator, expect

from backend.signers.registration import PersonName
from tests.world.app_stage import Asked, ask
from tests.world.csc_client import CscClient
from tests.world.handset import Handset, NewHandset
from tests.world.installation import Installation
from tests.world.looks import look_at
from tests.world.service import ANNA

NAMES = {
    "Иванова Анна Петровна": ANNA.name,
    "Закупкина Ольга": PersonName(family="Закупкина", given="Ольга"),
}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell of the two: how the app calls it, and who asks its signer."""

    name: str
    shop: CscClient

    def asked(self) -> Asked:
        """Let that one be asked."""
        return ask(self.shop)


@pytest.fixture(scope="module")
def handset(new_handset: NewHandset) -> Handset:
    return new_handset(lang="ru-RU")


@pytest.fixture(scope="module")
def cells(installation: Installation, handset: Handset) -> tuple[Cell, Cell]:
    """The phone is paired with both, the second under another login."""
    made: list[Cell] = []
    for called, name in NAMES.items():
        signer = installation.register(name=name)
        if made:
            handset.open("/#/settings")
            handset.tap("add-cell")
            handset.at("pair-code")
            handset.type_code(signer)
        else:
            handset.begin_pairing(signer)
        handset.sign_in(signer)
        handset.make_passkey()
        expect(handset.see("cell")).to_contain_text(called)
        handset.confirm(signer)
        handset.certify(signer)
        made.append(Cell(name=called, shop=installation.relying_party(signer)))
    one, other = made
    return one, other


def names(handset: Handset, cell: Cell) -> None:
    """The screen says which cell it is about, and of no other."""
    expect(handset.see("cell")).to_contain_text(cell.name)


def cards(handset: Handset, cell: Cell) -> Locator:
    """The card of a cell in the settings."""
    handset.settings()
    return handset.see("cell-card").filter(has_text=cell.name)


def test_each_request_and_its_receipt_name_their_cell(
    handset: Handset, cells: tuple[Cell, Cell]
) -> None:
    asked = [(cell, cell.asked()) for cell in cells]
    handset.open()
    for cell, waiting in asked:
        line = handset.page.locator(f"a[href*='{waiting.id}']")
        expect(line).to_contain_text(cell.name)
    look_at(handset.page, "app-cells-requests", lang="ru")
    for cell, waiting in asked:
        handset.open_asked(waiting.id)
        names(handset, cell)
        handset.approve()
        names(handset, cell)
        waiting.collect()
        handset.open("/#/history")
        entry = handset.see("entry").first
        expect(entry).to_contain_text(cell.name)
        entry.click()
        handset.at("entry")
        names(handset, cell)


def test_a_push_message_that_names_no_cell_finds_the_right_one(
    handset: Handset, cells: tuple[Cell, Cell]
) -> None:
    """It brings the transaction alone."""
    for cell in cells:
        waiting = cell.asked()
        handset.open(f"/?tx={waiting.id}")
        handset.at("request")
        names(handset, cell)
        handset.tap("reject")
        handset.at("done-rejected")
        names(handset, cell)


def test_what_is_done_to_a_cell_names_it(handset: Handset, cells: tuple[Cell, Cell]) -> None:
    for cell in cells:
        for room in ("phones", "recovery", "stopped", "freeze"):
            cards(handset, cell).get_by_test_id(f"to-{room}").click()
            # Of the recovery code there are two: by whether it was written down.
            handset.page.locator(f"section[data-screen^='{room}']").wait_for()
            names(handset, cell)
    handset.open("/#/settings")
    handset.at("settings")
    look_at(handset.page, "app-cells-settings", lang="ru")


def test_each_cell_is_reminded_of_until_it_has_its_code(
    handset: Handset, cells: tuple[Cell, Cell]
) -> None:
    handset.open()
    expect(handset.see("remind-recovery")).to_have_count(2)
    cards(handset, cells[0]).get_by_test_id("to-recovery").click()
    handset.prove_recovery_code()
    handset.open()
    expect(handset.see("remind-recovery")).to_have_count(1)
    expect(handset.see("remind-recovery")).to_contain_text(cells[1].name)
