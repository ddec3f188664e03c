"""Further phones, envelopes for cells that exist, forgotten passwords."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0014"


def upgrade() -> None:
    """Go there."""
    op.add_column(
        "pairings",
        sa.Column("for_existing", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.create_table(
        "further_phones",
        sa.Column("transaction_id", sa.Uuid(), nullable=False),
        sa.Column("request_kid", sa.LargeBinary(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("enrolment", sa.String(), nullable=True),
        sa.Column("kid", sa.LargeBinary(), nullable=True),
        sa.Column("pin", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["transaction_id"],
            ["transactions.id"],
            name=op.f("fk_further_phones_transaction_id_transactions"),
        ),
        sa.PrimaryKeyConstraint("transaction_id", name=op.f("pk_further_phones")),
    )
    op.create_index(
        op.f("ix_further_phones_request_kid"), "further_phones", ["request_kid"], unique=False
    )
    op.create_table(
        "forgotten_passwords",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("signer_id", sa.Uuid(), nullable=True),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("transaction_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["signer_id"], ["signers.id"], name=op.f("fk_forgotten_passwords_signer_id_signers")
        ),
        sa.ForeignKeyConstraint(
            ["transaction_id"],
            ["transactions.id"],
            name=op.f("fk_forgotten_passwords_transaction_id_transactions"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_forgotten_passwords")),
        sa.UniqueConstraint("transaction_id", name=op.f("uq_forgotten_passwords_transaction_id")),
    )
    for column in ("signer_id", "expires_at"):
        op.create_index(
            op.f(f"ix_forgotten_passwords_{column}"), "forgotten_passwords", [column], unique=False
        )
