"""Who is registered: the name that will stand in the certificate, as DER, and the login.

1. The name is fixed here for good: its SHA-256 stands in every record of the signer's cells, and
   another name is a new cell. So it is checked before the first cell is made, also that it can be
   shown to the signer later (T-06).
2. A person has a family name and given names; a department or a system has a common name and an
   organization. The common name of a person is what people write: family, given, patronymic.
3. The login is made, unless one is given; it says nothing about the person (R-036).
"""

import re
import secrets
from typing import Final, Literal, final

import msgspec
from cryptography import x509
from cryptography.x509.oid import NameOID
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import NotFound, RequestRefused
from backend.model.tables import Signer
from backend.summary.characters import check_name
from backend.time_zones import time_zone

LOOK_ALIKE_FREE: Final = "dfhjmnrtvwz346789"
"""Small letters and digits that no other one, Latin or Cyrillic, is taken for."""

_LOGIN: Final = re.compile(r"[a-z0-9][a-z0-9._@-]{2,63}")
_NUMBER: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_LONGEST_PART: Final = 64
"""Upper bound of a common name (RFC 5280, appendix A.1); the whole name of a person is one."""


@final
class PersonName(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person's name, as the passport has it."""

    family: str
    given: str
    patronymic: str | None = None


@final
class OrganizationName(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A department's or a system's name."""

    common_name: str
    organization: str


RegisteredName = PersonName | OrganizationName


@final
class Applicant(msgspec.Struct, frozen=True, kw_only=True):
    """Who stands at the counter, as the operator checked it."""

    name: RegisteredName
    login: str | None
    """``None``: one is made."""
    number: str | None
    """Verified phone number, E.164."""
    lang: Literal["ru", "en"]
    zone: str | None = None
    """Time zone, by its IANA name. ``None``: the installation's."""
    by_sms: bool = False
    """May approve by password and SMS code, with or without a phone."""
    desktop: bool | None = None
    """Whether a computer's browser may pair and approve. ``None``: as the installation says."""


def check_applicant(applicant: Applicant) -> None:
    """Check what an operator typed.

    Raises:
        RequestRefused: a login, number or time zone is not fit.
        SummaryRefused: the name could not be shown to the signer.
    """
    for part, word in msgspec.structs.asdict(applicant.name).items():
        if word is not None:
            check_name(word, field=part, longest=_LONGEST_PART)
    if isinstance(applicant.name, PersonName):
        check_name(written_name(applicant.name), field="name", longest=_LONGEST_PART)
    if applicant.zone is not None:
        _check_zone(applicant.zone)
    if applicant.number is not None and not _NUMBER.fullmatch(applicant.number):
        raise RequestRefused("a phone number is written as +79991234567")
    if applicant.by_sms and applicant.number is None:
        raise RequestRefused("who approves by SMS has a verified number")
    if applicant.login is not None and not _LOGIN.fullmatch(plain_login(applicant.login)):
        raise RequestRefused("a login has 3 to 64 of a-z, 0-9, . _ @ -")


def _check_zone(zone: str) -> None:
    try:
        time_zone(zone)
    except NotFound as error:
        raise RequestRefused("a time zone is named as the IANA names it: Europe/Moscow") from error


def written_name(name: RegisteredName) -> str:
    """The name as people write it."""
    if isinstance(name, OrganizationName):
        return f"{name.common_name}, {name.organization}"
    return " ".join(part for part in (name.family, name.given, name.patronymic) if part)


def subject_der(name: RegisteredName) -> bytes:
    """The name as the certificate will have it: DER Name (RFC 5280, 4.1.2.6)."""
    if isinstance(name, OrganizationName):
        parts = [
            (NameOID.ORGANIZATION_NAME, name.organization),
            (NameOID.COMMON_NAME, name.common_name),
        ]
    else:
        given = " ".join(part for part in (name.given, name.patronymic) if part)
        parts = [
            (NameOID.SURNAME, name.family),
            (NameOID.GIVEN_NAME, given),
            (NameOID.COMMON_NAME, written_name(name)),
        ]
    attributes = [x509.NameAttribute(oid, value) for oid, value in parts]
    return x509.Name(attributes).public_bytes()


def plain_login(login: str) -> str:
    """A login as it is stored and compared."""
    return login.strip().casefold()


def make_login() -> str:
    """A random login; it is no secret."""
    return f"{_characters(4)}-{_characters(4)}"


def make_first_password() -> str:
    """The envelope's password: four times four characters without look-alikes, 65 bits."""
    return "-".join(_characters(4) for _ in range(4))


def plain_first_password(typed: str) -> str:
    """The envelope's password as people type it from paper: hyphens, spaces and case aside."""
    return "".join(typed.split()).replace("-", "").casefold()


def _characters(count: int) -> str:
    return "".join(secrets.choice(LOOK_ALIKE_FREE) for _ in range(count))


def find_signer(session: Session, login: str) -> Signer:
    """Find a signer by login, for an operator.

    Raises:
        NotFound: there is none.
    """
    signer = session.scalar(select(Signer).where(Signer.login == plain_login(login)))
    if signer is None:
        raise NotFound("no such signer")
    return signer
