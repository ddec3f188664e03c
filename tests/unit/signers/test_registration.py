import re
import string

import pytest
from asn1crypto.x509 import Name

from backend.errors import RequestRefused, SummaryRefused
from backend.signers import registration
from backend.signers.registration import (
    LOOK_ALIKE_FREE,
    Applicant,
    OrganizationName,
    PersonName,
    RegisteredName,
)

ANNA = PersonName(family="Иванова", given="Анна", patronymic="Петровна")
BOT = OrganizationName(common_name="Робот учёта", organization="Завод «Ромашка»")


def check(
    name: RegisteredName = ANNA, *, login: str | None = None, number: str | None = None
) -> None:
    registration.check_applicant(Applicant(name=name, login=login, number=number, lang="ru"))


# --- the name ---------------------------------------------------------------------


def test_a_persons_name_stands_in_the_certificate_as_in_the_passport() -> None:
    """R-050; RFC 5280: surname, given name, and the whole as common name."""
    assert Name.load(registration.subject_der(ANNA)).native == {
        "surname": "Иванова",
        "given_name": "Анна Петровна",
        "common_name": "Иванова Анна Петровна",
    }


def test_a_person_without_a_patronymic_has_none() -> None:
    name = PersonName(family="Smith", given="John")

    assert registration.written_name(name) == "Smith John"
    assert Name.load(registration.subject_der(name)).native["given_name"] == "John"


def test_a_department_has_a_common_name_and_an_organization() -> None:
    assert registration.written_name(BOT) == "Робот учёта, Завод «Ромашка»"
    assert Name.load(registration.subject_der(BOT)).native == {
        "organization_name": "Завод «Ромашка»",
        "common_name": "Робот учёта",
    }


def test_one_name_has_one_der() -> None:
    """The record names the subject by its hash: it must be the same bytes each time."""
    assert registration.subject_der(ANNA) == registration.subject_der(ANNA)
    assert registration.subject_der(ANNA) != registration.subject_der(BOT)


@pytest.mark.parametrize(
    "name",
    [
        PersonName(family="", given="Анна"),
        PersonName(family=" Иванова", given="Анна"),
        PersonName(family="Фил\u202eипп", given="Анна"),
        PersonName(family="Фил\nипп", given="Анна"),
        PersonName(family="Ивaнова", given="Анна"),  # noqa: RUF001  # the Latin letter is the attack
        PersonName(family="Иванова", given="Анна", patronymic="  "),
        PersonName(family="123", given="Анна"),
        PersonName(family="И" + "ва" * 32, given="Анна"),
        PersonName(family="Ива" * 10, given="Анна" * 5, patronymic="Петровна" * 4),
        OrganizationName(common_name="Робот", organization=""),
        OrganizationName(common_name="Фи" * 33, organization="Ромашка"),
    ],
)
def test_a_name_that_a_signer_could_not_be_shown_is_refused(name: RegisteredName) -> None:
    """T-06: the signer will be asked to approve a certificate in this name."""
    with pytest.raises(SummaryRefused):
        check(name)


# --- number and login -------------------------------------------------------------


@pytest.mark.parametrize("number", ["+79161234567", "+4915112345678", None])
def test_a_number_in_e164_is_taken(number: str | None) -> None:
    check(number=number)


@pytest.mark.parametrize(
    "number",
    [
        "89161234567",
        "+0123456789",
        "+7 916 123-45-67",
        "+7916",
        "+" + "1" * 16,
        "+7916123456\u0667",
        "",
    ],
)
def test_a_number_in_another_form_is_refused(number: str) -> None:
    with pytest.raises(RequestRefused, match="phone number"):
        check(number=number)


@pytest.mark.parametrize("login", ["a.ivanova", "A.Ivanova ", "user@example.org", "007"])
def test_a_login_of_plain_characters_is_taken(login: str) -> None:
    check(login=login)


@pytest.mark.parametrize("login", ["ab", "иванова", "a ivanova", ".anna", "a" * 65, "a\nb\nc", ""])
def test_a_login_of_other_characters_is_refused(login: str) -> None:
    with pytest.raises(RequestRefused, match="login"):
        check(login=login)


def test_a_login_is_compared_without_case() -> None:
    assert registration.plain_login(" A.Ivanova ") == "a.ivanova"


# --- what is made -----------------------------------------------------------------


def test_a_made_login_is_short_random_and_fit() -> None:
    """R-036: unique, by the authority."""
    logins = {registration.make_login() for _ in range(100)}

    assert len(logins) == 100
    for login in logins:
        assert re.fullmatch(r"\w{4}-\w{4}", login)
        check(login=login)


def test_a_first_password_has_four_groups_of_four_characters_without_look_alikes() -> None:
    """R-036, R-049."""
    passwords = {registration.make_first_password() for _ in range(100)}

    assert len(passwords) == 100
    for password in passwords:
        assert [len(group) for group in password.split("-")] == [4] * 4
        assert set(password) <= set(LOOK_ALIKE_FREE) | {"-"}


def test_no_character_of_a_first_password_is_taken_for_another() -> None:
    """Neither for one beside it in the alphabet, nor for a Cyrillic letter of the same look."""
    assert set(LOOK_ALIKE_FREE) <= set(string.ascii_lowercase + string.digits)
    assert not set(LOOK_ALIKE_FREE) & set("0o1il52sbqgu" + "aceopxyk")


@pytest.mark.parametrize(
    "typed", ["dfhj-mnrt-vwz3-4678", "DFHJ MNRT VWZ3 4678", "dfhjmnrtvwz34678"]
)
def test_a_first_password_is_typed_as_people_type_from_paper(typed: str) -> None:
    assert registration.plain_first_password(typed) == "dfhjmnrtvwz34678"


# --- time zone ----------------------------------------------------------------------


def test_a_time_zone_is_one_of_the_iana_or_the_installations() -> None:
    for zone in ("Asia/Omsk", "UTC", None):
        registration.check_applicant(
            Applicant(name=ANNA, login=None, number=None, lang="ru", zone=zone)
        )
    for wrong in ("Omsk", "", "../UTC", "Europe/Moscow\n"):
        with pytest.raises(RequestRefused, match="time zone"):
            registration.check_applicant(
                Applicant(name=ANNA, login=None, number=None, lang="ru", zone=wrong)
            )
