"""Signers with phones and certificates, and a relying party that asks them."""

import base64
import re
import secrets
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, sleep
from typing import Any

import requests
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from backend.virtual_phone.invitation import read_addresses, read_envelope
from backend.virtual_phone.pairing import Applicant
from backend.virtual_phone.phone import VirtualPhone
from tests.soak.clients import ANSWER_SECONDS, Lane
from tests.soak.installation import Installation

PASSWORD = "green kettle 7"  # of signers that live for the length of a run
SETTING_UP_SECONDS = 120
AT_ONCE = 4
SMS = r"SMS to \+{number} \(.*\)\n(?:\|.*\n)*?\|.*Code ([0-9]{{8}})"


def make_lanes(installation: Installation, count: int, *, seed: str) -> list[Lane]:
    """So many signers, each ready to sign."""
    client = installation.cellkey("relying-party", "add", "Soak")
    token = _token(installation, client)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        numbers = range(count)
        return list(pool.map(lambda number: _lane(installation, number, token, seed), numbers))


def _lane(installation: Installation, number: int, token: str, seed: str) -> Lane:
    telephone = f"7999000{number:04}"
    name = ("--family", "Soak", "--given", f"Number{number}", "--lang", "en")
    envelope = installation.cellkey(
        "signer", "register", *name, "--number", f"+{telephone}", "--operator", "soak"
    )
    state = installation.folder / f"phone-{number}.json"
    phone = VirtualPhone(state)
    phone.pair_start(
        Applicant(
            addresses=read_addresses(envelope["qr1"]),
            envelope=read_envelope(envelope["qr2"]),
            login=envelope["login"],
            password=envelope["first_password"],
            new_password=PASSWORD,
        )
    )
    phone.send_code()
    phone.pair_confirm(_code(installation, telephone))
    request = _awaited(lambda: phone.pending().transactions)[0]
    phone.approve(phone.show(request.id))
    credential, key = _credential(installation, token, envelope["login"])
    return Lane(
        name=f"lane {number}",
        # Each run asks for other hashes, also of the same installation.
        seed=f"{seed} {number} {secrets.token_hex(8)}",
        service=installation.authorization_server,
        token=token,
        credential=credential,
        public_key=key,
        phone=state,
    )


def _code(installation: Installation, telephone: str) -> str:
    sender = "worker" if "worker" in installation.supervisor.parts else "serve"
    pattern = re.compile(SMS.format(number=telephone))
    found: re.Match[str] = _awaited(lambda: pattern.search(installation.log(sender)))
    return found[1]


def _token(installation: Installation, client: dict[str, str]) -> str:
    answer = requests.post(
        f"{installation.authorization_server}/oauth2/token",
        data={"grant_type": "client_credentials"},
        auth=(client["client_id"], client["client_secret"]),
        timeout=ANSWER_SECONDS,
    )
    answer.raise_for_status()
    token: str = answer.json()["access_token"]
    return token


def _credential(installation: Installation, token: str, login: str) -> tuple[str, bytes]:
    """The signer's credential, and its certified key, once the clerk has had it certified."""

    def ask(method: str, body: dict[str, object]) -> dict[str, Any]:
        url = f"{installation.authorization_server}/csc/v2/credentials/{method}"
        headers = {"Authorization": f"Bearer {token}"}
        answer = requests.post(url, json=body, headers=headers, timeout=ANSWER_SECONDS)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    credential = _awaited(lambda: ask("list", {"userID": login})["credentialIDs"])[0]
    told = ask("info", {"credentialID": credential})
    certificate = x509.load_der_x509_certificate(base64.b64decode(told["cert"]["certificates"][0]))
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return credential, spki


def _awaited(look: Any) -> Any:  # noqa: ANN401  # whatever it finds
    """Look until something is found.

    Raises:
        TimeoutError: it is not.
    """
    end = monotonic() + SETTING_UP_SECONDS
    while not (found := look()):
        if monotonic() > end:
            raise TimeoutError("the service does not do its work; its logs say why")
        sleep(0.1)
    return found
