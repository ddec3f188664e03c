"""Budgets of texts, and reports on their parts."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0011"


def upgrade() -> None:
    """Go there."""
    op.add_column(
        "outbox", sa.Column("is_counted", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.create_table(
        "sms_parts",
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("reference", sa.String(), nullable=True),
        sa.Column("state", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state IN ('delivered', 'failed')", name=op.f("ck_sms_parts_state")),
        sa.ForeignKeyConstraint(
            ["message_id"], ["outbox.id"], name=op.f("fk_sms_parts_message_id_outbox")
        ),
        sa.PrimaryKeyConstraint("message_id", "part", name=op.f("pk_sms_parts")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_sms_parts_token_hash")),
    )
    op.create_index(op.f("ix_sms_parts_reference"), "sms_parts", ["reference"], unique=False)
    op.create_index(op.f("ix_sms_parts_expires_at"), "sms_parts", ["expires_at"], unique=False)
    op.create_table(
        "sms_budgets",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("payer", sa.String(), nullable=False),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", "payer", name=op.f("pk_sms_budgets")),
    )
