"""A client that is not ours signs PDF files over either edition, with approvals by the phone.

Judged by pdfsig and by pyHanko's own validation, which trust the authority's root alone.
"""

import asyncio
import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from pyhanko.sign.general import SigningError

from backend.access.relying_parties import add_relying_party
from backend.algorithms import KeyAlgorithm
from backend.virtual_phone.phone import VirtualPhone
from backend.wiring import utc_now
from tests.world import relying_party, relying_party_v2
from tests.world.pdf_judges import GOOD, pdfsig, pyhanko_trusts, trust
from tests.world.relying_party import Account, Refused, Wish, make_pdf, sign
from tests.world.service import ANNA, Service
from tests.world.serving import serving

LOOK_SECONDS = 0.1
LOGIN = ANNA.login or ""
Done = TypeVar("Done")


@contextmanager
def signing(
    folder: Path, algorithm: KeyAlgorithm = KeyAlgorithm.P256
) -> Iterator[tuple[Service, VirtualPhone]]:
    """The service on the loopback and the machine's clock, and a phone with a certificate."""
    with serving(folder, clock=utc_now) as service:
        yield service, service.signing_phone(service.register(algorithm=algorithm))


def account(service: Service) -> Account:
    with service.sessions() as session:
        party = add_relying_party(session, name="Shop", client_id=None, now=utc_now())
    return Account(
        service=service.settings.authorization_server_url,
        client_id=party.client_id,
        secret=party.client_secret,
    )


def meanwhile(phone: VirtualPhone, answer: Callable[[str], Any], asks: Callable[[], Done]) -> Done:
    """What the relying party gets while somebody with the phone answers whatever comes."""
    with ThreadPoolExecutor(1) as others:
        asking = others.submit(asks)
        while not asking.done():
            for listed in phone.pending().transactions:
                answer(listed.id)
            time.sleep(LOOK_SECONDS)
    return asking.result()


def judge(service: Service, documents: list[bytes], folder: Path) -> None:
    root = service.settings.root_certificate_path
    trusted = trust(root, folder / "nss")
    for document in documents:
        said = pdfsig(document, trusted=trusted, path=folder / "signed.pdf")
        assert all(words in said for words in GOOD), said
        assert pyhanko_trusts(document, root)


@pytest.mark.parametrize(
    ("algorithm", "count", "how"),
    [
        (KeyAlgorithm.P256, 1, {}),
        (KeyAlgorithm.P256, 3, {}),
        (KeyAlgorithm.RSA_2048, 1, {}),
        (KeyAlgorithm.RSA_3072, 3, {"md_algorithm": "sha512"}),
    ],
    ids=["P-256", "P-256-batch", "RSA-2048", "RSA-3072-SHA-512-batch"],
)
def test_csc_91_119_135_stock_pyhanko_signs_a_pdf_and_a_batch(
    tmp_path: Path, algorithm: KeyAlgorithm, count: int, how: dict[str, Any]
) -> None:
    """CSC-119, CSC-91: one approval and one ``signHash``, whatever the number."""
    titles = [f"Contract {number}" for number in range(1, count + 1)]
    wish = Wish(login=LOGIN, documents=tuple(map(make_pdf, titles)), **how)
    with signing(tmp_path / "service", algorithm) as (service, phone):
        approved = []

        def approve(transaction: str) -> None:
            approved.append(phone.approve(phone.show(transaction)))

        shop = account(service)
        documents = meanwhile(phone, approve, lambda: asyncio.run(sign(shop, wish)))

        judge(service, documents, tmp_path)
        assert approved == ["approved"]
        assert all(
            title.encode() in document for title, document in zip(titles, documents, strict=True)
        )


