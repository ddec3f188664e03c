"""`cellkey signer`: register signers and print envelopes, confirm phones, lock access.

An operator's name is the word of whoever runs the command; the console will know it better. What
one may not do alone asks for two names, and they must differ.
"""

from collections.abc import Sequence
from typing import Any, Literal

import click
import msgspec

from backend.algorithms import KeyAlgorithm
from backend.cli import signer_methods
from backend.cli.context import answer, json_option, settings_from_environment
from backend.cli.envelope_paper import paper, replacement_paper
from backend.cli.people import operator_option, people, warn_of_number
from backend.clock import utc_now
from backend.credentials.overview import SignerOverview, every_signer, one_signer
from backend.devices import envelope as envelopes
from backend.devices.enrolment.confirmation import confirm_by_operator
from backend.devices.replacement import ReplacementOrder, print_replacement
from backend.services import open_services
from backend.signers import freeze as access
from backend.signers.registration import (
    Applicant,
    OrganizationName,
    PersonName,
    RegisteredName,
    find_signer,
)


class _Form(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator gives of a signer, as the options of ``register`` name it."""

    login: str | None
    family: str | None
    given: str | None
    patronymic: str | None
    common_name: str | None
    organization: str | None
    number: str | None
    methods: tuple[str, ...]
    desktop: bool | None
    algorithm: KeyAlgorithm
    lang: Literal["ru", "en"]
    zone: str | None

    def applicant(self) -> Applicant:
        """Who registers.

        Raises:
            click.UsageError: there is no name, or there are two.
        """
        return Applicant(
            name=self._name(),
            login=self.login,
            number=self.number,
            lang=self.lang,
            zone=self.zone,
            by_sms="password+sms" in self.methods,
            desktop=self.desktop,
        )

    def _name(self) -> RegisteredName:
        """The name of a person or of an organization, whichever was given whole."""
        match (self.family, self.given), (self.common_name, self.organization):
            case (str() as family, str() as given), (None, None):
                return PersonName(family=family, given=given, patronymic=self.patronymic)
            case (None, None), (str() as name, str() as whose) if self.patronymic is None:
                return OrganizationName(common_name=name, organization=whose)
        raise click.UsageError(
            "give --family and --given (and --patronymic), or --common-name and --organization"
        )


@click.group(commands=[signer_methods.methods])
def signer() -> None:
    """Register signers, confirm their phones, lock and unlock access."""


@signer.command()
@click.option("--login", help="Made if it is not given.")
@click.option("--family", help="Family name, as the passport has it.")
@click.option("--given", help="Given names.")
@click.option("--patronymic", help="Patronymic, if there is one.")
@click.option("--common-name", help="For a department or a system: its name.")
@click.option("--organization", help="For a department or a system: whose it is.")
@click.option("--number", help="Verified phone number, as +79991234567.")
@click.option(
    "--method",
    "methods",
    type=click.Choice(["app", "password+sms"]),
    multiple=True,
    default=["app"],
    show_default=True,
    help="How to approve, beside the app; may be repeated. For password+sms no phone is needed.",
)
@click.option(
    "--desktop/--no-desktop",
    default=None,
    help="Whether the app in a computer's browser may pair and approve; else as"
    " CELLKEY_APP_DESKTOP says.",
)
@operator_option
@click.option(
    "--algorithm",
    type=click.Choice([algorithm.value for algorithm in KeyAlgorithm]),
    default=KeyAlgorithm.P256.value,
    show_default=True,
    help="Of the key. Not every HSM keeps all: `cellkey doctor` says which.",
)
@click.option("--lang", type=click.Choice(["ru", "en"]), default="ru", show_default=True)
@click.option("--zone", help="The signer's time zone, as Asia/Omsk; else the installation's.")
@json_option
def register(*, operator: str, as_json: bool, **given: Any) -> None:  # noqa: ANN401  # options, read as _Form
    """Register a signer and print the envelope, once."""
    form = msgspec.convert(given, _Form)
    services = open_services(settings_from_environment())
    with people() as session:
        envelope = envelopes.register_signer_with_cell(
            session,
            services.sam,
            form.applicant(),
            algorithm=form.algorithm,
            operator=operator,
            settings=services.settings,
            now=services.clock(),
        )
    warn_of_number(form.number, services.settings)
    answer(envelope, paper(envelope), as_json=as_json)


@signer.command()
@click.argument("login")
@operator_option
@json_option
def reprint(*, login: str, operator: str, as_json: bool) -> None:
    """It did not print: make a new cell and envelope, destroy the unpaired cell."""
    services = open_services(settings_from_environment())
    with people() as session:
        envelope = envelopes.reprint(
            session,
            services.sam,
            login=login,
            operator=operator,
            settings=services.settings,
            public_keys=services.public_keys,
            now=services.clock(),
        )
    answer(envelope, paper(envelope), as_json=as_json)


@signer.command()
@click.argument("login")
@operator_option
@click.option("--remove-phones", is_flag=True, help="All phones of the cell stop now.")
@click.option(
    "--reset-password",
    is_flag=True,
    help="Print a first password, too. The password then opens the key no more.",
)
@json_option
def envelope(
    *, login: str, operator: str, remove_phones: bool, reset_password: bool, as_json: bool
) -> None:
    """The phone is lost, the key stays: print an envelope for the cell that LOGIN has."""
    services = open_services(settings_from_environment())
    with people() as session:
        printed = print_replacement(
            session,
            services.sam,
            ReplacementOrder(
                login=login,
                operator=operator,
                remove_phones=remove_phones,
                reset_password=reset_password,
            ),
            settings=services.settings,
            public_keys=services.public_keys,
            now=services.clock(),
        )
    answer(printed, replacement_paper(printed), as_json=as_json)


@signer.command()
@click.argument("login")
@operator_option
@click.option("--twelve", required=True, help="The phone's 12 characters: XXXX-XXXX-XXXX.")
@json_option
def confirm(*, login: str, operator: str, twelve: str, as_json: bool) -> None:
    """Confirm a phone by its 12 characters, as another operator than the one who printed."""
    services = open_services(settings_from_environment())
    with people() as session:
        state = confirm_by_operator(
            session,
            services.sam,
            login=login,
            operator=operator,
            twelve=twelve,
            now=services.clock(),
        )
    answer({"state": state}, f"The phone of {login} is {state}.", as_json=as_json)


@signer.command()
@click.argument("login")
@operator_option
@json_option
def freeze(*, login: str, operator: str, as_json: bool) -> None:
    """Lock a signer's access at once: nothing of theirs goes on, not even what is approved."""
    with people() as session:
        found = find_signer(session, login)
        access.freeze(session, signer=found.id, by=operator, now=utc_now())
    answer({"frozen": True}, f"The access of {login} is locked.", as_json=as_json)


@signer.command()
@click.argument("login")
@operator_option
@click.option("--second", required=True, help="Name of the second person who agrees.")
@json_option
def thaw(*, login: str, operator: str, second: str, as_json: bool) -> None:
    """Unlock a signer's access; it takes two people."""
    with people() as session:
        found = find_signer(session, login)
        access.lift(session, signer=found.id, operator=operator, second=second, now=utc_now())
    answer({"frozen": False}, f"The access of {login} is open again.", as_json=as_json)


@signer.command(name="list")
@json_option
def list_signers(*, as_json: bool) -> None:
    """List all signers."""
    with people() as session:
        found = every_signer(session)
    answer(found, _table(found), as_json=as_json)


@signer.command()
@click.argument("login")
@json_option
def show(*, login: str, as_json: bool) -> None:
    """Show one signer: how far pairing and certificate are."""
    with people() as session:
        found = one_signer(session, login)
    answer(found, _card(found), as_json=as_json)


def _table(signers: Sequence[SignerOverview]) -> str:
    if not signers:
        return "No signers yet: `cellkey signer register`."
    rows = [("LOGIN", "NAME", "PHONES", "STATE")]
    rows += [(one.login, one.name, _phones(one), _state(one)) for one in signers]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]])
        for row in rows
    )


