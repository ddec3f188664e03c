"""``credentials/authorize`` and ``authorizeCheck`` of v2: the signer is asked, and answers."""

import re
from uuid import UUID

import pytest
from sqlalchemy import insert, select

from backend.model.tables import OutboxMessage, PushSubscription
from backend.protocol.encoding import unb64u
from backend.signers.freeze import freeze
from backend.signers.registration import find_signer
from backend.signing.cancellation import cancel
from tests.unit.summary.requests import golden
from tests.world.clock import SettableClock
from tests.world.csc_client import (
    DENIED,
    INVALID,
    PAYMENT,
    CscClient,
    a_relying_party,
    content,
    refusal,
    words,
)
from tests.world.service import Service, hashes

ONE = hashes(1)


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


def test_thirty_documents_are_one_request_that_counts_them_by_type(
    signing_service: Service, shop: CscClient
) -> None:
    """R-127, R-129: one approval, thirty signatures."""
    shop.asked(*hashes(30), transaction=golden("package")["fields"])

    phone = signing_service.phone()
    (listed,) = phone.pending().transactions
    shown = phone.show(listed.id)
    lines = shown.checked.ask.text.lines

    said = [line.partition(": ")[2] for line in lines]
    assert said[-5:-1] == ["30 документов", "20 счетов", "7 актов", "3 накладные"]
    assert [item.label for item in shown.checked.items][19:21] == ["Счёт 20", "Акт 1"]
    phone.approve(shown)


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
