"""backend/cli/relying_party.py"""

import base64
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from joserfc.jwk import ECKey

from backend.cli.main import main
from tests.world.certificates import a_certificate

SECRET = "client secret"


@pytest.fixture
def environment(tmp_path: Path, sqlite_url: str) -> dict[str, str]:
    return {"CELLKEY_DATA_DIR": str(tmp_path), "CELLKEY_DATABASE_URL": sqlite_url}


def run(environment: dict[str, str], *arguments: str) -> Result:
    return CliRunner().invoke(main, ["relying-party", *arguments], env=environment)


def test_the_secret_is_shown_once(environment: dict[str, str]) -> None:
    added = run(environment, "add", "Северные торги", "--client-id", "torgi")
    secret = next(line.split()[-1] for line in added.output.splitlines() if SECRET in line)
    listed = run(environment, "list")
    listed_json = run(environment, "list", "--json")

    assert added.exit_code == 0
    assert "Северные торги may ask for signatures." in added.output
    assert "torgi" in listed.output
    assert secret not in listed.output + listed_json.output


def test_for_programs_it_answers_in_json(environment: dict[str, str]) -> None:
    added = json.loads(run(environment, "add", "Shop", "--json").output)
    run(environment, "disable", added["client_id"], "--json")
    listed = json.loads(run(environment, "list", "--json").output)["relying_parties"]

    assert added.keys() == {"client_id", "client_secret", "name"}
    assert [(one["client_id"], one["name"]) for one in listed] == [(added["client_id"], "Shop")]
    assert listed[0]["disabled_at"]


def test_whether_phones_must_name_a_number_is_its_policy(environment: dict[str, str]) -> None:
    """T-01."""

    def policy() -> list[bool]:
        listed = json.loads(run(environment, "list", "--json").output)["relying_parties"]
        return [one["asks_number"] for one in listed]

    run(environment, "add", "Shop", "--client-id", "shop")
    run(environment, "add", "Bank", "--client-id", "tank", "--number")
    before = policy()
    said = run(environment, "edit", "shop", "--number").output
    run(environment, "edit", "tank", "--no-number")

    assert (before, policy()) == ([False, True], [True, False])
    assert "asks           by a number" in said
    assert run(environment, "edit", "shop").exit_code == 2


def test_who_is_disabled_is_listed_as_such(environment: dict[str, str]) -> None:
    assert run(environment, "list").output == "None.\n"
    run(environment, "add", "Shop", "--client-id", "shop")
    before = run(environment, "list").output
    said = run(environment, "disable", "shop").output
    after = run(environment, "list").output

    assert "may ask" in before
    assert said == "shop may ask no more.\n"
    assert "disabled 20" in after


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["add", "Sh\u202eop"], "name"),
        (["add", "Shop", "--client-id", "a b"], "a client id has"),
        (["add", "Other", "--client-id", "shop"], "there is a relying party of that client id"),
        (["disable", "nobody"], "no such relying party"),
        (["edit", "nobody", "--number"], "no such relying party"),
    ],
)
def test_what_is_wrong_is_one_line(
    environment: dict[str, str], arguments: list[str], said: str
) -> None:
    run(environment, "add", "Shop", "--client-id", "shop")

    result = run(environment, *arguments)

    assert result.exit_code == 1
    assert said in result.output
    assert len(result.output.splitlines()) == 1


def test_without_a_database_it_says_what_to_do(tmp_path: Path) -> None:
    result = run({"CELLKEY_DATA_DIR": str(tmp_path)}, "list")

    assert result.exit_code == 1
    assert "cellkey db upgrade" in result.output


