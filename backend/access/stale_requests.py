"""Requests for a new password with which nobody can go on: the worker deletes them."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete
from sqlalchemy.orm import Session

from backend.model.tables import ForgottenPassword

KEPT_FOR: Final = timedelta(hours=1)
"""After the last moment to approve: longer than anything may still follow."""


def forget_forgotten(session: Session, now: datetime) -> int:
    """Delete them; gives their number. Commits."""
    gone = session.scalars(
        delete(ForgottenPassword)
        .where(ForgottenPassword.expires_at < now - KEPT_FOR)
        .returning(ForgottenPassword.id)
        .execution_options(synchronize_session=False)
    ).all()
    session.commit()
    return len(gone)
