"""Rows of a batch are lighter: fewer foreign keys, one index less.

A signature names its receipt, and the receipt its approval; when something was signed is the same
for all of a receipt, so it stands there. A list's rows name their transaction without a key. The
receipt of 10 000 signatures is 1.5 MB of base64, which PostgreSQL tried to compress in vain.

Requests for certificates have an index: the clerk looks for them twice a second, and read every old
transaction to find them.

SQLite builds a table anew, and lets go of none that a row points to: so the signatures' keys go
first and come back last.
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
        table.drop_constraint("fk_signatures_transaction_id_authorised_hashes", type_="foreignkey")
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
    with op.batch_alter_table("authorised_hashes") as table:
        table.drop_constraint(
            "fk_authorised_hashes_transaction_id_transactions", type_="foreignkey"
        )
    with op.batch_alter_table("signatures") as table:
        table.create_foreign_key(
            op.f("fk_signatures_transaction_id_receipts"),
            "receipts",
            ["transaction_id", "receipt_id"],
            ["transaction_id", "id"],
        )
        table.create_foreign_key(
            op.f("fk_signatures_transaction_id_authorised_hashes"),
            "authorised_hashes",
            ["transaction_id", "position"],
            ["transaction_id", "position"],
        )
    op.create_index(
        "ix_transactions_certificate_requests",
        "transactions",
        ["cell_id"],
        unique=False,
        sqlite_where=sa.text("kind = 'certificate_request'"),
        postgresql_where=sa.text("kind = 'certificate_request'"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE receipts ALTER COLUMN receipt SET STORAGE EXTERNAL")