def test_what_oauth_needs_is_registered_shown_and_changed(
    environment: dict[str, str], tmp_path: Path
) -> None:
    jwks, certificate = tmp_path / "jwks.json", tmp_path / "certificate.pem"
    key = ECKey.generate_key("P-256").as_dict(private=False)
    jwks.write_text(json.dumps({"keys": [key]}))
    certificate.write_text(a_certificate("shop"))
    address = "https://shop.example/callback"
    grants = ["--grant", "authorization_code", "--grant", "refresh_token"]

    names = ["--client-id", "shop", "--redirect-uri", address]
    scopes = ["--scope", "service", "--scope", "credential"]
    by_key = ["--auth-method", "private_key_jwt", "--jwks", str(jwks)]
    added = run(environment, "add", "Shop", *names, *grants, *scopes)
    edited = run(environment, "edit", "shop", *by_key, "--certificate", str(certificate))
    shown = json.loads(run(environment, "show", "shop", "--json").output)

    assert added.exit_code == edited.exit_code == 0
    assert edited.output == run(environment, "show", "shop").output
    assert shown["redirect_uris"] == [address]
    assert shown["grants"] == ["authorization_code", "refresh_token"]
    assert shown["scopes"] == ["service", "credential"]
    assert shown["auth_methods"] == ["private_key_jwt"]
    assert shown["jwks"]
    assert shown["certificate"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "nobody"], "no such relying party"),
        (["edit", "nobody", "--scope", "service"], "no such relying party"),
        (["add", "Shop", "--redirect-uri", "http://shop.example/"], "a redirect URI is https"),
        (["add", "Shop", "--grant", "authorization_code"], "needs a redirect URI"),
        (["add", "Shop", "--grant", "password"], "Invalid value for '--grant'"),
    ],
)
def test_what_cannot_be_registered_is_said_in_one_line(
    environment: dict[str, str], arguments: list[str], said: str
) -> None:
    refused = run(environment, *arguments)

    assert refused.exit_code != 0
    assert said in refused.output
    assert "Traceback" not in refused.output


# --- webhooks -----------------------------------------------------------------

URL = "https://shop.example.org/hooks/cellkey"


@pytest.fixture
def with_shop(environment: dict[str, str]) -> dict[str, str]:
    """A relying party, and the worker's keys."""
    assert CliRunner().invoke(main, ["worker", "keys"], env=environment).exit_code == 0
    run(environment, "add", "Shop", "--client-id", "shop")
    return environment


def test_a_webhooks_secret_is_printed_once_and_kept_in_no_row_in_clear(
    with_shop: dict[str, str], tmp_path: Path
) -> None:
    made = run(with_shop, "edit", "shop", "--webhook", URL)
    secret = next(line.split()[-1] for line in made.output.splitlines() if "secret  " in line)
    shown = run(with_shop, "show", "shop").output
    listed = json.loads(run(with_shop, "show", "shop", "--json").output)

    assert made.output.startswith(f"shop is told at {URL}\n")
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", secret)
    assert f"webhook        {URL}" in shown
    assert listed["webhook"] == URL
    assert secret not in shown + json.dumps(listed)
    for kept in tmp_path.glob("cellkey.sqlite3*"):
        assert secret.removeprefix("whsec_").encode() not in kept.read_bytes()
        assert base64.b64decode(secret.removeprefix("whsec_")) not in kept.read_bytes()


def test_a_webhooks_secret_is_replaced_and_the_webhook_removed(with_shop: dict[str, str]) -> None:
    first = json.loads(run(with_shop, "edit", "shop", "--webhook", URL, "--json").output)
    second = json.loads(run(with_shop, "edit", "shop", "--webhook-secret", "--json").output)
    removed = run(with_shop, "edit", "shop", "--no-webhook")

    assert first["url"] == second["url"] == URL
    assert first["webhook_secret"] != second["webhook_secret"]
    assert removed.output == "shop is told nothing.\n"
    assert "webhook        none" in run(with_shop, "show", "shop").output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["edit", "shop", "--webhook", "http://shop.example.org/"], "not https"),
        (["edit", "shop", "--webhook", "https://127.0.0.1/hook"], "not a name"),
        (["edit", "nobody", "--webhook", URL], "no such relying party"),
        (["edit", "shop", "--webhook-secret"], "it has no webhook"),
        (["edit", "shop", "--no-webhook"], "it has no webhook"),
        (["edit", "shop", "--webhook", URL, "--no-webhook"], "one of --webhook"),
        (["edit", "shop", "--webhook", URL, "--number"], "say what to change"),
    ],
)
def test_a_webhook_that_cannot_be_registered_is_said_in_words(
    with_shop: dict[str, str], arguments: list[str], said: str
) -> None:
    refused = run(with_shop, *arguments)

    assert refused.exit_code != 0
    assert said in refused.output
    assert "Traceback" not in refused.output
    assert "webhook        none" in run(with_shop, "show", "shop").output
