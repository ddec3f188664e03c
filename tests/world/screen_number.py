"""The two digits of number matching, as a signer reads them on the other screen."""

from uuid import UUID

from sqlalchemy.orm import Session, sessionmaker

from backend.model.tables import Transaction


def number_on_screen(sessions: sessionmaker[Session], transaction: UUID) -> str:
    """What our page shows while it waits."""
    with sessions() as session:
        number = session.get_one(Transaction, transaction).number
    assert number is not None
    return number
