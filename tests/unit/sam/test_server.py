"""The SAM behind its socket answers as the SAM in the process does."""

import hashlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import msgspec
import pytest

from backend import errors
from backend.errors import (
    CellkeyError,
    DoorRefused,
    HsmUnavailable,
    MalformedMessage,
    SamUnavailable,
    SummaryRefused,
    TooManyTries,
    WrongCode,
)
from backend.protocol.encoding import unb64u
from backend.protocol.record import verify_record
from backend.sam import client as client_module
from backend.sam import housekeeping
from backend.sam.amending import Amend, MakeSeed, OpenAmendment, Tighten
from backend.sam.cells import (
    AddSecurityKey,
    ChangePassword,
    PasswordLock,
    RemoveDevice,
    RemoveSecurityKey,
    ResetPassword,
)
from backend.sam.client import SamClient
from backend.sam.releases import Release
from backend.sam.server import SamServer, admitted
from backend.sam.service_keys import SamHealth
from backend.sam.transactions import RenderSms
from backend.sam.wire import (
    LENGTH,
    LONGEST_FRAME,
    ErrorReply,
    Reply,
    error_from,
    error_reply,
    read_members,
    receive_frame,
    send_frame,
    write_call,
    write_result,
)
from tests.unit.sam.test_security_keys import made
from tests.world.clock import SettableClock
from tests.world.code_cell import ADDRESS, with_phone
from tests.world.counting_app import CountingApp
from tests.world.paired_cell import (
    BY_CODE,
    CA,
    PASSWORD_HASH,
    PairedCell,
    make_cell,
    ready_cell,
)
from tests.world.paper_phone import read
from tests.world.sam import ORIGIN, SamWorld

ONE = hashlib.sha256(b"1").digest()


@pytest.fixture
def socket_path(tmp_path: Path) -> Path:
    return tmp_path / "sam.sock"


