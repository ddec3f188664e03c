"""Limits on who asks, number matching, and whom a signer has stopped."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0002"


def upgrade() -> None:
    """Go there."""
    op.create_table(
        "asking_rates",
        sa.Column("relying_party_id", sa.Uuid(), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("spent_until", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["relying_party_id"],
            ["relying_parties.id"],
            name=op.f("fk_asking_rates_relying_party_id_relying_parties"),
        ),
        sa.PrimaryKeyConstraint("relying_party_id", "shard", name=op.f("pk_asking_rates")),
    )
    op.create_table(
        "wake_paces",
        sa.Column("signer_id", sa.Uuid(), nullable=False),
        sa.Column("relying_party_id", sa.Uuid(), nullable=False),
        sa.Column("pushes", sa.Integer(), nullable=False),
        sa.Column("transaction_id", sa.Uuid(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["relying_party_id"],
            ["relying_parties.id"],
            name=op.f("fk_wake_paces_relying_party_id_relying_parties"),
        ),
        sa.ForeignKeyConstraint(
            ["signer_id"], ["signers.id"], name=op.f("fk_wake_paces_signer_id_signers")
        ),
        sa.PrimaryKeyConstraint("signer_id", "relying_party_id", name=op.f("pk_wake_paces")),
    )
    op.create_index(op.f("ix_wake_paces_next_at"), "wake_paces", ["next_at"], unique=False)
    op.create_table(
        "stopped_parties",
        sa.Column("signer_id", sa.Uuid(), nullable=False),
        sa.Column("relying_party_id", sa.Uuid(), nullable=False),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["relying_party_id"],
            ["relying_parties.id"],
            name=op.f("fk_stopped_parties_relying_party_id_relying_parties"),
        ),
        sa.ForeignKeyConstraint(
            ["signer_id"], ["signers.id"], name=op.f("fk_stopped_parties_signer_id_signers")
        ),
        sa.PrimaryKeyConstraint("signer_id", "relying_party_id", name=op.f("pk_stopped_parties")),
    )
    op.add_column(
        "relying_parties",
        sa.Column("asks_number", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column("transactions", sa.Column("slot", sa.Integer(), nullable=True))
    op.add_column("transactions", sa.Column("number", sa.String(), nullable=True))
    op.create_index(
        "uq_transactions_slot",
        "transactions",
        ["signer_id", "relying_party_id", "slot"],
        unique=True,
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
