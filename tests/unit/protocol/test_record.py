"""The cell record: what contradicts itself is never believed (docs/phone-protocol.md, 4)."""

from copy import deepcopy
from typing import Any

import msgspec
import pytest

from backend.errors import KindRefused, MalformedMessage, NotFound
from backend.protocol.record import record_hash, sign_record, verify_record
from tests.unit.protocol import by_hand, cast
from tests.unit.protocol.cast import KS
from tests.unit.protocol.examples import BY_TYP

EXAMPLE = BY_TYP["cell-record+jwt"]
PHONE: dict[str, Any] = EXAMPLE.good["devices"][0]
PASSKEY: dict[str, Any] = PHONE["webauthn"]
NATIVE: dict[str, Any] = {"kind": "native", "uv": "self_asserted"}
PLAIN = {"kind": "virtual", "uv": "self_asserted", "webauthn": None}


def phone(**changes: object) -> dict[str, Any]:
    return {"devices": [deepcopy(PHONE) | changes]}


def passkey(**changes: object) -> dict[str, Any]:
    return phone(webauthn=PASSKEY | changes)


def other_key(number: int) -> dict[str, Any]:
    key = by_hand.jwk(by_hand.private_key(f"security key {number}"))
    return cast.HELD_SECURITY_KEY | {"id": by_hand.b64(bytes([number])), "key": key}


RUB: dict[str, str] = {"currency": "RUB", "value": "15000.00"}


def policy(**changes: object) -> dict[str, Any]:
    whole: dict[str, Any] = EXAMPLE.good["policy"]
    caps = whole["caps"] | {name: value for name, value in changes.items() if name != "methods"}
    methods = changes.get("methods", whole["methods"])
    return {"policy": {"methods": methods, "caps": caps}}


def phones(number: int) -> dict[str, Any]:
    made = []
    for index in range(number):
        names = ("approval", "request", "unlock")
        own = {name: by_hand.private_key(f"{name} {index}") for name in names}
        kid = cast.b64_tp(own["approval"])
        jwks = {name: by_hand.jwk(key) for name, key in own.items()}
        made.append(deepcopy(PHONE) | PLAIN | jwks | {"kid": kid})
    return {"devices": made}


