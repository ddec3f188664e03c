"""Where phones are woken, as rows."""

from sqlalchemy import ColumnElement, and_, delete
from sqlalchemy.orm import Session

from backend.model.tables import Device, PushSubscription


def is_in_use() -> ColumnElement[bool]:
    """Say in SQL that a phone was not removed, nor asked to be."""
    return and_(Device.removal_asked_at.is_(None), Device.removed_at.is_(None))


def drop_subscription(session: Session, *, kid: bytes, unverified_endpoint: str) -> bool:
    """Forget where a phone was woken; ``False`` if it has subscribed anew meanwhile."""
    dropped = session.execute(
        delete(PushSubscription)
        .where(PushSubscription.kid == kid, PushSubscription.endpoint == unverified_endpoint)
        .returning(PushSubscription.kid)
    )
    return dropped.first() is not None
