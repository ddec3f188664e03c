"""``credentials/authorize`` and ``authorizeCheck`` of v2: the signer is asked, and answers."""

import re
from uuid import UUID

import pytest
from sqlalchemy import insert, select

from backend.model.tables import OutboxMessage, PushSubscription, Transaction
from backend.protocol.encoding import unb64u
from backend.signers.freeze import freeze
from backend.signers.registration import find_signer
from backend.signing.cancellation import cancel
from tests.world.clock import SettableClock
from tests.world.csc_client import (
    MD5,
    SHA1,
    SHA512,
    CscClient,
    a_relying_party,
    content,
    refusal,
    words,
)
from tests.world.service import Service, hashes

INVALID = (400, "invalid_request")
DENIED = (400, "access_denied")
PAYMENT = {
    "type": "payment",
    "amount": {"value": "12500.00", "currency": "RUB"},
    "payee": {"name": "ИП Ромашкин", "account": "40702810900000005555"},
    "purpose": "Оплата по договору № 17",
}
ONE = hashes(1)


@pytest.fixture
def shop(signing_service: Service) -> CscClient:
    return a_relying_party(signing_service)


def transactions(service: Service) -> int:
    """How many signatures were asked for."""
    with service.sessions() as session:
        return len(session.scalars(select(Transaction.id).where(Transaction.kind == "sign")).all())


def subscribe(service: Service) -> None:
    """The phone's app wants to be woken."""
    row = {"endpoint": "https://push.cellkey.test/phone", "p256dh": "key", "auth": "auth"}
    with service.sessions.begin() as session:
        session.execute(
            insert(PushSubscription).values(
                kid=unb64u(service.phone().kid()), created_at=service.clock(), **row
            )
        )


# --- the way it should be ---------------------------------------------------------


def test_csc_70_asking_gives_a_handle_and_wakes_the_phone_once(
    signing_service: Service, shop: CscClient
) -> None:
    subscribe(signing_service)
    handle = shop.asked(*ONE)

    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", handle)
    (listed,) = signing_service.phone().pending().transactions
    with signing_service.sessions() as session:
        woken = select(OutboxMessage.channel).where(OutboxMessage.transaction_id == UUID(listed.id))
        assert session.scalars(woken).all() == ["push"]


def test_csc_71_checking_says_wait_and_then_gives_the_sad(
    signing_service: Service, shop: CscClient
) -> None:
    handle = shop.asked(*ONE)

    before = content(shop.check(handle), 202)
    shop.approve()
    after = content(shop.check(handle), 200)

    assert before == {"handle": handle}
    assert after.keys() == {"SAD", "expiresIn"}
    settings = signing_service.settings
    assert after["expiresIn"] == settings.transaction_seconds + settings.use_seconds


def test_csc_72_checking_again_gives_the_same_sad_until_its_time_is_over(
    shop: CscClient, clock: SettableClock
) -> None:
    """A repeat may be the answer to a lost one; the handle is spent when the SAD is."""
    handle = shop.asked(*ONE)
    shop.approve()
    sad = shop.csc_sad(handle)
    shop.signed(sad, *ONE)

    again = shop.csc_sad(handle)
    clock.advance(minutes=11)

    assert again == sad
    assert refusal(shop.check(handle)) == INVALID


@pytest.mark.parametrize("members", [{"authData": ...}, {"authData": []}, {"authData": None}])
def test_csc_79_the_phone_need_not_be_named(shop: CscClient, members: dict[str, object]) -> None:
    assert shop.asked(*ONE, **members)


def test_csc_122_the_phone_shows_the_count_and_each_label(
    signing_service: Service, shop: CscClient
) -> None:
    shop.asked(*hashes(3), labels=["Contract 17", "Annex A", "Annex B"], description="As agreed")

    phone = signing_service.phone()
    (listed,) = phone.pending().transactions
    shown = phone.show(listed.id).checked

    text = "\n".join(shown.ask.text.lines)
    assert [item.label for item in shown.items] == ["Contract 17", "Annex A", "Annex B"]
    assert all(label in text for label in ("3 документа", "Contract 17", "Annex A", "Annex B"))
    assert all(words in text for words in ("Shop", "> As agreed"))


def test_a_typed_transaction_is_shown_in_our_words(
    signing_service: Service, shop: CscClient
) -> None:
    shop.asked(*ONE, transaction=PAYMENT, labels=["Платёжное поручение № 128"])

    phone = signing_service.phone()
    (listed,) = phone.pending().transactions
    text = phone.show(listed.id).checked.ask.text

    assert text.title == "Платёж"
    assert "12 500,00 ₽" in text.lines[0].replace("\xa0", " ")