ALLOWED: tuple[dict[str, Any], ...] = (
    {"epoch": 1, "prev": None},
    {"confirmed": False},
    {"confirmed": False, "certificate": None},
    {"devices": []},
    {"alg": "RSA-3072"},
    {"origin": "imported"},
    {"totp": by_hand.b64(bytes(32)), "sms": None},
    phones(16),
    phone(**PLAIN),
    phone(**PLAIN | {"kind": "native", "uv": "attested"}),
    phone(**PLAIN | {"kind": "native"}),
    phone(kind="desktop"),
    phone(confirmed_by=["device"]),
    passkey(id="AA"),
    passkey(id=by_hand.b64(bytes(1023))),
    phone(security_keys=[cast.HELD_SECURITY_KEY]),
    phone(security_keys=[other_key(number) for number in range(3)]),
    {"hotp": {"seed": by_hand.b64(bytes(32)), "counter": 0}},
    {"hotp": {"seed": by_hand.b64(bytes(32)), "counter": 10**12}},
    policy(methods=["app", "password+sms", "password+totp", "password+hotp"]),
    policy(methods=["password+totp"], kinds=[], confirm=["sms", "operator"], multisign=10_000),
    policy(amounts=[RUB], sms_delay=0),
    policy(amounts=[RUB, {"currency": "JPY", "value": "500"}], sms_delay=3600),
)
REFUSED: tuple[dict[str, Any], ...] = (
    {"epoch": 0},
    {"epoch": 1},
    {"prev": None},
    {"certificate": None},
    {"alg": "P-521"},
    {"alg": "none"},
    {"alg": ""},
    {"origin": "escrowed"},
    {"kw": ""},
    {"kw": "k" * 65},
    {"kw": "k\0"},
    {"kw": "k\n"},
    {"kw": "ключ"},
    {"spki": "A" * 21_848},
    {"devices": [PHONE, PHONE]},
    phones(17),
    phone(kid=cast.b64_tp(cast.REQUEST)),
    phone(kid=cast.b64_tp(cast.KS)),
    phone(request=PHONE["approval"]),
    phone(unlock=PHONE["request"]),
    phone(uv="self_asserted"),
    phone(uv="attested"),
    phone(webauthn=None),
    phone(kind="virtual"),
    phone(kind="native"),
    phone(**PLAIN | {"kind": "pwa"}),
    phone(**PLAIN | {"kind": "desktop"}),
    phone(kind="desktop", uv="self_asserted"),
    phone(kind="desktop", webauthn=None),
    phone(**PLAIN | {"uv": "webauthn"}),
    phone(**PLAIN | {"uv": "attested"}),
    phone(confirmed_by=[]),
    phone(confirmed_by=["sms", "sms"]),
    phone(confirmed_by=["none"]),
    phone(security_keys=[]),
    phone(security_keys=None),
    phone(**PLAIN | {"security_keys": [cast.HELD_SECURITY_KEY]}),
    phone(security_keys=[other_key(number) for number in range(4)]),
    phone(security_keys=[cast.HELD_SECURITY_KEY, cast.HELD_SECURITY_KEY]),
    phone(security_keys=[cast.HELD_SECURITY_KEY | {"id": PASSKEY["id"]}]),
    phone(security_keys=[cast.HELD_SECURITY_KEY | {"key": PASSKEY["key"]}]),
    phone(security_keys=[cast.HELD_SECURITY_KEY | {"more": 1}]),
    passkey(id=""),
    passkey(id=by_hand.b64(bytes(1024))),
    passkey(rp_id=""),
    passkey(rp_id="x" * 254),
    passkey(origin=""),
    passkey(origin="x" * 301),
    policy(methods=[]),
    policy(methods=["app", "app"]),
    policy(methods=["sms"]),
    {"hotp": None},
    {"hotp": by_hand.b64(bytes(32))},
    {"hotp": {"seed": by_hand.b64(bytes(32))}},
    {"hotp": {"seed": by_hand.b64(bytes(31)), "counter": 1}},
    {"hotp": {"seed": by_hand.b64(bytes(32)), "counter": -1}},
    {"hotp": {"seed": by_hand.b64(bytes(32)), "counter": 10**12 + 1}},
    {"hotp": {"seed": by_hand.b64(bytes(32)), "counter": None}},
    {"hotp": {"seed": by_hand.b64(bytes(32)), "counter": 1, "step": 1}},
    policy(confirm=[]),
    policy(confirm=["none"]),
    policy(confirm=["sms", "sms"]),
    policy(kinds=["pwa", "pwa"]),
    policy(kinds=["watch"]),
    policy(multisign=0),
    policy(multisign=10_001),
    policy(amounts=[]),
    policy(amounts=[RUB, RUB]),
    policy(amounts=[{"currency": f"A{letter}A", "value": "1"} for letter in "ABCDEF"]),
    policy(amounts=[RUB | {"currency": "rub"}]),
    policy(amounts=[RUB | {"value": "-1.00"}]),
    policy(amounts=[RUB | {"value": "01.00"}]),
    policy(amounts=[RUB | {"value": "1.00\n"}]),
    policy(amounts=[RUB | {"value": "1e9"}]),
    policy(amounts=[RUB | {"most": "1"}]),
    policy(sms_delay=60),
    policy(sms_delay=-1),
    policy(sms_delay=3601),
    policy(sms_delay=None),
)


@pytest.mark.parametrize("changes", ALLOWED, ids=range(len(ALLOWED)))
def test_what_a_record_may_say_is_read(changes: dict[str, Any]) -> None:
    EXAMPLE.read(EXAMPLE.compact(**changes))


