"""One approval for many documents, against a bare PKCS#11 loop on the same token in one run."""

import hashlib
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import uuid4

import pkcs11
import psycopg
from pkcs11.util.ec import encode_named_curve_parameters

from backend.hsm.pkcs11_binding import load_module
from tests.bench.flow import STEPS, Flow, get_token
from tests.bench.stage import Signing, Stage
from tests.world.softhsm import MODULE, PIN

if TYPE_CHECKING:
    from backend.hsm.pkcs11_keys import SigningKey

ROUNDS: Final = 3


def measure_batches(
    stage: Stage, client: tuple[str, str], signer: Signing, sizes: list[int]
) -> list[dict[str, Any]]:
    """Sign batches of these sizes; the best of a few rounds of each, and of the bare loop."""
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
    bare = max(_bare_loop(stage.environment, size) for _ in range(ROUNDS))
    times = min((flow.run(uuid4().hex, size) for _ in range(ROUNDS)), key=lambda one: one["flow"])
    whole = size / (times["flow"] / 1000)
    release = size / (times["signHash"] / 1000)
    return {
        "documents": size,
        "bare_signatures_per_second": round(bare),
        "signatures_per_second": round(whole),
        "of_bare": round(whole / bare, 2),
        "sign_hash_signatures_per_second": round(release),
        "sign_hash_of_bare": round(release / bare, 2),
        "milliseconds": {step: round(times[step]) for step in (*STEPS, "flow")},
    }


def _bare_loop(environment: Mapping[str, str], size: int) -> float:
    """Signatures a second by the binding alone, with a key of the session's."""
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
        began = time.perf_counter()
        for digest in digests:
            private.sign(digest, mechanism=pkcs11.Mechanism.ECDSA)
        seconds = time.perf_counter() - began
    return size / seconds