@contextmanager
def serving(path: Path, world: SamWorld, peers: frozenset[int]) -> Iterator[SamServer]:
    stop = threading.Event()
    server = SamServer(path, sam=world.sam, peers=peers)
    # A test need not wait half a second for its end.
    server.serve_forever = partial(server.serve_forever, poll_interval=0.01)  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve, args=(stop,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        stop.set()
        thread.join()


@pytest.fixture
def server(world: SamWorld, socket_path: Path) -> Iterator[SamServer]:
    with serving(socket_path, world, admitted(())) as server:
        yield server


@pytest.fixture
def client(server: SamServer, socket_path: Path) -> Iterator[SamClient]:
    del server
    client = SamClient(socket_path)
    yield client
    client.close()


class RemoteWorld:
    """A world whose SAM is the client; the rest is the local one's."""

    def __init__(self, world: SamWorld, client: SamClient) -> None:
        self.sam = client
        self.hsm = world.hsm
        self.clock = world.clock
        self.worker_key = world.worker_key
        self.root = world.root
        self.public_keys = world.public_keys


@pytest.fixture
def remote_cell(world: SamWorld, client: SamClient) -> PairedCell:
    """Every call of the way, over the socket."""
    return ready_cell(RemoteWorld(world, client))  # type: ignore[arg-type]  # the same shape


def test_a_cell_is_made_paired_certified_and_signs_over_the_socket(
    client: SamClient, remote_cell: PairedCell
) -> None:
    released = client.release(remote_cell.release_of(remote_cell.open_signing(ONE)))
    assert len(released.signatures) == 1
    assert client.health().hsm["name"] == "software"


@pytest.mark.sms
def test_approval_by_code_and_loosening_work_over_the_socket(
    world: SamWorld, client: SamClient, clock: SettableClock
) -> None:
    owner = with_phone(RemoteWorld(world, client))  # type: ignore[arg-type]  # the same shape
    opened = owner.open_signing(ONE)
    rendered = client.render_sms(
        RenderSms(
            record=owner.cell.record,
            ask=opened.ask,
            items=opened.items,
            zone="Europe/Moscow",
            address=ADDRESS,
        )
    )
    assert opened.sms is not None
    assert rendered.due_at == opened.sms.due_at
    clock.advance(seconds=60)
    with pytest.raises(WrongCode):
        owner.approve(opened, code="")
    by = owner.approve(opened)
    assert client.release(owner.evidence(opened, by)).signatures

    made = client.make_seed(MakeSeed(record=owner.cell.record, method="password+hotp"))
    app, now = CountingApp(seed=made.seed), int(clock().timestamp())
    asked = client.open_amendment(
        OpenAmendment(
            record=owner.cell.record,
            method="password+hotp",
            amounts=(),
            sms_delay=60,
            lock=owner.lock,
            password_hash=PASSWORD_HASH,
            number=None,
            seed=made.sealed,
            code=app.press(),
            name="Anna",
            rp=CA,
            lang="en",
            zone="UTC",
            exp=now + 300,
            use_by=now + 600,
        )
    )
    signed = read(asked.opened.ask, world.public_keys.ks)
    approval, sealed = owner.cell.phone.approve(signed, owner.cell.secret, number="42")
    amended = client.amend(
        Amend(
            record=owner.cell.record,
            blob=owner.cell.made.blob,
            ask=asked.opened.ask,
            approval=approval,
            sealed=sealed,
        )
    )
    assert amended.methods == ("app", "password+sms", "password+hotp")
    owner.cell.record = amended.record
    by_app = owner.approve(
        owner.open_signing(ONE),
        lock=asked.lock,
        method="password+hotp",
        code=app.press(),
        seed=made.sealed,
        number=None,
    )
    assert by_app.counted is not None
    assert by_app.counted.epoch == amended.epoch + 1
    tightened = client.tighten(Tighten(record=by_app.counted.record, method="password+sms"))
    assert tightened.methods == ("app", "password+hotp")


@pytest.mark.sms
def test_a_code_that_confirms_a_phone_comes_over_the_socket(
    world: SamWorld, client: SamClient
) -> None:
    confirmed = make_cell(RemoteWorld(world, client), policy=BY_CODE)  # type: ignore[arg-type]  # the same shape
    confirmed.pair()
    assert verify_record(confirmed.record, expected_ks=world.public_keys.ks).devices


def test_passwords_and_removal_work_over_the_socket(
    client: SamClient, remote_cell: PairedCell
) -> None:
    password = remote_cell.made.password
    assert password is not None
    changed = client.change_password(
        ChangePassword(
            signer=remote_cell.signer,
            old_password_hash=PASSWORD_HASH,
            new_password_hash=bytes(32),
            verifier=password.verifier,
            locks=(PasswordLock(record=remote_cell.record, lock=password.lock),),
        )
    )
    assert len(changed.locks) == 1
    seal = client.set_password(remote_cell.new_password_request(bytes(32), bytes(range(32))))
    assert seal.verifier != changed.verifier
    reset = ResetPassword(signer=remote_cell.signer, password_hash=bytes(32))
    assert client.reset_password(reset).verifier == changed.verifier
    removal = RemoveDevice(record=remote_cell.record, kid=remote_cell.phone.kid)
    assert client.remove_device(removal).epoch == 4


def test_security_keys_come_and_go_over_the_socket(client: SamClient, world: SamWorld) -> None:
    cell = ready_cell(world, app=ORIGIN)
    key, message = made(cell)
    added = client.add_security_key(AddSecurityKey(record=cell.record, message=message))
    removal = RemoveSecurityKey(record=added.record, kid=cell.phone.kid, id=unb64u(key.id))
    assert client.remove_security_key(removal).epoch == added.epoch + 1


def test_a_refusal_keeps_its_class_and_rule_on_the_way(
    client: SamClient, remote_cell: PairedCell, clock: SettableClock
) -> None:
    release = remote_cell.release_of(remote_cell.open_signing(ONE))
    clock.advance(seconds=600)
    with pytest.raises(DoorRefused, match="after use_by") as caught:
        client.release(release)
    assert caught.value.rule == 1


@pytest.mark.parametrize(
    "error",
    [
        DoorRefused(5, "reason"),
        WrongCode(2),
        TooManyTries("too many", 30),
        SummaryRefused("payee.name", "has a space too many"),
        HsmUnavailable("gone"),
    ],
)
def test_errors_survive_the_wire(error: CellkeyError) -> None:
    back = error_from(error_reply(error))
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert vars(back) == vars(error)


@pytest.mark.parametrize("name", ["SystemExit", "annotations", "CellkeyErrors", ""])
def test_an_error_of_an_unknown_name_becomes_sam_unavailable(name: str) -> None:
    assert type(error_from(ErrorReply(name=name, message="?"))) is SamUnavailable


def test_every_error_of_the_tree_survives_the_wire() -> None:
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, CellkeyError)
    ]
    for kind in kinds:
        reply = ErrorReply(name=kind.__name__, message="why", rule=1, field="f", tries_left=1)
        assert type(error_from(reply)) is kind


