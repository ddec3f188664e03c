"""One approval for many documents, against a bare PKCS#11 loop on the same token in one run."""

import hashlib
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast
from uuid import uuid4

import pkcs11
import psycopg
from pkcs11.util.ec import encode_named_curve_parameters

from backend.hsm.pkcs11_binding import load_module
from tests.bench.cost import cpu_seconds
from tests.bench.flow import STEPS, Flow, Times, get_token
from tests.bench.stage import Signing, Stage
from tests.world.softhsm import MODULE, PIN

if TYPE_CHECKING:
    from backend.hsm.pkcs11_keys import SigningKey

ROUNDS: Final = 3


def measure_batches(
    stage: Stage, client: tuple[str, str], signer: Signing, sizes: list[int]
) -> list[dict[str, Any]]:
    """Sign batches of these sizes; the best of a few rounds of each, and of the bare loop.

    ``calls`` are the five calls without the phone's own work between them.
    """
    address = stage.settings.authorization_server_url
    database = psycopg.connect(str(stage.engine.url.set(drivername="postgresql")), autocommit=True)
    with database:
        flow = Flow(
            address=address,
            token=get_token(address, *client),
            credential=signer.credential,
            phone=signer.phone,
            database=database,
        )
        return [_batch(stage, flow, size) for size in sizes]


def _batch(stage: Stage, flow: Flow, size: int) -> dict[str, Any]:
    """By turns, so that a machine that is slower for a while is so for both."""
    rounds: list[tuple[Bare, Times, dict[str, int]]] = []
    for _ in range(ROUNDS):
        bare = _bare_loop(stage.environment, size)
        before = cpu_seconds(stage) | {"generator": time.process_time()}
        times = flow.run(uuid4().hex, size)
        after = cpu_seconds(stage) | {"generator": time.process_time()}
        spent = {part: round(1000 * (after[part] - before[part])) for part in after}
        rounds.append((bare, times, spent))
    alone = max(bare.per_second for bare, _, _ in rounds)
    times = min((times for _, times, _ in rounds), key=lambda one: one["flow"])
    release = min(times["signHash"] for _, times, _ in rounds)
    calls = min(sum(times[step] for step in STEPS) for _, times, _ in rounds)
    return {
        "documents": size,
        "bare_signatures_per_second": round(alone),
        "signatures_per_second": round(size / times["flow"] * 1000),
        "of_bare": round(size / times["flow"] * 1000 / alone, 2),
        "calls_of_bare": round(size / calls * 1000 / alone, 2),
        "sign_hash_signatures_per_second": round(size / release * 1000),
        "sign_hash_of_bare": round(size / release * 1000 / alone, 2),
        "milliseconds": {step: round(times[step]) for step in (*STEPS, "flow")},
        "bare_cpu_ms": round(min(bare.cpu_ms for bare, _, _ in rounds)),
        "cpu_ms": {part: min(spent[part] for _, _, spent in rounds) for part in rounds[0][2]},
    }


class Bare(NamedTuple):
    """What the binding does alone."""

    per_second: float
    cpu_ms: float


def _bare_loop(environment: Mapping[str, str], size: int) -> Bare:
    """The binding alone, with a key of the session's."""
    digests = [hashlib.sha256(str(number).encode()).digest() for number in range(size)]
    token = load_module(MODULE).token(environment["CELLKEY_PKCS11_TOKEN"])
    try:
        session = token.open(rw=True, user_pin=PIN)
    except pkcs11.UserAlreadyLoggedIn:
        session = token.open(rw=True)
    with session:
        parameters = session.create_domain_parameters(
            pkcs11.KeyType.EC,
            {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")},
            local=True,
        )
        private = cast("SigningKey", parameters.generate_keypair()[1])
        began, cpu = time.perf_counter(), time.process_time()
        for digest in digests:
            private.sign(digest, mechanism=pkcs11.Mechanism.ECDSA)
        seconds = time.perf_counter() - began
        cpu_ms = 1000 * (time.process_time() - cpu)
    return Bare(per_second=size / seconds, cpu_ms=cpu_ms)
