"""Where a phone is woken. One subscription a phone; the newest stands."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from backend.access.phones import AuthenticatedPhone
from backend.delivery.endpoints import AllowedHost, check_endpoint
from backend.delivery.subscriptions import check_keys
from backend.errors import SubscriptionGone
from backend.model.tables import Device, PushSubscription


def subscribe(
    session: Session,
    *,
    phone: AuthenticatedPhone,
    endpoint: str,
    p256dh: str,
    auth: str,
    allowed_hosts: Sequence[AllowedHost],
    now: datetime,
    again: bool = False,
) -> None:
    """Keep a phone's subscription in place of the one before. Commits.

    Args:
        session: of the database.
        phone: whose it is.
        endpoint: where it is woken.
        p256dh: its key, base64url.
        auth: its secret, base64url.
        allowed_hosts: where we send to.
        now: the time.
        again: the phone has told of this one before, and it was kept.

    Raises:
        EndpointRefused: we do not send there (T-19).
        SubscriptionGone: ``again``, but it was forgotten since: a push service did not know it.
        MalformedMessage: the keys are not those of a subscription.
    """
    allowed = check_endpoint(endpoint, allowed_hosts)
    keys = check_keys(unverified_p256dh=p256dh, unverified_auth=auth)
    # The phone's row is locked: two requests at once would both find no subscription.
    row = select(Device.kid).where(Device.kid == phone.kid)
    session.execute(row.with_for_update(key_share=True))
    if again and session.get(PushSubscription, phone.kid) is None:
        raise SubscriptionGone("the push service does not know this subscription any more")
    session.merge(
        PushSubscription(
            kid=phone.kid,
            endpoint=allowed.url,
            p256dh=keys.p256dh,
            auth=keys.auth,
            created_at=now,
        )
    )
    session.commit()


def unsubscribe(session: Session, *, phone: AuthenticatedPhone) -> None:
    """Forget where a phone is woken. Commits."""
    session.execute(delete(PushSubscription).where(PushSubscription.kid == phone.kid))
    session.commit()
