"""Random ids to wait by, and on PostgreSQL the word that something changed.

A trigger writes it down, in the commit that changes it, with no statement of ours: it cannot be
forgotten. It is a random id and nothing else, in a table without a log: when the server crashes,
who listens is cut off, and everybody looks. SQLite tells nothing: who waits there looks again. It
cannot add a column with a random default either, so a trigger fills the column.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLES = ("cells", "transactions")


def upgrade() -> None:
    """Make the tables what this version needs."""
    if op.get_bind().dialect.name == "postgresql":
        _upgrade_postgresql()
    else:
        _upgrade_sqlite()


def _upgrade_postgresql() -> None:
    for table in TABLES:
        wait_id = sa.Column(
            "wait_id", sa.Uuid(), nullable=False, server_default=sa.text("gen_random_uuid()")
        )
        op.add_column(table, wait_id)
    op.create_table(
        "changes", sa.Column("wait_id", sa.Uuid(), nullable=False), prefixes=["UNLOGGED"]
    )
    op.execute(
        "ALTER TABLE changes SET"
        " (autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0)"
    )
    op.execute(
        """
        CREATE FUNCTION tell_who_waits() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO changes (wait_id) SELECT wait_id FROM cells WHERE id = NEW.cell_id;
            IF TG_OP = 'UPDATE' THEN
                INSERT INTO changes (wait_id) VALUES (NEW.wait_id);
            END IF;
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER tell_of_a_new_one AFTER INSERT ON transactions
            FOR EACH ROW WHEN (NEW.state = 'pending') EXECUTE FUNCTION tell_who_waits()
        """
    )
    # Nobody waits for "redeemed": who redeems is told by the answer.
    op.execute(
        """
        CREATE TRIGGER tell_of_a_move AFTER UPDATE OF state ON transactions FOR EACH ROW
            WHEN (OLD.state IS DISTINCT FROM NEW.state AND NEW.state <> 'redeemed')
            EXECUTE FUNCTION tell_who_waits()
        """
    )


def _upgrade_sqlite() -> None:
    op.create_table("changes", sa.Column("wait_id", sa.Uuid(), nullable=False))
    for table in TABLES:
        op.add_column(
            table, sa.Column("wait_id", sa.Uuid(), nullable=False, server_default=sa.text("''"))
        )
        op.execute(f"UPDATE {table} SET wait_id = lower(hex(randomblob(16)))")  # noqa: S608  # names of ours
        op.execute(
            f"""
            CREATE TRIGGER {table}_wait_id AFTER INSERT ON {table} WHEN NEW.wait_id = ''
            BEGIN
                UPDATE {table} SET wait_id = lower(hex(randomblob(16))) WHERE id = NEW.id;
            END
            """  # noqa: S608  # names of ours
        )
