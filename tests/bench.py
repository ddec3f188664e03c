"""``make bench``: how long a whole flow takes on the embedded default, one after the other.

A flow is authorize → phone fetches → phone approves → authorizeCheck → signHash, over HTTP against
a ``cellkey serve`` of its own (SQLite, software cells); every answer is checked and every signature
verified. The phones are processes of this program, one signer each. The figures are of this
machine, today, with everything on it: load generator, service and database share its cores.
"""

import argparse
import base64
import hashlib
import json
import multiprocessing
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_server
from typing import Any, Final

import requests
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from backend.virtual_phone.invitation import read_addresses, read_envelope
from backend.virtual_phone.pairing import Applicant
from backend.virtual_phone.phone import VirtualPhone

CELLKEY: Final = (str(Path(sys.executable).with_name("cellkey")),)
CODE: Final = re.compile(r"Code ([0-9]{8})")
PASSWORD: Final = "green kettle 7"  # of a signer that lives for a minute
SECONDS: Final = 30
REPORT: Final = Path("var/bench.json")
STEPS: Final = ("authorize", "fetch", "approve", "authorizeCheck", "signHash", "flow")


def free_port() -> int:
    """A port that nobody listens on."""
    with create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def cellkey(environment: dict[str, str], *arguments: str) -> Any:  # noqa: ANN401  # the command's JSON
    """A command's answer."""
    done = subprocess.run(
        [*CELLKEY, *arguments, "--json"], env=environment, capture_output=True, check=True
    )
    return json.loads(done.stdout or b"null")


@contextmanager
def service(folder: Path) -> Iterator[tuple[dict[str, str], Path]]:
    """A fresh installation, and ``cellkey serve`` on it."""
    environment = {
        **os.environ,
        "PYTHONWARNINGS": "ignore",  # software cells shout, and their answers are read here
        "CELLKEY_DATA_DIR": str(folder / "data"),
        "CELLKEY_AUTHORIZATION_SERVER_URL": f"http://127.0.0.1:{free_port()}",
        "CELLKEY_MOBILE_API_URL": f"http://127.0.0.1:{free_port()}",
    }
    for arguments in (("hsm", "init"), ("db", "upgrade"), ("worker", "keys")):
        cellkey(environment, *arguments)
    output = folder / "serve.log"
    with output.open("wb") as stream:
        process = subprocess.Popen(
            [*CELLKEY, "serve"], env=environment, stdout=stream, stderr=stream
        )
    try:
        wait_for(lambda: is_ready(environment["CELLKEY_MOBILE_API_URL"]))
        wait_for(lambda: is_ready(environment["CELLKEY_AUTHORIZATION_SERVER_URL"]))
        yield environment, output
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def is_ready(address: str) -> bool:
    """Whether a server answers that it is ready."""
    try:
        return requests.get(f"{address}/readyz", timeout=SECONDS).ok
    except requests.ConnectionError:
        return False


def wait_for(condition: Callable[[], object]) -> None:
    """Wait for what must come.

    Raises:
        TimeoutError: it did not.
    """
    end = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the service does not get ready; its log says why")
        time.sleep(0.1)


def signing_phone(environment: dict[str, str], output: Path, folder: Path, number: int) -> str:
    """Register a signer, pair a phone, get the certificate; gives the login."""
    name = ("--family", "Bench", "--given", f"Number{number}")
    contact = ("--number", f"+7999000{number:04}", "--operator", "bench", "--lang", "en")
    envelope = cellkey(environment, "signer", "register", *name, *contact)
    before = len(output.read_text("utf-8"))
    phone = VirtualPhone(folder / f"phone-{number}.json")
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
    wait_for(lambda: CODE.search(output.read_text("utf-8"), before))
    code = CODE.search(output.read_text("utf-8"), before)
    phone.pair_confirm(code[1] if code else None)
    wait_for(lambda: phone.pending().transactions)
    phone.approve(phone.show(phone.pending().transactions[0].id))
    login: str = envelope["login"]
    return login


