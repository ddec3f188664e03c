"""A new phone presents itself (docs/phone-protocol.md, 2 and 7, steps 3 to 5)."""

from typing import Any

import msgspec
import pytest

from backend.errors import MalformedMessage
from backend.protocol.ask import KeyThumbprints
from backend.protocol.encoding import Octets32
from backend.protocol.enrolment import (
    check_enrols_for,
    enrolment_hash,
    read_enrolment,
    twelve_characters,
    verify_passkey,
)
from tests.unit.protocol import by_hand, cast
from tests.unit.protocol.authenticator import FLAG, ORIGIN, RP_ID
from tests.unit.protocol.cast import APPROVAL, ENROLMENT_CHALLENGE, PASSKEY, REQUEST, UNLOCK
from tests.unit.protocol.examples import BY_TYP

EXAMPLE = BY_TYP["cell-enrolment+jwt"]
NATIVE: dict[str, Any] = {
    "kind": "native",
    "webauthn": None,
    "attestation": {"format": "android-key", "statement": ["AQ"]},
}
STRANGER = by_hand.jwk(by_hand.private_key("stranger"))


def keys(**changes: object) -> dict[str, Any]:
    return {"keys": cast.KEYS | changes}


ALLOWED: tuple[dict[str, Any], ...] = (
    NATIVE,
    NATIVE | {"attestation": None},
    NATIVE | {"attestation": {"format": "apple-appattest", "statement": ["", "AQ"]}},
    {"kind": "virtual", "webauthn": None},
    {"kind": "desktop"},
    {"sealed": None, "epk": None},
)
REFUSED: tuple[dict[str, Any], ...] = (
    {"sealed": None},
    {"epk": None},
    {"kind": "native"},
    {"kind": "virtual"},
    {"webauthn": None},
    {"kind": "watch", "webauthn": None},
    NATIVE | {"kind": "virtual"},
    NATIVE | {"kind": "desktop"},
    {"kind": "desktop", "webauthn": None},
    {"attestation": NATIVE["attestation"]},
    NATIVE | {"attestation": {"format": "A", "statement": ["AQ"]}},
    NATIVE | {"attestation": {"format": "a\0", "statement": ["AQ"]}},
    NATIVE | {"attestation": {"format": "a\n", "statement": ["AQ"]}},
    NATIVE | {"attestation": {"format": "a" * 33, "statement": ["AQ"]}},
    NATIVE | {"attestation": {"format": "a", "statement": []}},
    NATIVE | {"attestation": {"format": "a", "statement": ["AQ"] * 9}},
    NATIVE | {"attestation": {"format": "a", "statement": ["A"]}},
    keys(request=cast.KEYS["approval"]),
    keys(unlock=cast.KEYS["approval"]),
    keys(unlock=cast.KEYS["request"]),
    keys(other=STRANGER),
)


@pytest.mark.parametrize("changes", ALLOWED, ids=range(len(ALLOWED)))
def test_what_a_phone_may_be_is_read(changes: dict[str, Any]) -> None:
    read_enrolment(EXAMPLE.compact(**changes))


@pytest.mark.parametrize("changes", REFUSED, ids=range(len(REFUSED)))
def test_what_no_phone_is_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedMessage):
        read_enrolment(EXAMPLE.compact(**changes))


def test_an_enrolment_is_signed_by_the_approval_key_that_it_carries() -> None:
    """Possession of the other keys does not count, nor a header that names another key."""
    for signer in (REQUEST, UNLOCK, by_hand.private_key("stranger")):
        for named in (signer, APPROVAL):
            head = by_hand.header(EXAMPLE.typ, named)
            with pytest.raises(MalformedMessage):
                read_enrolment(by_hand.jws(EXAMPLE.good, signer, head=head))
    with pytest.raises(MalformedMessage):
        read_enrolment(
            by_hand.jws(EXAMPLE.good, APPROVAL, head=by_hand.header(EXAMPLE.typ, REQUEST))
        )


def test_an_enrolment_is_for_one_ask() -> None:
    claims = read_enrolment(cast.ENROLMENT)
    check_enrols_for(claims, cast.enrol_ask())
    other = read_enrolment(EXAMPLE.compact(tx_hash=by_hand.b64(bytes(32))))
    with pytest.raises(MalformedMessage):
        check_enrols_for(other, cast.enrol_ask())


