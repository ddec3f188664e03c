"""Remember the browsers in which a signer has signed in; find a signer's authorisations."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0009"


def upgrade() -> None:
    """Go there."""
    op.create_table(
        "known_browsers",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("signer_id", sa.Uuid(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("tried_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["signer_id"], ["signers.id"], name=op.f("fk_known_browsers_signer_id_signers")
        ),
        sa.PrimaryKeyConstraint("token_hash", "signer_id", name=op.f("pk_known_browsers")),
    )
    op.create_index(
        op.f("ix_known_browsers_expires_at"), "known_browsers", ["expires_at"], unique=False
    )
    op.create_index(
        op.f("ix_known_browsers_signer_id"), "known_browsers", ["signer_id"], unique=False
    )
    op.create_index(
        op.f("ix_authorizations_signer_id"), "authorizations", ["signer_id"], unique=False
    )
