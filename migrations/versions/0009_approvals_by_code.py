"""How a signer approved; codes that are tried; what loosens a policy, and authenticators' seeds."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0013"


def upgrade() -> None:
    """Go there."""
    instant = sa.DateTime(timezone=True)
    for column in (
        sa.Column("method", sa.String(), nullable=True),
        sa.Column("sms_due_at", instant, nullable=True),
        sa.Column("sms_valid_until", instant, nullable=True),
        sa.Column("sms_asked", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("code_tries", sa.Integer(), nullable=False, server_default="0"),
    ):
        op.add_column("transactions", column)
    op.execute(
        "UPDATE transactions SET method = 'app'"
        " WHERE EXISTS (SELECT 1 FROM approvals WHERE approvals.transaction_id = transactions.id)"
    )
    op.add_column(
        "signers", sa.Column("code_tries", sa.Integer(), nullable=False, server_default="0")
    )
    op.add_column("signers", sa.Column("code_tries_since", instant, nullable=True))
    op.add_column("cells", sa.Column("methods", sa.String(), nullable=False, server_default="app"))
    op.create_table(
        "amendments",
        sa.Column("transaction_id", sa.Uuid(), nullable=False),
        sa.Column("lock", sa.String(), nullable=False),
        sa.Column("replaces", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["transaction_id"],
            ["transactions.id"],
            name=op.f("fk_amendments_transaction_id_transactions"),
        ),
        sa.PrimaryKeyConstraint("transaction_id", name=op.f("pk_amendments")),
    )
    op.create_table(
        "totp_seeds",
        sa.Column("seed_hash", sa.LargeBinary(), nullable=False),
        sa.Column("cell_id", sa.Uuid(), nullable=False),
        sa.Column("sealed", sa.String(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("used_step", sa.Integer(), nullable=True),
        sa.Column("created_at", instant, nullable=False),
        sa.ForeignKeyConstraint(
            ["cell_id"], ["cells.id"], name=op.f("fk_totp_seeds_cell_id_cells")
        ),
        sa.PrimaryKeyConstraint("seed_hash", name=op.f("pk_totp_seeds")),
    )
    op.create_index(op.f("ix_totp_seeds_cell_id"), "totp_seeds", ["cell_id"], unique=False)