@pytest.mark.parametrize("changes", REFUSED, ids=range(len(REFUSED)))
def test_what_no_record_says_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedMessage):
        EXAMPLE.read(EXAMPLE.compact(**changes))


def test_a_record_that_is_signed_here_reads_the_same() -> None:
    compact = sign_record(
        cast.record(), key=cast.public(KS), sign=lambda message: by_hand.raw_ecdsa(message, KS)
    )
    assert compact == EXAMPLE.compact()
    assert record_hash(compact) == by_hand.sha(compact.encode())


def test_a_phone_is_found_by_its_approval_key_alone() -> None:
    record = cast.record()
    assert record.device(cast.tp(cast.APPROVAL)) == record.devices[0]
    for other in (cast.tp(cast.REQUEST), cast.tp(cast.KS), b""):
        with pytest.raises(NotFound):
            record.device(other)


def test_a_phone_approves_only_if_the_policy_allows_its_kind() -> None:
    kid = cast.tp(cast.APPROVAL)
    compact = by_hand.jws(cast.DESKTOP_RECORD_CLAIMS, KS, typ=EXAMPLE.typ)
    allows = verify_record(compact, expected_ks=cast.public(KS))
    assert allows.approver(kid) == allows.devices[0]
    refuses = verify_record(
        EXAMPLE.compact(devices=cast.DESKTOP_RECORD_CLAIMS["devices"]), expected_ks=cast.public(KS)
    )
    assert refuses.device(kid).kind == "desktop"
    with pytest.raises(KindRefused, match="kind desktop"):
        refuses.approver(kid)
    with pytest.raises(NotFound):
        allows.approver(cast.tp(cast.REQUEST))


def test_a_record_from_before_there_were_security_keys_reads_and_is_written_as_before() -> None:
    device = cast.device()
    assert device.security_keys == ()
    assert device.passkeys == (device.webauthn,)
    assert b"security_keys" not in msgspec.json.encode(cast.record(), enc_hook=str)


def test_a_phones_passkeys_are_found_by_their_ids() -> None:
    compact = by_hand.jws(cast.SECURITY_KEY_RECORD_CLAIMS, KS, typ=EXAMPLE.typ)
    device = verify_record(compact, expected_ks=cast.public(KS)).devices[0]
    for found in device.passkeys:
        assert device.passkey(found.id) == found
    assert len(device.passkeys) == 2
    with pytest.raises(MalformedMessage, match="another passkey"):
        device.passkey(b"another")
    without = msgspec.structs.replace(device, webauthn=None, security_keys=(), **NATIVE)
    assert without.passkeys == ()
    with pytest.raises(MalformedMessage, match="another passkey"):
        without.passkey(device.passkeys[0].id)


def test_bounds_of_codes_are_absent_where_a_record_has_none() -> None:
    """Records that were signed before there were codes are read as they were."""
    caps = verify_record(EXAMPLE.compact(), expected_ks=cast.public(KS)).policy.caps
    assert (caps.amounts, caps.sms_delay) == ((), 60)


def test_a_counter_is_absent_where_a_record_has_none() -> None:
    """Records that were signed before there were apps that count are read as they were."""
    assert verify_record(EXAMPLE.compact(), expected_ks=cast.public(KS)).hotp is None
    assert "hotp" not in EXAMPLE.good


def test_a_record_names_the_seed_of_each_kind_of_app() -> None:
    by_time, counting = by_hand.octets("by time"), by_hand.octets("counting")
    whole = {
        "totp": by_hand.b64(by_time),
        "hotp": {"seed": by_hand.b64(counting), "counter": 7},
    }
    for changes, named in (({}, (None, None)), (whole, (by_time, counting))):
        record = verify_record(EXAMPLE.compact(**changes), expected_ks=cast.public(KS))
        assert (record.seed("password+totp"), record.seed("password+hotp")) == named
        assert record.seed("password+sms") is None
