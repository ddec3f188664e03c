"""A SAM on software cells, and a cell that a phone opens."""

from pathlib import Path

import pytest

from tests.world.clock import SettableClock
from tests.world.paired_cell import PairedCell, ready_cell
from tests.world.sam import SamWorld, open_sam_world, software_hsm


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def world(tmp_path: Path, clock: SettableClock) -> SamWorld:
    return open_sam_world(software_hsm(tmp_path / "vault"), clock)


@pytest.fixture
def cell(world: SamWorld) -> PairedCell:
    return ready_cell(world)