def test_csc_123_two_batches_in_parallel_do_not_mix(
    signing_service: Service, shop: CscClient
) -> None:
    one, other = hashes(2, seed="one"), hashes(2, seed="other")
    handles = shop.asked(*one), shop.asked(*other)
    phone = signing_service.phone()
    for listed in phone.pending().transactions:
        phone.approve(phone.show(listed.id))
    sads = [shop.csc_sad(handle) for handle in handles]

    crossed = shop.sign_hash(sads[0], one[0], other[0])

    assert refusal(crossed) == INVALID
    assert words(crossed) == "Hash is not authorized by the SAD"
    assert len(shop.signed(sads[0], *one)) == len(shop.signed(sads[1], *other)) == 2


# --- no approval ------------------------------------------------------------------


def test_csc_73_a_refusal_is_access_denied(shop: CscClient) -> None:
    handle = shop.asked(*ONE)
    shop.reject()

    answer = shop.check(handle)

    assert refusal(answer) == DENIED
    assert words(answer) == "The signer refused"


def test_csc_73_an_expired_request_is_access_denied(shop: CscClient, clock: SettableClock) -> None:
    handle = shop.asked(*ONE)
    clock.advance(minutes=6)

    answer = shop.check(handle)

    assert refusal(answer) == DENIED
    assert words(answer) == "Authorization request expired"


def test_csc_73_a_cancelled_request_is_access_denied(
    signing_service: Service, shop: CscClient
) -> None:
    handle = shop.asked(*ONE)
    (listed,) = signing_service.phone().pending().transactions
    with signing_service.sessions() as session:
        now = signing_service.clock()
        cancel(session, transaction=UUID(listed.id), because="an operator", now=now)

    assert refusal(shop.check(handle)) == DENIED


def test_csc_74_a_handle_counts_for_its_relying_party_alone(
    signing_service: Service, shop: CscClient
) -> None:
    handle = shop.asked(*ONE)
    shop.approve()
    other = a_relying_party(signing_service, name="Another shop")

    answer = other.check(handle)

    assert refusal(answer) == INVALID
    assert words(answer) == "Invalid parameter handle"


@pytest.mark.parametrize("handle", ["unknown", "A" * 43, "A" * 42 + "B", "A" * 400, "ä"])
def test_csc_74_a_handle_cannot_be_guessed(calm_shop: CscClient, handle: str) -> None:
    assert refusal(calm_shop.check(handle)) == INVALID


@pytest.mark.parametrize("handle", [7, None, [], {"a": 1}, True, ""])
def test_csc_10_a_handle_is_a_string(calm_shop: CscClient, handle: object) -> None:
    answer = calm_shop.check(handle)

    assert refusal(answer) == INVALID
    assert "parameter handle" in words(answer)


def test_a_locked_signer_is_neither_asked_nor_waited_for(
    signing_service: Service, shop: CscClient
) -> None:
    """R-048."""
    handle = shop.asked(*ONE)
    with signing_service.sessions() as session:
        signer = find_signer(session, "a.ivanova").id
        freeze(session, signer=signer, by="phone", now=signing_service.clock())

    assert refusal(shop.check(handle)) == DENIED
    asked = shop.authorize(*ONE)
    assert refusal(asked) == INVALID
    assert words(asked) == "The credential identified by credentialID is disabled"


# --- what cannot be asked ---------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"credentialID": ...}, "Missing (or invalid type) string parameter credentialID"),
        ({"credentialID": 7}, "Missing (or invalid type) string parameter credentialID"),
        ({"credentialID": "unknown"}, "Invalid parameter credentialID"),
        (
            {"credentialID": "0b7f5f9e-7d1c-4a5e-9f39-2f2c0c3f7a11"},
            "Invalid parameter credentialID",
        ),
        ({"numSignatures": ...}, "Missing (or invalid type) integer parameter numSignatures"),
        ({"numSignatures": "1"}, "Missing (or invalid type) integer parameter numSignatures"),
        ({"numSignatures": True}, "Missing (or invalid type) integer parameter numSignatures"),
        ({"numSignatures": 0}, "Invalid value for parameter numSignatures"),
        ({"numSignatures": -1}, "Invalid value for parameter numSignatures"),
        ({"numSignatures": 101}, "Numbers of signatures is too high"),
    ],
)
def test_csc_77_a_wrong_credential_or_number_asks_nobody(
    calm_shop: CscClient, members: dict[str, object], said: str
) -> None:
    answer = calm_shop.authorize(*ONE, **members)

    assert refusal(answer) == INVALID
    assert words(answer) == said
    assert transactions(calm_shop.service) == 0


