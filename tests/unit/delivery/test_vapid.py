"""backend/delivery/web_push.py: who we are to push services (RFC 8292)."""

from datetime import timedelta

from joserfc.jws import extract_compact
from joserfc.util import to_bytes

from backend.delivery.web_push import MOST_TOKENS, VapidIdentity
from tests.world.clock import START

ORIGIN = "https://push.example.org"


def token(identity: VapidIdentity, seconds: float, origin: str = ORIGIN) -> str:
    """The token that is sent so long after the start."""
    sent = identity.authorization(origin, now=START + timedelta(seconds=seconds))
    return sent.removeprefix("vapid t=").partition(",")[0]


def test_one_token_serves_an_hour(identity: VapidIdentity) -> None:
    here = "https://hour.example.org"  # for which no other test has left a token
    assert token(identity, 0, here) == token(identity, 3599, here)
    assert token(identity, 3600, here) == token(identity, 7000, here)
    assert token(identity, 0, here) != token(identity, 3600, here)


def test_a_clock_that_was_set_back_gets_a_new_token(identity: VapidIdentity) -> None:
    """The old one would live longer than a service accepts."""
    assert token(identity, 0) != token(identity, -1)


def test_a_token_is_valid_for_an_hour_after_its_last_use(identity: VapidIdentity) -> None:
    """RFC 8292, 2: at most 24 hours."""
    claims = extract_compact(to_bytes(token(identity, 90_000))).payload
    assert f'"exp":{int(START.timestamp()) + 90_000 + 7200}'.encode() in claims.replace(b" ", b"")


def test_each_origin_has_a_token_of_its_own(identity: VapidIdentity) -> None:
    assert token(identity, 0) != token(identity, 0, "https://other.example.org")


def test_tokens_of_many_origins_are_not_kept_without_bound(identity: VapidIdentity) -> None:
    for number in range(MOST_TOKENS + 1):
        token(identity, 0, f"https://h{number}.example.org")
    assert len(identity._tokens) <= MOST_TOKENS
