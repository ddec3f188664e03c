"""What phones opened, and the proofs they read by: noted at once, written a few times a second.

1. To read changes nothing that counts, so it costs no commit of its own: what several phones read
   is written together. What a crash loses of it is that something was seen.
2. A proof is refused in this process from the moment it was noted, and in every other one from the
   moment it is written (T-04). The proof of an answer is written with the answer, not here.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from threading import Event, Lock
from typing import Final, final
from uuid import UUID

from sqlalchemy import Insert, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from backend.access.phones import UsedProof
from backend.errors import ProofReplayed
from backend.model.tables import RequestProof, Transaction

log = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 0.2


@final
class Sightings:
    """Those of one process."""

    def __init__(self) -> None:
        """Begin with none."""
        self._changing = Lock()
        self._used: dict[UUID, datetime] = {}
        self._unwritten: list[UsedProof] = []
        self._seen: dict[UUID, datetime] = {}

    def use_up(self, proof: UsedProof) -> None:
        """Note a proof by which something was read.

        Raises:
            ProofReplayed: it was noted before.
        """
        with self._changing:
            if proof.jti in self._used:
                raise ProofReplayed("this request proof came before")
            self._used[proof.jti] = proof.expires_at
            self._unwritten.append(proof)

    def see(self, transaction: UUID, *, now: datetime) -> None:
        """Note that a phone opened a transaction."""
        with self._changing:
            self._seen.setdefault(transaction, now)

    def write(self, session: Session, *, now: datetime) -> None:
        """Write what was noted. Commits. What could not be written is written next time."""
        with self._changing:
            proofs, self._unwritten = self._unwritten, []
            seen, self._seen = self._seen, {}
            self._used = {jti: until for jti, until in self._used.items() if until > now}
        try:
            _write(session, proofs, seen)
        except SQLAlchemyError:
            with self._changing:
                self._unwritten = proofs + self._unwritten
                self._seen = seen | self._seen
            raise

    def keep_writing(
        self, sessions: Callable[[], Session], *, clock: Callable[[], datetime], stop: Event
    ) -> None:
        """Write a few times a second until told to stop, and once more then."""
        stopped = False
        while not stopped:
            stopped = stop.wait(PAUSE_SECONDS)
            try:
                with sessions() as session:
                    self.write(session, now=clock())
            except SQLAlchemyError:
                log.warning("what phones opened could not be written now", exc_info=True)


def _write(session: Session, proofs: list[UsedProof], seen: dict[UUID, datetime]) -> None:
    if proofs:
        rows = [{"jti": proof.jti, "expires_at": proof.expires_at} for proof in proofs]
        session.execute(_unless_there(session), rows)
    if seen:
        first = min(seen.values())
        session.execute(
            update(Transaction)
            .where(Transaction.id.in_(seen), Transaction.seen_at.is_(None))
            .values(seen_at=first)
            .execution_options(synchronize_session=False)
        )
    session.commit()


def _unless_there(session: Session) -> Insert:
    """Insert proofs; one that another process has written meanwhile is there already."""
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(RequestProof).on_conflict_do_nothing()
    return sqlite.insert(RequestProof).on_conflict_do_nothing()