@pytest.mark.parametrize(
    ("algorithm", "count", "how"),
    [(KeyAlgorithm.P256, 2, {}), (KeyAlgorithm.RSA_2048, 1, {"md_algorithm": "sha512"})],
    ids=["P-256-batch", "RSA-2048-SHA-512"],
)
def test_csc_71_136_pyhanko_with_the_names_of_v2_polls_and_signs(
    tmp_path: Path, algorithm: KeyAlgorithm, count: int, how: dict[str, Any]
) -> None:
    documents = tuple(make_pdf(f"Contract {number}") for number in range(count))
    wish = Wish(login=LOGIN, documents=documents, description="As agreed", **how)
    with signing(tmp_path / "service", algorithm) as (service, phone):
        shop = account(service)

        signed = meanwhile(
            phone,
            lambda transaction: phone.approve(phone.show(transaction)),
            lambda: asyncio.run(relying_party_v2.sign(shop, wish)),
        )

        judge(service, signed, tmp_path)


def test_pyhanko_polls_no_more_where_the_signer_refuses(tmp_path: Path) -> None:
    wish = Wish(login=LOGIN, documents=(make_pdf("Contract"),))
    with signing(tmp_path / "service") as (service, phone):
        shop = account(service)

        with pytest.raises(Refused) as refused:
            meanwhile(
                phone,
                lambda transaction: phone.reject(phone.show(transaction)),
                lambda: asyncio.run(relying_party_v2.sign(shop, wish)),
            )

    assert refused.value.error["error"] == "access_denied"


def test_pyhanko_gets_nothing_where_the_signer_refuses(tmp_path: Path) -> None:
    wish = Wish(login=LOGIN, documents=(make_pdf("Contract"),))
    with signing(tmp_path / "service") as (service, phone):
        shop = account(service)

        with pytest.raises(Refused) as refused:
            meanwhile(
                phone,
                lambda transaction: phone.reject(phone.show(transaction)),
                lambda: asyncio.run(sign(shop, wish)),
            )

    assert refused.value.status == 400
    assert refused.value.error == {
        "error": "access_denied",
        "error_description": "The signer refused",
    }


def test_what_pyhanko_does_not_show_stands_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its PSS has the longest salt that fits the key; ours has one as long as the hash."""
    wish = Wish(login=LOGIN, documents=(make_pdf("Contract"),), prefer_pss=True)
    caplog.set_level(logging.INFO, logger="backend.csc.errors")
    with signing(tmp_path / "service", KeyAlgorithm.RSA_2048) as (service, phone):
        shop = account(service)

        with pytest.raises(SigningError):
            meanwhile(
                phone,
                lambda transaction: phone.approve(phone.show(transaction)),
                lambda: asyncio.run(sign(shop, wish)),
            )

    (refused,) = [vars(line) for line in caplog.records if line.name == "backend.csc.errors"]
    assert refused["reason"] == (
        "Invalid parameter signAlgoParams: MGF1 of the same hash, a salt of its length"
    )
    assert refused["client_id"] == shop.client_id


def test_the_relying_party_runs_as_a_process_of_its_own(tmp_path: Path) -> None:
    """As the demo starts it; the secret stands in no argument."""
    payment = {
        "type": "payment",
        "amount": {"value": "12500.00", "currency": "RUB"},
        "payee": {"name": "Romashka", "account": "40702810900000005555"},
        "purpose": "Contract 17",
    }
    with signing(tmp_path / "service") as (service, phone):
        shop = account(service)
        shown = []

        def approve(transaction: str) -> None:
            page = phone.show(transaction)
            shown.append(page.checked)
            phone.approve(page)

        command = [sys.executable, "-m", relying_party.__name__, "--service", shop.service]
        command += ["--client-id", shop.client_id, "--signer", LOGIN]
        command += ["--transaction", json.dumps(payment), "--folder", str(tmp_path / "out")]
        ran = meanwhile(
            phone,
            approve,
            lambda: subprocess.run(
                [*command, "Payment order 128"],
                env={relying_party.SECRET: shop.secret},
                capture_output=True,
                check=True,
            ),
        )

        told = [json.loads(line) for line in ran.stdout.splitlines()]
        assert [each["event"] for each in told] == ["credential", "asked", "authorized", "signed"]
        judge(service, [Path(told[-1]["file"]).read_bytes()], tmp_path)
        assert [item.label for item in shown[0].items] == ["Payment order 128"]
        assert shown[0].ask.text.title == "Платёж"