def test_a_peer_of_another_user_gets_no_word(world: SamWorld, socket_path: Path) -> None:
    others = frozenset({os.getuid() + 1})
    with serving(socket_path, world, others), pytest.raises(SamUnavailable):
        SamClient(socket_path).health()


def test_the_socket_is_not_for_everybody(server: SamServer, socket_path: Path) -> None:
    del server
    assert socket_path.stat().st_mode & 0o777 == 0o660


def test_nobody_listens(socket_path: Path) -> None:
    with pytest.raises(SamUnavailable, match="no SAM listens"):
        SamClient(socket_path).health()


def test_a_client_finds_a_restarted_sam(world: SamWorld, socket_path: Path) -> None:
    client = SamClient(socket_path)
    for _ in range(2):
        with serving(socket_path, world, admitted(())):
            assert client.health().hsm
            for kept in client._idle:  # as if the server's process had died
                kept.shutdown(socket.SHUT_RDWR)
    client.close()


def test_a_connection_is_used_again(server: SamServer, client: SamClient) -> None:
    del server
    client.health()
    (kept,) = client._idle
    client.health()
    assert list(client._idle) == [kept]


# --- what comes over the socket ---------------------------------------------------


def spoken(path: Path, *frames: bytes) -> list[bytes | None]:
    """Raw frames, and what is answered."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        answers = []
        for frame in frames:
            send_frame(connection, frame)
            answers.append(receive_frame(connection))
        return answers


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"[]",
        b'{"call":"sign","request":{}}',
        b'{"call":"__init__","request":{}}',
        b'{"call":"release","request":{}}',
        b'{"call":"health","request":{"all":true}}',
        b'{"call":"health","request":{},"more":1}',
        b"\xff\xfe",
    ],
)
def test_what_is_no_call_is_answered_with_an_error(
    server: SamServer, socket_path: Path, frame: bytes
) -> None:
    """N-03: the web tier may send anything."""
    del server
    (answer,) = spoken(socket_path, frame)
    assert answer is not None
    assert error_name(answer) == "MalformedMessage"


def error_name(answer: bytes) -> str:
    reply = msgspec.json.decode(answer)
    return str(reply["error"]["name"])


def test_a_frame_that_is_too_long_ends_the_conversation(
    server: SamServer, socket_path: Path
) -> None:
    del server
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(socket_path))
        connection.sendall(LENGTH.pack(LONGEST_FRAME + 1))
        assert connection.recv(1) == b""


def test_a_frame_that_comes_in_pieces_is_read_whole() -> None:
    body = bytes(range(256)) * 1024
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sender = threading.Thread(target=send_frame, args=(ours, body))
        sender.start()
        read = receive_frame(theirs)
        sender.join()
    assert read == body


def test_a_caller_that_dies_within_a_frame_harms_nobody(
    server: SamServer, socket_path: Path
) -> None:
    del server
    for half in (LENGTH.pack(100)[:2], LENGTH.pack(100), LENGTH.pack(100) + b"x"):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(socket_path))
            connection.sendall(half)
    with closing(SamClient(socket_path)) as client:
        assert client.health().hsm


def test_a_failure_of_one_call_ends_no_other(
    server: SamServer, socket_path: Path, remote_cell: PairedCell
) -> None:
    """An error that nobody foresaw becomes SamUnavailable, without its text."""

    def fail(request: msgspec.Struct) -> msgspec.Struct:
        raise ZeroDivisionError(str(request))

    server.answers = {**server.answers, "release": fail}
    release = remote_cell.release_of(remote_cell.open_signing(ONE))
    with closing(SamClient(socket_path)) as client:
        with pytest.raises(SamUnavailable, match="its log says why"):
            client.release(release)
        assert client.health().hsm


# --- what a false SAM answers -----------------------------------------------------


@pytest.mark.parametrize("answer", [b"", b"{}", b'{"result":{}}', b"nonsense", None])
def test_an_answer_without_sense_is_no_answer(socket_path: Path, answer: bytes | None) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_path))
        listener.listen()

        def reply() -> None:
            connection, _ = listener.accept()
            with connection:
                receive_frame(connection)
                if answer is not None:
                    send_frame(connection, answer)

        answering = threading.Thread(target=reply, daemon=True)
        answering.start()
        with closing(SamClient(socket_path)) as client, pytest.raises(SamUnavailable):
            client.health()
        answering.join()


def test_a_sam_that_dies_within_its_answer_is_unavailable(socket_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_path))
        listener.listen()

        def reply() -> None:
            connection, _ = listener.accept()
            with connection:
                receive_frame(connection)
                connection.sendall(LENGTH.pack(50) + b"half")

        answering = threading.Thread(target=reply, daemon=True)
        answering.start()
        with closing(SamClient(socket_path)) as client, pytest.raises(SamUnavailable):
            client.health()
        answering.join()


def test_a_sam_that_never_answers_is_unavailable(
    socket_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "ANSWER_SECONDS", 0.05)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_path))
        listener.listen()
        with closing(SamClient(socket_path)) as client, pytest.raises(SamUnavailable):
            client.health()


def test_a_release_of_ten_thousand_items_fits_into_a_frame() -> None:
    item = '{"label":"' + "x" * 200 + '","type":"dtbsr","hash":"' + "A" * 86 + '"}'
    release = Release(
        record="r" * 20_000,
        blob=bytes(3000),
        ask="a" * 20_000,
        items=(item,) * 10_000,
        approval="p" * 20_000,
        sealed="s" * 1000,
        requested=tuple(range(10_000)),
        scheme="ecdsa",  # type: ignore[arg-type]  # its wire form
        messages=(),
        rp="shop",
    )
    assert len(write_call("release", release)) < LONGEST_FRAME


def test_malformed_messages_keep_their_name() -> None:
    assert type(error_from(error_reply(MalformedMessage("x")))) is MalformedMessage


# --- housekeeping -----------------------------------------------------------------


def test_the_server_destroys_the_keys_of_finished_hours(
    world: SamWorld,
    socket_path: Path,
    clock: SettableClock,
    cell: PairedCell,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(housekeeping, "HOUSEKEEPING_SECONDS", 0.01)
    cell.open_signing(ONE)
    assert world.hsm.hours()
    clock.advance(hours=1)
    with serving(socket_path, world, admitted(())):
        wait_until(lambda: not world.hsm.hours())


def test_a_token_that_is_out_does_not_end_the_server(
    world: SamWorld, socket_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "HOUSEKEEPING_SECONDS", 0.01)
    tried = []

    def out() -> frozenset[int]:
        tried.append(1)
        raise HsmUnavailable("the token is out")

    monkeypatch.setattr(world.hsm, "hours", out)
    with serving(socket_path, world, admitted(())):
        wait_until(lambda: len(tried) > 2)


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait; the test's own time-out ends what never comes."""
    while not condition():
        time.sleep(0.01)


def test_a_value_of_another_type_is_no_octets(server: SamServer, socket_path: Path) -> None:
    del server
    with closing(SamClient(socket_path)) as client:
        good = client.health()
    wrong = write_result(good).replace(b'"kty":"EC"', b'"kty":"EC","x":1,"y":1', 1)
    reply = msgspec.json.decode(wrong, type=Reply)
    with pytest.raises(msgspec.MsgspecError):
        read_members(reply.result, SamHealth)
