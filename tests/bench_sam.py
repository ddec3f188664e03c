"""A batch through the SAM against a bare PKCS#11 loop: ``python -m tests.bench_sam [COUNT]``.

Both sign the same hashes by a P-256 key on the same SoftHSM token, in one process, in turns. What
counts is the thread's own CPU time, so that a busy machine does not disturb the comparison. The
wire is measured by itself: a release and its answer of that many items, to and fro as bytes.
"""

import cProfile
import hashlib
import pstats
import sys
import time
from collections.abc import Callable

import click
import msgspec
from pkcs11 import Mechanism

from backend.algorithms import KeyAlgorithm
from backend.hsm.pkcs11_signers_keys import generate_signers_key
from backend.protocol.record import Caps, Policy
from backend.sam.releases import Release, Released
from backend.sam.wire import Call, Reply, read_members, write_call, write_result
from tests.world.clock import SettableClock
from tests.world.paired_cell import PairedCell, make_cell
from tests.world.sam import open_sam_world
from tests.world.softhsm import Token, softhsm

ROUNDS = 5
POLICY = Policy(methods=("app",), caps=Caps(multisign=10_000, kinds=("virtual",), confirm=("sms",)))


def timed(work: Callable[[], object]) -> float:
    begin = time.thread_time()
    work()
    return time.thread_time() - begin


def bare_loop(token: Token, digests: list[bytes]) -> Callable[[], None]:
    session = token.attacker()
    _public, private = generate_signers_key(session, KeyAlgorithm.P256)

    def work() -> None:
        for digest in digests:
            private.sign(digest, mechanism=Mechanism.ECDSA)  # type: ignore[attr-defined]  # made by the binding at run time

    return work


def over_the_wire(request: Release, released: Released) -> None:
    call = msgspec.json.decode(write_call("release", request), type=Call)
    read_members(call.request, Release)
    reply = msgspec.json.decode(write_result(released), type=Reply)
    read_members(reply.result, Released)


def main(count: int) -> None:
    token = softhsm().new_token()
    world = open_sam_world(token.hsm(), SettableClock())
    cell: PairedCell = make_cell(world, policy=POLICY)
    cell.pair()
    cell.certify()
    digests = [hashlib.sha256(str(number).encode()).digest() for number in range(count)]
    opened: list[float] = []
    ask = cell.open_signing(*digests)
    opened = [timed(lambda: cell.open_signing(*digests)) for _ in range(ROUNDS)]
    release = cell.release_of(ask)
    bare = bare_loop(token, digests)
    released = world.sam.release(release)
    pairs = [(timed(bare), timed(lambda: world.sam.release(release))) for _ in range(ROUNDS)]
    wire = [timed(lambda: over_the_wire(release, released)) for _ in range(ROUNDS)]
    alone, through = (min(each) for each in zip(*pairs, strict=True))
    click.echo(f"items                {count}")
    click.echo(f"bare loop            {count / alone:.0f} signatures/s ({alone:.3f} s)")
    click.echo(f"Sam.release          {count / through:.0f} signatures/s ({through:.3f} s)")
    click.echo(f"of the bare loop     {alone / through:.1%}")
    click.echo(f"Sam.open_transaction {min(opened):.3f} s")
    click.echo(f"wire, both ways      {min(wire):.3f} s")
    for work in (lambda: world.sam.release(release), lambda: cell.open_signing(*digests)):
        profile = cProfile.Profile()
        profile.runcall(work)
        pstats.Stats(profile).sort_stats("tottime").print_stats(14)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