def test_an_ask_of_another_kind_enrols_nobody() -> None:
    claims = read_enrolment(EXAMPLE.compact(tx_hash=by_hand.b64(cast.TX_HASH)))
    with pytest.raises(MalformedMessage):
        check_enrols_for(claims, cast.ask())


def test_a_further_phone_has_the_keys_that_the_paired_phone_scanned() -> None:
    claims = read_enrolment(cast.ENROLMENT)
    scanned = KeyThumbprints(
        approval=Octets32(cast.tp(APPROVAL)),
        request=Octets32(cast.tp(REQUEST)),
        unlock=Octets32(cast.tp(UNLOCK)),
    )
    assert claims.keys.thumbprints() == scanned
    for wanted, fits in (
        (scanned, True),
        (msgspec.structs.replace(scanned, request=scanned.unlock), False),
        (
            msgspec.structs.replace(scanned, approval=scanned.request, request=scanned.approval),
            False,
        ),
    ):
        ask = cast.enrol_ask()
        ask = msgspec.structs.replace(
            ask, claims=msgspec.structs.replace(ask.claims, key_thumbprints=wanted)
        )
        if fits:
            check_enrols_for(claims, ask)
        else:
            with pytest.raises(MalformedMessage):
                check_enrols_for(claims, ask)


def test_the_twelve_characters_come_from_the_exact_bytes() -> None:
    assert twelve_characters(cast.ENROLMENT) == by_hand.twelve(cast.ENROLMENT)
    assert enrolment_hash(cast.ENROLMENT) == by_hand.sha(cast.ENROLMENT.encode())
    assert twelve_characters(cast.ENROLMENT) != twelve_characters(cast.ENROLMENT[:-1])
    for unfit in ("é", "A" * 70_000):
        with pytest.raises(MalformedMessage):
            twelve_characters(unfit)


# --- passkeys -------------------------------------------------------------------------------------


def passkey_of(**changes: object) -> object:
    claims = read_enrolment(EXAMPLE.compact(**changes))
    return verify_passkey(claims, rp_id=RP_ID, origin=ORIGIN)


def test_a_pwa_brings_a_passkey_that_the_record_will_know() -> None:
    assert passkey_of() == cast.device().webauthn


def test_a_computers_browser_brings_one_by_the_same_rules() -> None:
    assert passkey_of(kind="desktop") == cast.device().webauthn


def test_other_phones_bring_none() -> None:
    assert passkey_of(kind="virtual", webauthn=None) is None


def test_without_a_seal_the_challenge_has_zeros_in_its_place() -> None:
    challenge = by_hand.sha(
        b"cell-enrol-v1\0",
        cast.ENROL_TX_HASH,
        cast.tp(APPROVAL),
        cast.tp(REQUEST),
        cast.tp(UNLOCK),
        bytes(32),
    )
    webauthn = {"registration": PASSKEY.register(challenge), "assertion": PASSKEY.sign(challenge)}
    assert passkey_of(sealed=None, epk=None, webauthn=webauthn) == cast.device().webauthn
    with pytest.raises(MalformedMessage):
        passkey_of(webauthn=webauthn)


def test_registration_and_first_assertion_are_both_over_this_enrolment() -> None:
    registration, assertion = EXAMPLE.good["webauthn"].values()
    other = by_hand.octets("another challenge")
    for wrong in (
        {"registration": PASSKEY.register(other), "assertion": assertion},
        {"registration": registration, "assertion": PASSKEY.sign(other)},
        {"registration": registration, "assertion": PASSKEY.sign(cast.APPROVAL_CHALLENGE)},
        {
            "registration": registration,
            "assertion": PASSKEY.sign(ENROLMENT_CHALLENGE, flags=FLAG.UP),
        },
    ):
        with pytest.raises(MalformedMessage):
            passkey_of(webauthn=wrong)


def test_a_swapped_key_changes_the_challenge() -> None:
    with pytest.raises(MalformedMessage):
        passkey_of(**keys(unlock=STRANGER))
