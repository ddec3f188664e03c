"""`cellkey phone`, over a real socket, against the protocol page on paper."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from click.testing import CliRunner, Result

from backend.cli.main import main
from backend.cli.phone import tell
from backend.virtual_phone.encoding import b64u, secret_text
from backend.virtual_phone.jose import key_bytes, new_key
from backend.virtual_phone.keystore import Subscription
from backend.virtual_phone.push import Notification, PushData, PushMessage, public_key
from tests.unit.virtual_phone.loopback import on_the_web, serving
from tests.unit.virtual_phone.other_side import thumbprint, unb64u
from tests.unit.virtual_phone.paper_service import CODE, FIRST, LOGIN, NEW, PaperService
from tests.world.push_service import running_push_service

Run = Callable[..., Result]


@pytest.fixture
def paper() -> PaperService:
    return PaperService()


@pytest.fixture
def address(paper: PaperService) -> Iterator[str]:
    with serving(on_the_web(paper)) as url:
        yield url


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def phone(*arguments: str, typed: str = "") -> Result:
        state = ["--state", str(tmp_path / "phone.json")]
        return CliRunner().invoke(
            main, ["phone", arguments[0], *state, *arguments[1:]], input=typed
        )

    return phone


def events_of(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def pair_options(tmp_path: Path, paper: PaperService, address: str) -> list[str]:
    files = []
    for option, content in (("password", FIRST), ("new-password", NEW), ("code", CODE)):
        path = tmp_path / option
        path.write_text(f"{content}\n")
        files += [f"--{option}-file", str(path)]
    server = quote(address, safe="")
    return [
        "--qr1",
        f"https://app.test/#as={server}&api={server}",
        "--qr2",
        f"cellkey:pair?s={secret_text(paper.secret)}",
        "--login",
        LOGIN,
        *files,
    ]


@pytest.fixture
def paired(run: Run, pair_options: list[str]) -> Run:
    assert run("pair", *pair_options).exit_code == 0
    return run


@pytest.mark.parametrize("kind", ["virtual", "pwa"])
def test_pairing_prints_what_a_program_needs_line_by_line(
    run: Run, paper: PaperService, pair_options: list[str], kind: str
) -> None:
    enrolled, paired = events_of(run("pair", *pair_options, "--kind", kind, "--json"))
    assert enrolled["event"] == "enrolled"
    assert enrolled["confirmation"] == ["sms"]
    assert len(enrolled["twelve"]) == 14
    assert paired["event"] == "paired"
    assert unb64u(paired["kid"]) == thumbprint(paper.phone_keys["approval"])
    assert paired["cell"] == str(paper.cell)
    assert len(paired["recovery_code"].replace("-", "")) == 26
    assert paper.claims["kind"] == kind


def test_pairing_asks_for_what_it_was_not_given(
    run: Run, paper: PaperService, address: str
) -> None:
    typed = "\n".join(
        [secret_text(paper.secret).lower(), LOGIN, FIRST, NEW, NEW, "00000000", CODE, ""]
    )
    result = run("pair", "--as", address, "--api", f"{address}/", typed=typed)
    assert result.exit_code == 0, result.output
    assert "This is not the code." in result.stderr
    assert "Paired." in result.stdout
    for secret in (FIRST, NEW, secret_text(paper.secret).lower()):
        assert secret not in result.output


def test_an_operator_is_waited_for_where_one_confirms(
    run: Run, paper: PaperService, pair_options: list[str]
) -> None:
    paper.confirmation = ("operator",)
    paper.operator_agrees = True
    result = run("pair", *pair_options)
    assert "Read these characters to the operator" in result.stderr
    assert "Paired." in result.stdout


@pytest.mark.parametrize(
    ("removed", "added", "said"),
    [
        ("--qr1", [], "give --qr1, or both --as and --api"),
        ("--qr1", ["--kind", "pwa", "--as", "a", "--api", "b"], "needs --qr1 or --app"),
        ("--qr2", ["--qr2", "123"], "a code has 26 characters, not 3"),
        ("--qr1", ["--qr1", "https://app.test"], "QR 1 is not"),
        ("--login", ["--login", "petrov"], "unauthenticated"),
    ],
)
def test_a_pairing_that_cannot_be_is_one_line_and_not_a_traceback(
    run: Run, pair_options: list[str], removed: str, added: list[str], said: str
) -> None:
    place = pair_options.index(removed)
    del pair_options[place : place + 2]
    result = run("pair", *pair_options, *added)
    assert result.exit_code in (1, 2)
    assert said in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize("option", ["--password", "--new-password", "--code", "--recovery-code"])
def test_no_secret_is_taken_from_the_arguments(run: Run, option: str) -> None:
    result = run("pair", option, "secret")
    assert result.exit_code == 2
    assert "No such option" in result.stderr or "ambiguous" in result.stderr


def test_a_wrong_code_from_a_file_is_not_tried_again(
    run: Run, pair_options: list[str], tmp_path: Path
) -> None:
    (tmp_path / "code").write_text("00000000")
    result = run("pair", *pair_options)
    assert result.exit_code == 1
    assert "wrong-code" in result.stderr


def test_what_waits_is_listed(paired: Run, paper: PaperService) -> None:
    assert paired("list").stdout == "Nothing waits.\n"
    jti = paper.open_transaction()
    assert paired("list").stdout == f"{jti}  sign  until 2026-11-21T12:05:00Z\n"
    (listed,) = events_of(paired("list", "--json"))
    assert [pending["id"] for pending in listed["transactions"]] == [jti]


def test_what_is_approved_is_shown_and_asked_for(paired: Run, paper: PaperService) -> None:
    jti = paper.open_transaction(number_asked=True)
    result = paired("approve", jti, typed="y\n07\n")
    assert "│ Сумма: 100 ₽" in result.stdout
    assert result.stdout.endswith(f"{jti} is approved.\n")
    assert paper.transactions[jti]["state"] == "approved"


def test_without_a_yes_nothing_is_sent(paired: Run, paper: PaperService) -> None:
    jti = paper.open_transaction()
    for typed in ("n\n", ""):
        assert paired("approve", jti, typed=typed).exit_code == 1
    assert paper.transactions[jti]["state"] == "pending"


def test_with_yes_it_is_printed_all_the_same(paired: Run, paper: PaperService) -> None:
    jti = paper.open_transaction()
    result = paired("approve", jti, "--yes")
    assert "Сумма: 100 ₽" in result.stdout
    assert paper.transactions[jti]["state"] == "approved"


def test_with_yes_a_number_that_is_missing_is_not_asked_for(
    paired: Run, paper: PaperService
) -> None:
    jti = paper.open_transaction(number_asked=True)
    assert "two-digit number" in paired("approve", jti, "--yes").stderr
    assert paired("approve", jti, "--yes", "--number", "07").exit_code == 0


def test_who_is_stopped_is_listed_and_may_be_allowed_again(
    paired: Run, paper: PaperService
) -> None:
    paper.stopped = {"broker": "Брокер\u202e"}
    listed = paired("stopped").stdout
    allowed = paired("allow", "broker").stdout
    program = events_of(paired("allow", "broker", "--json"))

    assert listed == "broker  since 2026-11-21T12:00:00Z  Брокер\ufffd\n"
    assert allowed == "broker may ask again.\n"
    assert program == [{"allowed": "broker"}]
    assert paired("stopped").stdout == "Nobody is stopped.\n"


def test_a_program_reads_all_of_the_transaction(paired: Run, paper: PaperService) -> None:
    jti = paper.open_transaction()
    shown, answered = events_of(paired("approve", jti, "--yes", "--json"))
    assert shown["text"] == {"lang": "ru", "title": "Договор", "lines": ["Сумма: 100 ₽"]}
    assert shown["relying_party"] == {"id": "broker", "name": "Брокер"}
    assert [item["label"] for item in shown["documents"]] == ["Договор.pdf"]
    assert answered == {"event": "answered", "id": jti, "state": "approved"}


def test_a_transaction_is_rejected(paired: Run, paper: PaperService) -> None:
    one, other = paper.open_transaction(), paper.open_transaction()
    assert paired("reject", one).stdout.endswith(f"{one} is rejected.\n")
    assert paired("reject", other, "--not-me").exit_code == 0
    decisions = []
    for jti in (one, other):
        payload = paper.transactions[jti]["refusal"]["refusal"].split(".")[1]
        decisions.append(json.loads(unb64u(payload))["decision"])
    assert decisions == ["reject", "not_me"]


def test_the_next_transaction_is_taken_where_none_is_named(
    paired: Run, paper: PaperService
) -> None:
    assert "name a transaction" in paired("approve").stderr
    jti = paper.open_transaction()
    assert paired("approve", "--follow", "--yes").exit_code == 0
    assert paper.transactions[jti]["state"] == "approved"


def test_transactions_are_followed(paired: Run, paper: PaperService) -> None:
    false = paper.open_transaction(cell="6ba7b810-9dad-11d1-80b4-00c04fd430c8")
    good = paper.open_transaction()
    not_shown, shown = events_of(paired("follow", "--once", "--json"))
    assert (not_shown["event"], not_shown["id"]) == ("not_shown", false)
    assert (shown["event"], shown["id"]) == ("transaction", good)
    assert f"Not shown: {false}" in paired("follow", "--once").stdout


def test_a_phone_that_is_not_paired_says_how_to_begin(run: Run) -> None:
    for command in (["list"], ["follow"], ["approve", "x"], ["reject", "x"]):
        result = run(*command)
        assert result.exit_code == 1
        assert "cellkey phone pair" in result.stderr


@pytest.mark.parametrize("command", ["pair", "list", "approve", "reject", "follow"])
def test_each_command_explains_itself_and_speaks_to_programs(run: Run, command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "--json" in result.stdout
    assert "--state" in result.stdout


def test_a_push_service_is_subscribed_to_and_wakes(
    paired: Run, paper: PaperService, tmp_path: Path
) -> None:
    paper.push_key = public_key(
        Subscription(
            endpoint="", inbox="", private_key=b64u(key_bytes(new_key())), auth=b64u(bytes(16))
        )
    )
    paper.open_transaction()
    with running_push_service(ca_out=tmp_path / "ca.pem") as world:
        options = ("--push-service", world.base, "--push-ca", str(tmp_path / "ca.pem"))
        subscribed, shown = events_of(paired("follow", *options, "--once", "--json"))
        assert paper.subscription is not None
        assert paper.subscription["endpoint"].startswith(f"https://{world.host}/wpush/v2/")
    assert (subscribed["event"], shown["event"]) == ("subscribed", "transaction")


def test_a_push_message_is_told_in_words_and_to_programs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    message = PushMessage(
        web_push=8030,
        notification=Notification(
            title="Cellkey\u202e",
            body="Что-то ждёт",
            navigate="https://app.test/",
            tag="x",
            data=PushData(id="6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
        ),
    )
    tell(message, as_json=False)
    tell(message, as_json=True)
    words, line = capsys.readouterr().out.splitlines()
    assert words == "Push: Cellkey\ufffd. Что-то ждёт"
    assert json.loads(line)["id"] == "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
