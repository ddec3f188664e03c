"""KS changes by its own word; a phone follows it from the key it knows."""

from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from backend.errors import MalformedMessage
from backend.protocol.encoding import Octets32
from backend.protocol.key_history import (
    LONGEST_HISTORY,
    KeyChangeClaims,
    follow_key_history,
    sign_key_change,
)
from tests.unit.protocol import by_hand, cast
from tests.unit.protocol.cast import NOW, public

KEYS = tuple(by_hand.private_key(f"KS {number}") for number in range(4))


def change(
    old: ec.EllipticCurvePrivateKey,
    new: ec.EllipticCurvePrivateKey,
    *,
    named: ec.EllipticCurvePrivateKey | None = None,
) -> str:
    claims = {"v": 1, "iat": NOW, "old": cast.b64_tp(named or old), "new": by_hand.jwk(new)}
    return by_hand.jws(claims, old, typ="cell-keys+jwt")


HISTORY = tuple(change(old, new) for old, new in pairwise(KEYS))


@pytest.mark.parametrize("known", range(4))
def test_whichever_key_is_known_the_newest_follows(known: int) -> None:
    assert follow_key_history(HISTORY, known=public(KEYS[known])) == public(KEYS[3])


def test_without_changes_the_known_key_stays() -> None:
    assert follow_key_history([], known=public(KEYS[0])) == public(KEYS[0])


def test_a_stranger_to_the_history_stays_where_it_is() -> None:
    """Who compares the result with the ``ks`` that came beside it refuses then."""
    assert follow_key_history(HISTORY, known=public(cast.KS)) == public(cast.KS)


def test_a_key_may_introduce_itself_first() -> None:
    history = [change(KEYS[0], KEYS[0]), *HISTORY]
    assert follow_key_history(history, known=public(KEYS[0])) == public(KEYS[3])


BROKEN = {
    "a gap": (HISTORY[0], HISTORY[2]),
    "another order": (HISTORY[1], HISTORY[0], HISTORY[2])[1:],
    "a change that names another old key": (change(KEYS[0], KEYS[1], named=KEYS[2]),),
    "an end by somebody else": (*HISTORY, change(cast.KS, KEYS[0])),
    "a tail without form": (*HISTORY, "x"),
    "a head without form": ("x", *HISTORY),
    "a foreign signature": (
        by_hand.jws(
            {"v": 1, "iat": NOW, "old": cast.b64_tp(KEYS[0]), "new": by_hand.jwk(KEYS[1])},
            cast.KS,
            head=by_hand.header("cell-keys+jwt", KEYS[0]),
        ),
    ),
    "too many": (*HISTORY, *[change(KEYS[3], KEYS[3])] * LONGEST_HISTORY),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_history_with(name: str) -> None:
    with pytest.raises(MalformedMessage):
        follow_key_history(BROKEN[name], known=public(KEYS[0]))


def test_a_history_of_the_greatest_length_is_followed() -> None:
    longest = (*HISTORY, *[change(KEYS[3], KEYS[3])] * (LONGEST_HISTORY - len(HISTORY)))
    assert follow_key_history(longest, known=public(KEYS[0])) == public(KEYS[3])


def test_a_change_that_is_signed_here_is_followed() -> None:
    compact = sign_key_change(
        KeyChangeClaims(iat=NOW, old=Octets32(cast.tp(KEYS[0])), new=public(KEYS[1])),
        key=public(KEYS[0]),
        sign=lambda message: by_hand.raw_ecdsa(message, KEYS[0]),
    )
    assert compact == HISTORY[0]
