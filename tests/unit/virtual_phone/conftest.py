"""A service to talk about, for every test of the phone."""

import pytest

from tests.unit.virtual_phone.other_side import OtherSide


@pytest.fixture
def service() -> OtherSide:
    """The other side, with one cell."""
    return OtherSide()
