"""What is kept of each answer and each signature, and what it names."""

import json
from typing import Any

from sqlalchemy import select

from backend.model.tables import Approval, Receipt, Refusal, Transaction
from backend.protocol.approval import approval_hash
from backend.protocol.encoding import b64u, unb64u
from backend.protocol.receipt import verify_receipt
from tests.world.csc_client import CscClient
from tests.world.service import Service, hashes

ONE, TWO, THREE = hashes(3)


def claims(message: str) -> dict[str, Any]:
    """Of a JWS; whose it is, is tested elsewhere."""
    found: dict[str, Any] = json.loads(unb64u(message.split(".")[1]))
    return found


def test_csc_85_each_yes_each_no_and_each_use_is_kept_with_what_it_is_about(
    signing_service: Service, shop: CscClient
) -> None:
    """The answers name the ask by its hash, and so its list; the receipt names each hash."""
    shop.asked(THREE)
    shop.reject()
    sad = shop.approved(ONE, TWO)
    shop.signed(sad, ONE)

    with signing_service.sessions() as session:
        asked = {
            each.id: each
            for each in session.scalars(select(Transaction).where(Transaction.kind == "sign"))
        }
        approvals = session.scalars(select(Approval).where(Approval.transaction_id.in_(asked)))
        refusals = session.scalars(select(Refusal).where(Refusal.transaction_id.in_(asked)))
        receipts = session.scalars(select(Receipt).where(Receipt.transaction_id.in_(asked)))
        (approval,), (refusal,), (receipt,) = approvals.all(), refusals.all(), receipts.all()
        yes, no = asked[approval.transaction_id], asked[refusal.transaction_id]

        assert claims(approval.approval)["tx_hash"] == b64u(yes.tx_hash)
        assert claims(refusal.refusal)["tx_hash"] == b64u(no.tx_hash)
        assert claims(refusal.refusal)["decision"] == "reject"
        used = verify_receipt(receipt.receipt, expected_ka=signing_service.public_keys.ka)
        assert used.tx_hash == yes.tx_hash
        assert used.approval == approval_hash(approval.approval)
        assert [each.hash for each in used.signed] == [ONE]
