"""`cellkey signer methods`: which codes may stand for the phone, and taking one back.

A code is allowed by the signer, on the phone (`/account/codes`); to take it back needs nobody.
"""

import logging
from typing import get_args

import click

from backend.cli.context import answer, json_option, settings_from_environment
from backend.cli.people import operator_option, people
from backend.clock import utc_now
from backend.credentials.overview import one_signer
from backend.credentials.tightening import tighten
from backend.protocol.approval import CodeMethod
from backend.services import open_services
from backend.signers.registration import find_signer

log = logging.getLogger(__name__)


@click.command()
@click.argument("login")
@click.option(
    "--without",
    type=click.Choice(get_args(CodeMethod)),
    help="Let it count no more, nor what was begun by it.",
)
@operator_option
@json_option
def methods(*, login: str, without: CodeMethod | None, operator: str, as_json: bool) -> None:
    """Show how a signer may approve; take a code back, without asking the signer."""
    with people() as session:
        if without is not None:
            signer = find_signer(session, login).id
            sam = open_services(settings_from_environment()).sam
            if not tighten(session, sam, signer=signer, method=without, now=utc_now()):
                raise click.ClickException(f"{without} is not among the methods of {login}")
            log.warning("method taken back", extra={"signer_id": signer, "operator": operator})
        names = one_signer(session, login).methods.split()
    answer({"methods": names}, f"{login} approves by {', '.join(names)}.", as_json=as_json)
