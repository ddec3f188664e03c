"""Old transactions in the tables, so many that a step which looks at them all would show it."""

from typing import Final

from sqlalchemy import text

from tests.bench.stage import Stage

_RANDOM: Final = "decode(md5(random()::text) || md5(random()::text), 'hex')"
_MODELS: Final = "SELECT * FROM transactions WHERE state = 'redeemed' AND kind = 'sign' LIMIT 1000"
_NEW: Final = {
    "id": "gen_random_uuid()",
    "wait_id": "gen_random_uuid()",
    "tx_hash": _RANDOM,
    "handle_hash": _RANDOM,
    "csc_sad_hash": _RANDOM,
    "slot": "NULL::integer",
    "created_at": "now() - random() * interval '365 days'",
}


def add_old_transactions(stage: Stage, count: int) -> None:
    """Copy what is redeemed, until there are so many; evidence of each with it."""
    with stage.engine.begin() as connection:
        # Copies of consistent rows: no trigger has anything to check or to tell.
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        columns = connection.scalars(
            text(
                "SELECT column_name FROM information_schema.columns"
                " WHERE table_name = 'transactions' ORDER BY ordinal_position"
            )
        ).all()
        chosen = ", ".join(f"{_NEW.get(name, f't.{name}')} AS {name}" for name in columns)
        found = connection.scalar(text(f"SELECT count(*) FROM ({_MODELS}) AS t"))  # noqa: S608  # ours
        if not found:
            raise ValueError("there is nothing to copy: nothing was signed yet")
        connection.execute(
            text(
                "CREATE TEMPORARY TABLE copies ON COMMIT DROP AS"  # noqa: S608  # names of the schema's
                f" SELECT t.id AS copy_of, {chosen}"
                f" FROM ({_MODELS}) AS t, generate_series(1, :rounds)"
            ).bindparams(rounds=-(-count // found))
        )
        names = ", ".join(columns)
        for statement in (
            f"INSERT INTO transactions ({names}) SELECT {names} FROM copies",  # noqa: S608  # as above
            (
                "INSERT INTO authorised_hashes (transaction_id, position, item, hash)"
                " SELECT c.id, h.position, h.item, h.hash FROM copies c"
                " JOIN authorised_hashes h ON h.transaction_id = c.copy_of"
            ),
            (
                "INSERT INTO approvals (transaction_id, approval, sealed, kid, received_at)"
                " SELECT c.id, a.approval, NULL, a.kid, a.received_at FROM copies c"
                " JOIN approvals a ON a.transaction_id = c.copy_of"
            ),
            (
                "INSERT INTO receipts (id, transaction_id, receipt, signed_at)"
                " SELECT c.id, c.id, r.receipt, r.signed_at FROM copies c"
                " JOIN receipts r ON r.transaction_id = c.copy_of"
            ),
            (
                "INSERT INTO signatures (transaction_id, position, signature, receipt_id)"
                " SELECT c.id, s.position, s.signature, c.id FROM copies c"
                " JOIN signatures s ON s.transaction_id = c.copy_of"
            ),
        ):
            connection.execute(text(statement))
    with stage.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE"))
