"""The end of `cellkey demo`: where everything lies, and how to go on.

Rules: what is printed can be pasted into a shell as it is, and works: while the demo keeps running,
or after the one command that starts the service again. No line of it holds a secret.
"""

import json
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from shlex import quote
from typing import Final, final

import click
import msgspec

from backend.cli.demo_installation import Stage, curl_file, shown
from backend.cli.demo_phone import phone_file

SHA_256: Final = "2.16.840.1.101.3.4.2.1"
TAKE_TOKEN: Final = r"""sed 's/.*"access_token": *"\([^"]*\).*/\1/'"""  # noqa: S105  # no token, but how to read one


@final
class End(msgspec.Struct, frozen=True, kw_only=True):
    """What the story came to."""

    client_id: str
    login: str
    credential: str
    pdf: Path


def tell_end(stage: Stage, end: End, *, seconds: float, runs: bool) -> None:
    """Say where everything lies, and how to go on."""
    tell, words = stage.tell, stage.tell.words
    click.echo()
    tell.line(words.took, seconds=f"{seconds:.0f}")
    tell.fact(words.labels.pdf, shown(end.pdf))
    tell.fact(words.labels.root, shown(stage.data / "root.pem"))
    tell.fact(words.labels.logs, shown(stage.folder / "logs"))
    tell.fact(words.labels.client_id, end.client_id)
    click.echo()
    tell.line(words.start_later if runs else words.start_again)
    tell.command(f"{quote(shown(stage.wrapper))} serve")
    tell.line(words.then_ask)
    for command in curl_lines(stage, end):
        tell.command(command)
    tell.line(words.then_answer)
    phone = quote(shown(phone_file(stage)))
    tell.command(f"{quote(shown(stage.wrapper))} phone approve --follow --state {phone}")
    click.echo()


def curl_lines(stage: Stage, end: End) -> tuple[str, str, str]:
    """Give three commands of a relying party: a token, who signs, another request."""
    server = stage.authorization_server
    secret = quote(shown(curl_file(stage)))
    asked = {
        "credentialID": end.credential,
        "numSignatures": 1,
        "hashes": [b64encode(sha256(end.pdf.read_bytes()).digest()).decode()],
        "hashAlgorithmOID": SHA_256,
        "description": "curl",
    }
    sign_in = f"curl -s -K {secret} -d grant_type=client_credentials {server}/oauth2/token"
    return (
        f"TOKEN=$({sign_in} | {TAKE_TOKEN})",
        _call(f"{server}/csc/v2/credentials/list", {"userID": end.login}),
        _call(f"{server}/csc/v2/credentials/authorize", asked),
    )


def _call(url: str, body: Mapping[str, object]) -> str:
    return f'curl -s -H "Authorization: Bearer $TOKEN" --json {quote(json.dumps(body))} {url}'
