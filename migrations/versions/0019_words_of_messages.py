"""The word that something changed, also for how far a message has come, which waiting pages show.

It is told to who waits for the transaction, not to the cell's phones: what they list is the same.
And for an amendment that is redeemed: that is when the clerk has done what a page waits for.
"""

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Go there."""
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute("DROP TRIGGER tell_of_a_move ON transactions")
    op.execute(
        """
        CREATE TRIGGER tell_of_a_move AFTER UPDATE OF state ON transactions FOR EACH ROW
            WHEN (OLD.state IS DISTINCT FROM NEW.state
                AND (NEW.state <> 'redeemed' OR NEW.kind = 'amend'))
            EXECUTE FUNCTION tell_who_waits()
        """
    )
    op.execute(
        """
        CREATE FUNCTION tell_who_waits_for_it() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO changes (wait_id) VALUES (NEW.wait_id);
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER tell_of_a_message AFTER UPDATE OF sent_at, delivered_at, seen_at
            ON transactions FOR EACH ROW
            WHEN (NEW.state = 'pending'
                AND (OLD.sent_at, OLD.delivered_at, OLD.seen_at)
                    IS DISTINCT FROM (NEW.sent_at, NEW.delivered_at, NEW.seen_at))
            EXECUTE FUNCTION tell_who_waits_for_it()
        """
    )
