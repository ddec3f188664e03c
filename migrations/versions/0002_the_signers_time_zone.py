"""Keep by whose clock each signer reads moments."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Go there. Who is registered already is taken to live by the standard setting."""
    op.add_column(
        "signers", sa.Column("zone", sa.String(), nullable=False, server_default="Europe/Moscow")
    )