def _card(one: SignerOverview) -> str:
    facts = {
        "Login": one.login,
        "Name": one.name,
        "Number": one.number or "none verified",
        "Registered": f"{one.registered_at:%Y-%m-%d %H:%M} UTC by {one.registered_by}",
        "State": _state(one),
        "Phones": _phones(one),
        "Approves": one.methods.replace(" ", ", "),
        "Cell": f"{one.cell} ({one.algorithm})",
        "Envelope": f"printed by {one.printed_by}, good until "
        f"{one.envelope_expires_at:%Y-%m-%d %H:%M} UTC",
        "Stopped": ", ".join(one.stopped) or "no relying party",
    }
    return "\n".join(f"{label + ':':<12}{fact}" for label, fact in facts.items())


def _phones(one: SignerOverview) -> str:
    """Say how many, and how many of them call themselves computers."""
    return f"{one.phones} (desktop: {one.desktops})" if one.desktops else str(one.phones)


def _state(one: SignerOverview) -> str:
    """Say how far a signer is, in a few words."""
    if one.frozen:
        return "access locked"
    if one.certificate_expires_at is not None:
        return f"certified until {one.certificate_expires_at:%Y-%m-%d}"
    return {
        "printed": "envelope printed, no phone yet",
        "enrolled": "a phone waits to be confirmed",
        "confirmed": "phone paired, certificate not issued yet",
        "frozen": "pairing frozen: print another envelope",
    }[one.pairing]
