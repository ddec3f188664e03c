"""`cellkey demo`: a whole signature, from the envelope to the PDF, step by step, with real parts.

Rules: every step is done by the part that does it in an installation, in a process of its own where
it has one; the demo only starts them, acts for the people, and tells. It runs from a checkout: push
service and relying party are not ours to ship and live among the tests. Whatever happens, all
processes are stopped.
"""

import importlib.util
import signal
import time
from itertools import count
from pathlib import Path
from typing import Final, Literal

import click

from backend.cli.demo_csc import tell_certificate
from backend.cli.demo_end import End, tell_end
from backend.cli.demo_installation import (
    CELLKEY,
    CHECKOUT,
    Stage,
    add_relying_party,
    begin_adding,
    begin_push_service,
    begin_registering,
    install,
    new_settings,
    push_service,
    register_signer,
    start_service,
    that_pushes_to,
)
from backend.cli.demo_judge import check_programs, judge
from backend.cli.demo_phone import approve_first, fall_asleep, pair, wake_and_approve
from backend.cli.demo_processes import Processes, StepFailed, running_processes, tail
from backend.cli.demo_relying_party import ask, collect
from backend.cli.demo_telling import Teller
from backend.cli.demo_words import demo_words
from backend.virtual_phone.errors import PhoneError

FOREIGN: Final = ("aiohttp", "pyhanko")
WORLD: Final = CHECKOUT / "tests" / "world" / "push_service.py"
LOOK_SECONDS: Final = 0.5


@click.command()
@click.option("--verbose", is_flag=True, help="Show the messages on the wire, without secrets.")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("var/demo"),
    show_default=True,
    help="Each run has a folder of its own in it.",
)
@click.option("--lang", type=click.Choice(["en", "ru"]), default="en", show_default=True)
@click.option("--keep-running", is_flag=True, help="Stop nothing at the end, until Ctrl-C.")
def demo(*, verbose: bool, folder: Path, lang: Literal["en", "ru"], keep_running: bool) -> None:
    """Show a whole signature, from the envelope to the PDF, with real parts."""
    _check_checkout()
    check_programs()
    # SIGINT too: a shell starts what it runs in the background with SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    tell = Teller(demo_words(), lang, verbose=verbose)
    place = _new_folder(folder.absolute())
    tell.begin()
    began = time.monotonic()
    with running_processes(place / "logs", cwd=CHECKOUT) as processes:
        stage = Stage(tell=tell, processes=processes, folder=place, settings=new_settings(place))
        try:
            end = _story(stage)
        except PhoneError as error:
            raise _failed(
                tell, f"the phone: {error}\n{tail(place / 'logs' / 'serve.log')}"
            ) from error
        except StepFailed as error:
            raise _failed(tell, error.message) from error
        took = time.monotonic() - began
        if not keep_running:
            processes.stop()
        tell_end(stage, end, seconds=took, runs=keep_running)
        if keep_running:
            _keep_running(tell, processes)


def _story(stage: Stage) -> End:
    """Tell the ten steps; what is slow to start begins before its step."""
    starting = begin_push_service(stage)
    install(stage)
    push = push_service(stage, starting)
    stage = that_pushes_to(stage, push)
    adding, registering = begin_adding(stage), begin_registering(stage)
    serve = start_service(stage)
    client = add_relying_party(stage, adding)
    envelope = register_signer(stage, registering)
    phone = pair(stage, envelope, serve)
    approve_first(stage, phone, serve)
    tell_certificate(stage, client, login=envelope.login)
    stage.tell.step(stage.tell.words.steps.request, name=client.name)
    sleeping = fall_asleep(stage, phone, push)
    asking = ask(stage, sleeping, client, login=envelope.login)
    transaction = wake_and_approve(stage, sleeping, asking.delivered)
    pdf = collect(stage, sleeping, asking, transaction)
    judge(stage, pdf)
    return End(
        client_id=client.client_id, login=envelope.login, credential=asking.credential(), pdf=pdf
    )


def _failed(tell: Teller, what: str) -> click.ClickException:
    return click.ClickException(f"step {tell.steps}: {what}")


def _check_checkout() -> None:
    """Find what the demo needs beside the product.

    Raises:
        StepFailed: it is not there.
    """
    if not WORLD.is_file():
        raise StepFailed(
            "the demo runs from a checkout: its push service and its relying party are in tests/",
            todo="Get the source, then: make demo",
        )
    if not CELLKEY.is_file() or not all(map(importlib.util.find_spec, FOREIGN)):
        raise StepFailed("the demo's own packages are not installed", todo="Install: make demo")


def _new_folder(folder: Path) -> Path:
    """Make this run's own folder: the next number that is free."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = {each.name for each in folder.iterdir()}
        place = folder / next(str(run) for run in count(1) if str(run) not in taken)
        place.mkdir(mode=0o700)
        (place / "logs").mkdir()
    except OSError as error:
        raise StepFailed(f"no folder can be made in {folder}: {error.strerror}") from error
    return place


def _keep_running(tell: Teller, processes: Processes) -> None:
    """Wait for Ctrl-C.

    Raises:
        StepFailed: a process ended by itself.
    """
    tell.line(tell.words.keeps_running)
    try:
        while not (ended := processes.failed()):
            time.sleep(LOOK_SECONDS)
    except KeyboardInterrupt:
        return
    raise StepFailed(f"{ended[0].name} ended by itself", log=ended[0].log)
