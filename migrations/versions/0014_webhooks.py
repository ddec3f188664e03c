"""Tell relying parties what became of their transactions.

A trigger adds the message, in the statement that moves the transaction and with no statement of
ours: no way to move one can forget it, and who has no webhook pays one look by a primary key. It
asks nobody's clock where the row has the time. "Redeemed" is told by the answer to who redeems.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0007"

CHANNELS = "channel IN ('push', 'sms', 'webhook')"
WHOLE = (
    "(channel = 'webhook') = (event IS NOT NULL AND relying_party_id IS NOT NULL"
    " AND happened_at IS NOT NULL)"
)
DEAD = sa.text("channel = 'webhook' AND dead_at IS NOT NULL")
COLUMNS = "id, transaction_id, channel, relying_party_id, event, attempts"
WHEN = (
    "CASE NEW.state WHEN 'expired' THEN"
    " CASE OLD.state WHEN 'pending' THEN NEW.expires_at ELSE NEW.use_by END"
    " ELSE COALESCE(NEW.answered_at, NEW.created_at) END"
)
EVENT = "CASE WHEN NEW.state IN ('approved', 'expired') THEN NEW.state ELSE 'refused' END"
TOLD_BY_THE_ROW = "NEW.state IN ('approved', 'rejected', 'expired')"


def upgrade() -> None:
    """Go there."""
    op.create_table(
        "webhooks",
        sa.Column("relying_party_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("secret", sa.String(), nullable=False),
        sa.Column("secret_before", sa.String(), nullable=True),
        sa.Column("replaced_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["relying_party_id"],
            ["relying_parties.id"],
            name=op.f("fk_webhooks_relying_party_id_relying_parties"),
        ),
        sa.PrimaryKeyConstraint("relying_party_id", name=op.f("pk_webhooks")),
    )
    with op.batch_alter_table("outbox") as table:
        table.add_column(sa.Column("relying_party_id", sa.Uuid(), nullable=True))
        table.add_column(sa.Column("event", sa.String(), nullable=True))
        table.add_column(sa.Column("happened_at", sa.DateTime(timezone=True), nullable=True))
        table.create_foreign_key(
            op.f("fk_outbox_relying_party_id_relying_parties"),
            "relying_parties",
            ["relying_party_id"],
            ["id"],
        )
        table.drop_constraint(op.f("ck_outbox_channel"), type_="check")
        table.create_check_constraint(op.f("ck_outbox_channel"), CHANNELS)
        table.create_check_constraint(op.f("ck_outbox_event"), WHOLE)
    op.create_index(
        "ix_outbox_dead_webhooks",
        "outbox",
        ["dead_at"],
        unique=False,
        sqlite_where=DEAD,
        postgresql_where=DEAD,
    )
    if op.get_bind().dialect.name == "postgresql":
        _tell_on_postgresql()
    else:
        _tell_on_sqlite()


def _tell_on_postgresql() -> None:
    op.execute(
        f"""
        CREATE FUNCTION tell_relying_party() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO outbox ({COLUMNS}, happened_at, due_at, expires_at)
            SELECT gen_random_uuid(), NEW.id, 'webhook', NEW.relying_party_id, {EVENT}, 0,
                CASE WHEN {TOLD_BY_THE_ROW} THEN {WHEN} ELSE clock_timestamp() END,
                {WHEN}, NEW.use_by + interval '1 day'
            FROM webhooks WHERE relying_party_id = NEW.relying_party_id;
            RETURN NULL;
        END $$
        """  # noqa: S608  # constants of this file
    )
    op.execute(
        """
        CREATE TRIGGER tell_relying_party AFTER UPDATE OF state ON transactions FOR EACH ROW
            WHEN (OLD.state IS DISTINCT FROM NEW.state AND NEW.state <> 'redeemed'
                AND NEW.relying_party_id IS NOT NULL)
            EXECUTE FUNCTION tell_relying_party()
        """
    )


def _tell_on_sqlite() -> None:
    instant = "strftime('%Y-%m-%d %H:%M:%f000'"
    op.execute(
        f"""
        CREATE TRIGGER tell_relying_party AFTER UPDATE OF state ON transactions
            WHEN OLD.state <> NEW.state AND NEW.state <> 'redeemed'
                AND NEW.relying_party_id IS NOT NULL
        BEGIN
            INSERT INTO outbox ({COLUMNS}, happened_at, due_at, expires_at)
            SELECT lower(hex(randomblob(16))), NEW.id, 'webhook', NEW.relying_party_id, {EVENT}, 0,
                CASE WHEN {TOLD_BY_THE_ROW} THEN {WHEN} ELSE {instant}, 'now') END,
                {WHEN}, {instant}, NEW.use_by, '+1 day')
            FROM webhooks WHERE relying_party_id = NEW.relying_party_id;
        END
        """  # noqa: S608  # constants of this file
    )
