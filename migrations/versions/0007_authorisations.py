"""Remember OAuth's authorisations, and how relying parties may use them."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0008"


def upgrade() -> None:
    """Go there."""
    op.create_table(
        "used_ids",
        sa.Column("id_hash", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id_hash", name=op.f("pk_used_ids")),
    )
    op.create_index(op.f("ix_used_ids_expires_at"), "used_ids", ["expires_at"], unique=False)
    op.create_table(
        "authorizations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("relying_party_id", sa.Uuid(), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("request_uri_hash", sa.LargeBinary(), nullable=True),
        sa.Column("signer_id", sa.Uuid(), nullable=True),
        sa.Column("transaction_id", sa.Uuid(), nullable=True),
        sa.Column("code_hash", sa.LargeBinary(), nullable=True),
        sa.Column("code_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("code_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["relying_party_id"],
            ["relying_parties.id"],
            name=op.f("fk_authorizations_relying_party_id_relying_parties"),
        ),
        sa.ForeignKeyConstraint(
            ["signer_id"], ["signers.id"], name=op.f("fk_authorizations_signer_id_signers")
        ),
        sa.ForeignKeyConstraint(
            ["transaction_id"],
            ["transactions.id"],
            name=op.f("fk_authorizations_transaction_id_transactions"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_authorizations")),
        sa.UniqueConstraint("request_uri_hash", name=op.f("uq_authorizations_request_uri_hash")),
        sa.UniqueConstraint("transaction_id", name=op.f("uq_authorizations_transaction_id")),
        sa.UniqueConstraint("code_hash", name=op.f("uq_authorizations_code_hash")),
    )
    op.create_index(
        op.f("ix_authorizations_expires_at"), "authorizations", ["expires_at"], unique=False
    )
    op.create_table(
        "browser_sessions",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("authorization_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["authorization_id"],
            ["authorizations.id"],
            name=op.f("fk_browser_sessions_authorization_id_authorizations"),
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_browser_sessions")),
    )
    op.create_index(
        op.f("ix_browser_sessions_authorization_id"),
        "browser_sessions",
        ["authorization_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_browser_sessions_expires_at"), "browser_sessions", ["expires_at"], unique=False
    )
    op.create_table(
        "refresh_tokens",
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("authorization_id", sa.Uuid(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["authorization_id"],
            ["authorizations.id"],
            name=op.f("fk_refresh_tokens_authorization_id_authorizations"),
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_refresh_tokens")),
    )
    op.create_index(
        op.f("ix_refresh_tokens_authorization_id"),
        "refresh_tokens",
        ["authorization_id"],
        unique=False,
    )
    with op.batch_alter_table("relying_parties") as table:
        table.add_column(
            sa.Column(
                "auth_methods",
                sa.String(),
                nullable=False,
                server_default="client_secret_basic client_secret_post",
            )
        )
        table.add_column(
            sa.Column("grants", sa.String(), nullable=False, server_default="client_credentials")
        )
        table.add_column(sa.Column("scopes", sa.String(), nullable=False, server_default="service"))
        table.add_column(sa.Column("redirect_uris", sa.String(), nullable=False, server_default=""))
        table.add_column(sa.Column("jwks", sa.String(), nullable=True))
        table.add_column(sa.Column("certificate", sa.LargeBinary(), nullable=True))
    with op.batch_alter_table("access_tokens") as table:
        table.add_column(sa.Column("signer_id", sa.Uuid(), nullable=True))
        table.add_column(sa.Column("credential_id", sa.Uuid(), nullable=True))
        table.add_column(sa.Column("authorization_id", sa.Uuid(), nullable=True))
        table.add_column(sa.Column("bound_to", sa.String(), nullable=True))
        table.create_foreign_key(
            op.f("fk_access_tokens_signer_id_signers"), "signers", ["signer_id"], ["id"]
        )
        table.create_foreign_key(
            op.f("fk_access_tokens_credential_id_cells"), "cells", ["credential_id"], ["id"]
        )
        table.create_foreign_key(
            op.f("fk_access_tokens_authorization_id_authorizations"),
            "authorizations",
            ["authorization_id"],
            ["id"],
        )
    op.create_index(
        op.f("ix_access_tokens_authorization_id"),
        "access_tokens",
        ["authorization_id"],
        unique=False,
    )