class RelyingParty:
    """Who asks and collects, over CSC v2."""

    def __init__(self, environment: dict[str, str], client: dict[str, str]) -> None:
        self.base = environment["CELLKEY_AUTHORIZATION_SERVER_URL"]
        self.session = requests.Session()
        token = self.session.post(
            f"{self.base}/oauth2/token",
            data={"grant_type": "client_credentials"},
            auth=(client["client_id"], client["client_secret"]),
            timeout=SECONDS,
        )
        token.raise_for_status()
        self.session.headers["Authorization"] = f"Bearer {token.json()['access_token']}"

    def call(self, method: str, body: dict[str, object]) -> Any:  # noqa: ANN401  # CSC's JSON
        """Call a method that must succeed."""
        answer = self.session.post(f"{self.base}/csc/v2/{method}", json=body, timeout=SECONDS)
        answer.raise_for_status()
        return answer.json()

    def credential(self, login: str) -> tuple[str, ec.EllipticCurvePublicKey]:
        """A signer's credential and its certified key, once the clerk has it."""
        wait_for(lambda: self.call("credentials/list", {"userID": login})["credentialIDs"])
        (found,) = self.call("credentials/list", {"userID": login})["credentialIDs"]
        told = self.call("credentials/info", {"credentialID": found})
        der = base64.b64decode(told["cert"]["certificates"][0])
        key = x509.load_der_x509_certificate(der).public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        return found, key


def flows(
    environment: dict[str, str], client: dict[str, str], state: Path, login: str, count: int
) -> list[dict[str, float]]:
    """Run flows; milliseconds of each step."""
    party, phone = RelyingParty(environment, client), VirtualPhone(state)
    credential, key = party.credential(login)
    return [one_flow(party, phone, credential, key, number) for number in range(count)]


def one_flow(
    party: RelyingParty,
    phone: VirtualPhone,
    credential: str,
    key: ec.EllipticCurvePublicKey,
    number: int,
) -> dict[str, float]:
    """One flow, every answer checked."""
    digest = hashlib.sha256(f"{credential} {number}".encode()).digest()
    hashes = [base64.b64encode(digest).decode()]
    oid = "2.16.840.1.101.3.4.2.1"
    times: dict[str, float] = {}
    start = time.perf_counter()

    def timed(step: str, work: Callable[[], Any]) -> Any:  # noqa: ANN401  # what the step gives
        begun = time.perf_counter()
        result = work()
        times[step] = (time.perf_counter() - begun) * 1000
        return result

    asked = {"credentialID": credential, "numSignatures": 1, "hashes": hashes}
    body = asked | {"hashAlgorithmOID": oid}
    handle = timed("authorize", lambda: party.call("credentials/authorize", body)["handle"])
    shown = timed("fetch", lambda: phone.show(phone.pending().transactions[0].id))
    timed("approve", lambda: phone.approve(shown))
    sad = timed(
        "authorizeCheck", lambda: party.call("credentials/authorizeCheck", {"handle": handle})
    )["SAD"]
    collected = {"credentialID": credential, "SAD": sad, "hashes": hashes}
    signature = timed(
        "signHash",
        lambda: party.call("signatures/signHash", collected | {"signAlgo": "1.2.840.10045.4.3.2"}),
    )["signatures"][0]
    key.verify(base64.b64decode(signature), digest, ec.ECDSA(Prehashed(SHA256())))
    times["flow"] = (time.perf_counter() - start) * 1000
    return times


def measure(
    environment: dict[str, str], client: dict[str, str], phones: list[tuple[Path, str]], count: int
) -> dict[str, Any]:
    """Run so many flows at once as there are phones."""
    jobs = [(environment, client, state, login, count) for state, login in phones]
    begun = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(len(jobs)) as pool:
        times = [each for found in pool.starmap(flows, jobs) for each in found]
    seconds = time.perf_counter() - begun
    return {
        "concurrency": len(phones),
        "flows": len(times),
        "flows_per_second": round(len(times) / seconds, 1),
        "milliseconds": {step: percentiles([each[step] for each in times]) for step in STEPS},
    }


def percentiles(values: list[float]) -> dict[str, float]:
    """p50, p95, p99."""
    cuts = statistics.quantiles(values, n=100)
    return {"p50": round(cuts[49], 1), "p95": round(cuts[94], 1), "p99": round(cuts[98], 1)}


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flows", type=int, default=100, help="flows of each phone")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 4])
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, service(Path(name)) as (environment, output):
        client = cellkey(environment, "relying-party", "add", "Bench")
        phones = []
        for number in range(max(chosen.concurrency)):
            login = signing_phone(environment, output, Path(name), number)
            phones.append((Path(name) / f"phone-{number}.json", login))
        results = [
            measure(environment, client, phones[:size], chosen.flows) for size in chosen.concurrency
        ]
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(results, indent=2) + "\n", "utf-8")
    for result in results:
        flow = result["milliseconds"]["flow"]
        print(  # noqa: T201  # a program's answer
            f"concurrency {result['concurrency']}: {result['flows_per_second']} flows/s, "
            f"p50 {flow['p50']} ms, p95 {flow['p95']} ms, p99 {flow['p99']} ms"
        )
    print(f"Each step's figures: {REPORT}")  # noqa: T201  # a program's answer


if __name__ == "__main__":
    main()
