"""Where phones are woken: what a phone may give, and how a row is forgotten."""

from typing import Final, final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import ColumnElement, and_, delete
from sqlalchemy.orm import Session

from backend.errors import MalformedMessage
from backend.model.tables import Device, PushSubscription
from backend.protocol.encoding import unb64u

POINT_BYTES: Final = 65
AUTH_BYTES: Final = 16


@final
class SubscriberKeys(msgspec.Struct, frozen=True, kw_only=True):
    """Proof that a phone's keys can be encrypted to; made by :func:`check_keys` alone."""

    p256dh: str
    auth: str


def check_keys(*, unverified_p256dh: str, unverified_auth: str) -> SubscriberKeys:
    """Check the keys of a subscription (RFC 8291, 3.1 and 3.2).

    Raises:
        MalformedMessage: they are not a point of P-256 and 16 bytes.
    """
    try:
        point = unb64u(unverified_p256dh)
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError as error:
        raise MalformedMessage("p256dh is not a point of P-256") from error
    if len(point) != POINT_BYTES or len(unb64u(unverified_auth)) != AUTH_BYTES:
        raise MalformedMessage("p256dh or auth does not have its length")
    return SubscriberKeys(p256dh=unverified_p256dh, auth=unverified_auth)


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
