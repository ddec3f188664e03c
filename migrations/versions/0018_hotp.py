"""Seeds of authenticator apps that count their codes; how far they have, cells' records say."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0015"


def upgrade() -> None:
    """Go there."""
    op.create_table(
        "hotp_seeds",
        sa.Column("seed_hash", sa.LargeBinary(), nullable=False),
        sa.Column("cell_id", sa.Uuid(), nullable=False),
        sa.Column("sealed", sa.String(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["cell_id"], ["cells.id"], name=op.f("fk_hotp_seeds_cell_id_cells")
        ),
        sa.PrimaryKeyConstraint("seed_hash", name=op.f("pk_hotp_seeds")),
    )
    op.create_index(op.f("ix_hotp_seeds_cell_id"), "hotp_seeds", ["cell_id"], unique=False)
