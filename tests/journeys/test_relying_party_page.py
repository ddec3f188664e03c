"""docs/relying-party.md: its own lines, run; its own examples, asked for; its tables, compared."""

import base64
import json
import os
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes as primitives
from cryptography.hazmat.primitives.asymmetric import ec

from backend.csc import errors
from backend.csc.algorithms import SIGN_OIDS
from backend.oauth.details import read_details, read_entry
from backend.summary.catalogue import KINDS
from backend.summary.several import ContentsField
from backend.wiring import utc_now
from tests.unit.summary.declared import members
from tests.world.csc_client import CscClient, a_relying_party
from tests.world.service import ANNA, Service, hashes
from tests.world.serving import serving

PAGE = (Path(__file__).resolve().parents[2] / "docs/relying-party.md").read_text()
BLOCK = re.compile(r"^```(sh|json)\n(.*?)^```", re.DOTALL | re.MULTILINE)
LOOK_SECONDS = 0.1


def blocks(kind: str, page: str = PAGE) -> list[str]:
    return [text for found, text in BLOCK.findall(page) if found == kind]


def code_in(heading: str) -> set[str]:
    """Code in the first table under a heading."""
    section = PAGE.split(f"## {heading}\n", maxsplit=1)[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return set(re.findall(r"`([^`]+)`", "\n".join(rows)))


def test_the_pages_lines_for_v1_sign_a_file(tmp_path: Path) -> None:
    with serving(tmp_path / "service", clock=utc_now) as service:
        phone = service.signing_phone(service.register())
        shop = a_relying_party(service)
        (script,) = blocks("sh", PAGE.split("## Version 1.0.4", maxsplit=1)[1])
        script = script.replace("http://127.0.0.1:8600", service.settings.authorization_server_url)
        script = script.replace('"alice"', json.dumps(ANNA.login))
        (tmp_path / "contract.pdf").write_bytes(b"Contract 17")
        party = {"ID": shop.party.client_id, "SECRET": shop.party.client_secret}
        with ThreadPoolExecutor(1) as others:
            running = others.submit(
                subprocess.run,
                ["bash", "-euo", "pipefail", "-c", script],
                cwd=tmp_path,
                env=os.environ | party,
                check=True,
            )
            while not running.done():
                for listed in phone.pending().transactions:
                    phone.approve(phone.show(listed.id))
                time.sleep(LOOK_SECONDS)
            running.result()
        key = x509.load_der_x509_certificate(signers_certificate(shop)).public_key()

    assert isinstance(key, ec.EllipticCurvePublicKey)
    signature = (tmp_path / "contract.sig").read_bytes()
    key.verify(signature, b"Contract 17", ec.ECDSA(primitives.SHA256()))


def signers_certificate(shop: CscClient) -> bytes:
    info = shop.get("v2/credentials/info", {"credentialID": shop.credential})
    return base64.b64decode(info["cert"]["certificates"][0])


@pytest.mark.parametrize("example", [text for text in blocks("json") if text.startswith("{")])
def test_the_pages_typed_requests_are_taken(signing_service: Service, example: str) -> None:
    shop = a_relying_party(signing_service)
    request = json.loads(example)
    counted = sum(run["documents"] for run in request.get("contents", ()))

    assert shop.asked(*hashes(counted or 1), transaction=request)


def test_the_page_has_a_typed_request_of_each_kind() -> None:
    shown = [json.loads(text)["type"] for text in blocks("json") if text.startswith("{")]
    assert sorted([*shown, "generic"]) == sorted(ASKED_FOR)


def test_the_page_tells_every_member_of_every_kind() -> None:
    told = {row[0].strip("`"): (row[1], code(row[2]), code(row[3])) for row in rows_of_kinds()}
    assert told == {
        kind: (
            KINDS[kind].title.en,
            {path for path, required in members(kind) if required},
            {path for path, required in members(kind) if not required},
        )
        for kind in ASKED_FOR
    }


def test_the_page_tells_every_type_of_document() -> None:
    (contents,) = (field for field in KINDS["package"].fields if isinstance(field, ContentsField))
    (told,) = re.findall(r"^Types of documents: (.*?)\.$", PAGE, re.DOTALL | re.MULTILINE)
    assert code(told) == {kind.name for kind in contents.types}


ASKED_FOR = {name for name, kind in KINDS.items() if kind.ask == "sign"}


def rows_of_kinds() -> list[list[str]]:
    section = PAGE.split("| kind | title |", maxsplit=1)[1].split("\n\n")[0]
    rows = [line for line in section.splitlines()[2:] if line.startswith("|")]
    return [[cell.strip() for cell in row[1:-1].split("|")] for row in rows]


def code(cell: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", cell))


@pytest.mark.parametrize("example", [text for text in blocks("json") if text.startswith("[")])
def test_the_pages_details_are_read(example: str) -> None:
    assert read_details(read_entry(example)).hashes()


def test_the_page_names_every_error() -> None:
    mapped = {*errors._ANSWERS.values(), *errors._OVER.values(), errors._OUTAGE, errors._FAULT}

    named = {code for code in code_in("Errors") if re.fullmatch("[a-z_]+", code)}
    assert {answer.error for answer in mapped} == named - {"error"}


def test_the_page_names_every_algorithm() -> None:
    told = code_in("Bodies and algorithms")
    whole = {code for code in told if code.startswith(("1.2.", "1.3."))}
    beside = {f"1.2.840.113549.1.1{code}" for code in told if re.fullmatch(r"\.\d+", code)}

    assert whole | beside == set(SIGN_OIDS)