@pytest.mark.parametrize(
    "members",
    [
        {"hashes": ...},
        {"hashes": None},
        {"hashes": "text"},
        {"hashes": []},
        {"hashes": [7]},
        {"hashes": ["!"]},
        {"hashes": ["A" * 400]},
        {"hashes": ["AAAA"]},
        {"numSignatures": 2},
        {"hashAlgorithmOID": ...},
        {"hashAlgorithmOID": SHA1},
        {"hashAlgorithmOID": MD5},
        {"hashAlgorithmOID": SHA512},
        {"hashAlgorithmOID": 7},
        {"hashAlgorithmOID": "x" * 5000},
    ],
    ids=str,
)
def test_csc_78_without_fitting_hashes_nobody_is_asked(
    calm_shop: CscClient, members: dict[str, object]
) -> None:
    """SCAL 2."""
    assert refusal(calm_shop.authorize(*ONE, **members)) == INVALID
    assert transactions(calm_shop.service) == 0


def test_csc_78_a_hash_stands_once(calm_shop: CscClient) -> None:
    assert refusal(calm_shop.authorize(*ONE, *ONE)) == INVALID
    assert transactions(calm_shop.service) == 0


def test_csc_78_a_p_256_key_is_asked_for_sha_256_alone(calm_shop: CscClient) -> None:
    assert refusal(calm_shop.authorize(bytes(64), hashAlgorithmOID=SHA512)) == INVALID


@pytest.mark.parametrize(
    "auth_data",
    [[{"id": "sms"}], [{"id": "app", "value": "1234"}], [{"id": "app"}, {"id": "pin"}]],
    ids=str,
)
def test_csc_79_what_would_pass_through_the_caller_is_refused(
    calm_shop: CscClient, auth_data: object
) -> None:
    """CSC-134: nothing that the relying party hands in can stand for the phone."""
    answer = calm_shop.authorize(*ONE, authData=auth_data)

    assert refusal(answer) == (400, "invalid_authentication_data")
    assert transactions(calm_shop.service) == 0


@pytest.mark.parametrize(
    "auth_data", ["app", {"id": "app"}, ["app"], [{}], [{"id": 7}], [{"id": "app"}] * 11], ids=str
)
def test_csc_10_auth_data_is_an_array_of_objects(calm_shop: CscClient, auth_data: object) -> None:
    answer = calm_shop.authorize(*ONE, authData=auth_data)

    assert refusal(answer) == INVALID
    assert "authData" in words(answer)


@pytest.mark.parametrize(
    "members",
    [
        {"description": "x" * 501},
        {"description": 7},
        {"description": "\N{RIGHT-TO-LEFT OVERRIDE}"},
        {"description": "and so", "transaction": PAYMENT},
        {"transaction": "payment"},
        {"transaction": {}},
        {"transaction": {"type": "certificate_request"}},
        {"transaction": PAYMENT | {"amount": {"value": "12500", "currency": "RUB"}}},
        {"transaction": PAYMENT | {"unknown": "member"}},
        {"labels": "one"},
        {"labels": []},
        {"labels": ["one", "two"]},
        {"labels": [7]},
        {"labels": [None]},
        {"labels": [""]},
        {"labels": ["x" * 201]},
        {"labels": ["line\nbreak"]},
        {"labels": ["nothing\x00"]},
    ],
    ids=str,
)
def test_csc_82_what_cannot_be_shown_to_the_signer_is_refused(
    calm_shop: CscClient, members: dict[str, object]
) -> None:
    """T-06: hostile text is refused, never cut or mended."""
    assert refusal(calm_shop.authorize(*ONE, **members)) == INVALID
    assert transactions(calm_shop.service) == 0


@pytest.mark.parametrize("member", ["hash", "hashAlgo", "PIN", "OTP"])
def test_csc_129_members_of_v1_are_refused_by_name(calm_shop: CscClient, member: str) -> None:
    answer = calm_shop.authorize(*ONE, **{member: "x"})

    assert refusal(answer) == INVALID
    assert words(answer).startswith(f"{member}: ")
