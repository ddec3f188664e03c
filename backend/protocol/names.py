"""How people read the name that will stand in a certificate.

The reading shows every attribute of the name: the common name first, then whatever it does not
already say. So nothing stands in the certificate that the signer did not see.
"""

from typing import Final

from asn1crypto.x509 import Name

from backend.errors import MalformedMessage

COMMON_NAME: Final = "common_name"
GIVEN_NAME: Final = "given_name"


def readable_name(subject: bytes) -> str:
    """Read a DER Name (RFC 5280, 4.1.2.4).

    Raises:
        MalformedMessage: it is not one, or has not exactly one common name.
    """
    pairs = _attributes(subject)
    common = [value for kind, value in pairs if kind == COMMON_NAME]
    if len(common) != 1:
        raise MalformedMessage("a name has exactly one common name")
    said = common[0].split()
    others = [value for kind, value in pairs if kind != COMMON_NAME and not _says(said, value)]
    return ", ".join([common[0], *others])


def salutation(subject: bytes) -> str | None:
    """How a person is greeted: by given names, which are name and patronymic in Russian.

    Raises:
        MalformedMessage: it is no name.
    """
    given = [value for kind, value in _attributes(subject) if kind == GIVEN_NAME]
    return given[0] if len(given) == 1 else None


def _attributes(subject: bytes) -> list[tuple[str, str]]:
    try:
        return [
            (attribute["type"].native, str(attribute["value"].native))
            for relative in Name.load(subject, strict=True).chosen
            for attribute in relative
        ]
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise MalformedMessage("not a name") from error


def _says(words: list[str], value: str) -> bool:
    """Whether every word of a value stands among the words, whole."""
    return all(word in words for word in value.split())
