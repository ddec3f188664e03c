from datetime import timedelta

import pytest
from argon2.low_level import Type, hash_secret_raw

from backend.errors import PasswordUnfit, TooManyTries
from backend.signers import password
from backend.signers.password import Tries
from tests.world.clock import START

SALT = bytes(range(16))


@pytest.mark.parametrize(
    "good",
    [
        "correct horse battery",
        "короткий!",
        "без заглавных и цифр",
        "x7" * 2 + "kfq1",
        "a" * 20 + "bcdefg" * 18,
        "🐈 на заборе",
    ],
)
def test_a_password_of_any_characters_is_fit(good: str) -> None:
    """ASVS 6.2.1, 6.2.5: no composition rules, up to 128 characters."""
    password.check_rules(good, login="a.ivanova")


@pytest.mark.parametrize(
    ("bad", "rule"),
    [
        ("short 7", "8 to 128"),
        ("ж" * 7, "8 to 128"),
        ("x" * 64 + "y" * 65, "8 to 128"),
        ("my A.Ivanova key", "login"),
        ("password", "first that are guessed"),
        ("Password2026!", "first that are guessed"),
        ("Пароль 123", "first that are guessed"),
        ("йцукенгш", "first that are guessed"),
        ("!!!qwerty!!!", "first that are guessed"),
        ("abcabcabcabc", "first that are guessed"),
        ("0000000000", "first that are guessed"),
        ("3456789012", "first that are guessed"),
        ("98765432", "first that are guessed"),
        ("abcdefghij", "first that are guessed"),
    ],
)
def test_a_password_that_is_guessed_first_is_refused(bad: str, rule: str) -> None:
    """ASVS 6.2.1, 6.2.4, 6.2.11."""
    with pytest.raises(PasswordUnfit, match=rule):
        password.check_rules(bad, login="a.ivanova")


def test_a_is_argon2id_with_the_parameters_of_the_protocol() -> None:
    """docs/phone-protocol.md, 5: 64 MiB, t = 3, p = 1, 32 bytes."""
    expected = hash_secret_raw(
        b"correct horse",
        SALT,
        time_cost=3,
        memory_cost=65536,
        parallelism=1,
        hash_len=32,
        type=Type.ID,
    )

    assert password.argon2_hash("correct horse", SALT) == expected


def test_two_spellings_of_one_character_are_one_password() -> None:
    """SP 800-63B: a password typed on another keyboard must not lock its owner out."""
    composed, decomposed = "\u0439\u0451жик по-русски", "\u0438\u0306\u0435\u0308жик по-русски"

    assert password.argon2_hash(composed, SALT) == password.argon2_hash(decomposed, SALT)


def test_a_password_that_is_too_long_is_not_cut_to_one_that_fits() -> None:
    """ASVS 6.2.8: verified exactly as it came."""
    longest = "ключ" * 32

    assert len(longest) == password.LONGEST
    assert password.argon2_hash(longest, SALT) != password.argon2_hash(longest + "!", SALT)


def test_argon2_runs_only_so_many_times_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """T-39: 64 MiB each; who comes too many is told when to come again."""
    monkeypatch.setattr(password, "LONGEST_WAIT_SECONDS", 0)
    for _ in range(password.AT_ONCE):
        password._places.acquire()
    try:
        with pytest.raises(TooManyTries) as refused:
            password.argon2_hash("correct horse", SALT)
    finally:
        for _ in range(password.AT_ONCE):
            password._places.release()

    assert refused.value.retry_after_seconds == 2
    assert password.argon2_hash("correct horse", SALT)


def test_who_has_no_envelope_takes_no_place_of_who_has_one() -> None:
    """T-21, T-39: the work for nobody is as slow, but its flood keeps no signer out."""
    password._nobodys_place.acquire()
    try:
        assert password.argon2_hash("correct horse", SALT)
    finally:
        password._nobodys_place.release()

    for _ in range(password.AT_ONCE):
        password._places.acquire()
    try:
        password.argon2_for_nobody("correct horse")
    finally:
        for _ in range(password.AT_ONCE):
            password._places.release()


def test_t_17_nobody_is_answered_no_sooner_while_another_nobody_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else two requests at once would tell: who is answered at once has no account."""
    waited: list[float] = []
    monkeypatch.setattr(password, "sleep", waited.append)
    moments = iter((100.0, 100.25))
    monkeypatch.setattr(password, "monotonic", lambda: next(moments))
    password.argon2_hash("correct horse", SALT)
    password._nobodys_place.acquire()
    try:
        password.argon2_for_nobody("correct horse")
    finally:
        password._nobodys_place.release()

    assert waited == [0.25]


def test_pauses_begin_after_five_tries_double_and_stay_bounded() -> None:
    """T-16, T-21: slow enough for guessing, never long enough to lock an owner out."""
    pauses = [password.pause_seconds(tries) for tries in range(20)]

    assert pauses[:5] == [0] * 5
    assert pauses[5:9] == [1, 2, 4, 8]
    assert max(pauses) == 900
    assert password.pause_seconds(10**9) == 900


@pytest.mark.parametrize(("after", "left"), [(0, 4), (1.5, 3), (3.999, 1)])
def test_a_try_within_the_pause_is_told_how_long_it_lasts(after: float, left: int) -> None:
    with pytest.raises(TooManyTries) as refused:
        password.refuse_paused(Tries(used=7, last_at=START), now=START + timedelta(seconds=after))

    assert refused.value.retry_after_seconds == left


def test_a_try_after_the_pause_is_heard() -> None:
    password.refuse_paused(Tries(used=7, last_at=START), now=START + timedelta(seconds=4))
    password.refuse_paused(Tries(used=0, last_at=None), now=START)
    password.refuse_paused(Tries(used=4, last_at=START), now=START)


def test_tries_are_forgotten_after_a_day() -> None:
    tries = Tries(used=30, last_at=START)

    assert tries.still_counting(START + timedelta(hours=23, minutes=59)) == 30
    assert tries.still_counting(START + timedelta(days=1)) == 0
