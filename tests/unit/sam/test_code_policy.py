"""What a record lets a code approve, asked of the rule itself: other checks stand before it."""

from typing import get_args

import msgspec
import pytest

from backend.errors import RecordRefused
from backend.protocol.approval import CodeMethod
from backend.protocol.ask import AskKind
from backend.protocol.record import CellRecord, verify_record
from backend.sam.code_policy import check_code_allowed, open_methods
from tests.world.code_cell import CODE_POLICY
from tests.world.paired_cell import make_cell
from tests.world.sam import SamWorld

FIELDS = {"type": "generic"}


@pytest.fixture
def record(world: SamWorld) -> CellRecord:
    """Names every method, and has a number alone."""
    methods = ("password+sms", "password+totp", "password+hotp")
    policy = msgspec.structs.replace(CODE_POLICY, methods=methods)
    cell = make_cell(world, policy=policy)
    return verify_record(cell.record, expected_ks=world.public_keys.ks)


@pytest.mark.parametrize("kind", get_args(AskKind))
def test_a_code_signs_or_asks_for_the_certificate_and_nothing_else(
    record: CellRecord, kind: AskKind
) -> None:
    allowed = kind in {"sign", "certificate_request"}
    assert open_methods(record, kind=kind, fields=FIELDS) == (("password+sms",) * allowed)
    if not allowed:
        with pytest.raises(RecordRefused, match="signatures alone"):
            check_code_allowed(record, "password+sms", kind=kind, fields=FIELDS)


@pytest.mark.parametrize("method", ["password+totp", "password+hotp"])
def test_a_verified_number_is_no_seed(record: CellRecord, method: CodeMethod) -> None:
    with pytest.raises(RecordRefused, match="not among the methods"):
        check_code_allowed(record, method, kind="sign", fields=FIELDS)


def test_a_seed_is_no_verified_number(record: CellRecord) -> None:
    assert record.sms is not None
    with_seed = msgspec.structs.replace(record, sms=None, totp=record.sms)
    check_code_allowed(with_seed, "password+totp", kind="sign", fields=FIELDS)
    for method in ("password+sms", "password+hotp"):
        with pytest.raises(RecordRefused, match="not among the methods"):
            check_code_allowed(with_seed, method, kind="sign", fields=FIELDS)
