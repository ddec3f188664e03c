"""A signature names its receipt, and the receipt its approval: one key of a row less, no index.

When something was signed is the same for all of a receipt, so it stands there.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0010"


def upgrade() -> None:
    """Go there."""
    op.add_column("receipts", sa.Column("signed_at", sa.DateTime(timezone=True)))
    op.execute(
        "UPDATE receipts SET signed_at = COALESCE("
        "(SELECT min(signed_at) FROM signatures WHERE receipt_id = receipts.id),"
        " (SELECT received_at FROM approvals"
        " WHERE approvals.transaction_id = receipts.transaction_id))"
    )
    op.drop_index("ix_signatures_receipt_id", "signatures")
    op.drop_index("ix_receipts_transaction_id", "receipts")
    with op.batch_alter_table("signatures") as table:
        table.drop_constraint("fk_signatures_receipt_id_receipts", type_="foreignkey")
        table.drop_constraint("fk_signatures_transaction_id_approvals", type_="foreignkey")
        table.drop_column("signed_at")
    with op.batch_alter_table("receipts") as table:
        table.alter_column("signed_at", existing_type=sa.DateTime(timezone=True), nullable=False)
        table.drop_constraint("fk_receipts_transaction_id_transactions", type_="foreignkey")
        table.create_foreign_key(
            op.f("fk_receipts_transaction_id_approvals"),
            "approvals",
            ["transaction_id"],
            ["transaction_id"],
        )
        table.create_unique_constraint(
            op.f("uq_receipts_transaction_id_id"), ["transaction_id", "id"]
        )
    with op.batch_alter_table("signatures") as table:
        table.create_foreign_key(
            op.f("fk_signatures_transaction_id_receipts"),
            "receipts",
            ["transaction_id", "receipt_id"],
            ["transaction_id", "id"],
        )
