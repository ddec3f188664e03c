"""Messages that count once: the ``jti`` of a DPoP proof or of a client's assertion (T-04).

An id is used up in the transaction of what the message is for; what is refused keeps no row. It is
kept while the message could be accepted, and then forgotten.
"""

from datetime import datetime

from sqlalchemy import delete, insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.errors import ProofReplayed
from backend.model.tables import UsedId
from backend.protocol.encoding import sha256


def use_up(
    session: Session, unverified_jti: str, *, purpose: str, maker: str, until: datetime
) -> None:
    """Use up an id. Does not commit; where it came before, nothing of the transaction is left.

    Args:
        session: of what the message is for.
        unverified_jti: the id.
        purpose: of the message; ids of two purposes do not meet.
        maker: whose id it is; nobody uses up another's.
        until: when the message is refused for its age anyway.

    Raises:
        ProofReplayed: it came before.
    """
    name = f"{purpose}\x00{maker}\x00{unverified_jti}".encode(errors="replace")
    try:
        session.execute(insert(UsedId).values(id_hash=bytes(sha256(name)), expires_at=until))
    except IntegrityError as error:
        session.rollback()
        raise ProofReplayed("this message came before") from error


def forget_used_ids(session: Session, now: datetime) -> int:
    """Forget what is refused for its age anyway; gives its number. Commits."""
    forgotten = session.execute(
        delete(UsedId).where(UsedId.expires_at < now).returning(UsedId.id_hash)
    ).all()
    session.commit()
    return len(forgotten)
