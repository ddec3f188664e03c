"""SMS is switched off, and a test that would have a text written all the same fails."""

from pathlib import Path

import pytest

from tests.world.clock import SettableClock
from tests.world.code_cell import ADDRESS, with_phone
from tests.world.paired_cell import BY_CODE, make_cell
from tests.world.sam import SamWorld, open_sam_world, software_hsm


@pytest.fixture
def world(tmp_path: Path, clock: SettableClock) -> SamWorld:
    return open_sam_world(software_hsm(tmp_path / "vault"), clock)


def test_without_the_mark_no_text_is_sealed(world: SamWorld) -> None:
    """Neither that of a request nor a pairing code."""
    signer = with_phone(world)
    with pytest.raises(AssertionError, match="switched off"):
        signer.open_signing(bytes(32), sms=ADDRESS)
    with pytest.raises(AssertionError, match="switched off"):
        make_cell(world, policy=BY_CODE).enrol_request()
    assert signer.open_signing(bytes(32), sms=None).sms is None


@pytest.mark.sms
def test_with_the_mark_texts_are_sealed(world: SamWorld) -> None:
    signer = with_phone(world)
    assert signer.open_signing(bytes(32), sms=ADDRESS).sms is not None
    assert make_cell(world, policy=BY_CODE).enrol_request().code
