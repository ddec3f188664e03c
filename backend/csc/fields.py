"""Types of members in CSC bodies. Each says its name in JSON, for the specification's errors.

What marshmallow would mend is refused: a number is no string, ``1`` is no boolean (CSC-10).
"""

import re
from typing import Any, ClassVar, Final, final

from marshmallow import ValidationError, fields, missing, validate

from backend.algorithms import LONGEST_SIGNED_MESSAGE
from backend.signing.hashes import MOST_HASHES, read_hashes, read_octets

WRONG_TYPE: Final = "missing, or of another type"
EMPTY: Final = "Empty hash array"
NOT_BASE64: Final = "Invalid Base64 hash string parameter"
TOO_MANY: Final = "Numbers of signatures is too high"
NOT_A_MESSAGE: Final = "messages: base64 of at most 16 KiB each"
OWN_WORDS: Final = frozenset({EMPTY, NOT_BASE64, NOT_A_MESSAGE, TOO_MANY})
"""Errors that the specification words itself; all the others name the member."""

LONGEST_TEXT: Final = 200
LONGEST_MESSAGE_TEXT: Final = 4 * -(-LONGEST_SIGNED_MESSAGE // 3)
"""Characters of a message in base64."""

_MESSAGES: Final[dict[str, str | list[Any] | dict[Any, Any]]] = {
    "required": WRONG_TYPE,
    "invalid": WRONG_TYPE,
}
_NO_NUL: Final = validate.Regexp(re.compile(r"[^\x00]*\Z"))
"""PostgreSQL's text does not hold it."""


@final
class Text(fields.String):
    """A string."""

    kind: ClassVar[str] = "string"
    default_error_messages = _MESSAGES

    def __init__(
        self, name: str | None = None, *, longest: int = LONGEST_TEXT, required: bool = False
    ) -> None:
        """Bound its length; ``name`` on the wire, if it is another than the attribute's."""
        super().__init__(
            data_key=name,
            required=required,
            load_default=missing if required else None,
            validate=[validate.Length(min=1, max=longest), _NO_NUL],
        )


@final
class Choice(fields.String):
    """One of some words; the first of them if the member is absent."""

    kind: ClassVar[str] = "string"
    default_error_messages = _MESSAGES

    def __init__(self, name: str, *words: str) -> None:
        """Name the words."""
        super().__init__(data_key=name, load_default=words[0], validate=validate.OneOf(words))


@final
class Number(fields.Integer):
    """A whole number."""

    kind: ClassVar[str] = "integer"
    default_error_messages = _MESSAGES

    def __init__(self, name: str, *, required: bool = False, least: int | None = None) -> None:
        """Bound it from below."""
        super().__init__(
            strict=True,
            data_key=name,
            required=required,
            load_default=missing if required else None,
            validate=validate.Range(min=least),
        )


@final
class Flag(fields.Field[bool]):
    """A boolean; false if the member is absent."""

    kind: ClassVar[str] = "boolean"

    def __init__(self, name: str) -> None:
        """Name it."""
        super().__init__(data_key=name, load_default=False)

    def _deserialize(self, value: object, attr: str | None, data: object, **kwargs: Any) -> bool:  # noqa: ANN401, ARG002  # marshmallow's signature
        if not isinstance(value, bool):
            raise ValidationError(WRONG_TYPE)
        return value


@final
class Record(fields.Dict):
    """An object, whatever its members."""

    kind: ClassVar[str] = "object"
    default_error_messages = _MESSAGES

    def __init__(self) -> None:
        """Absent is allowed."""
        super().__init__(keys=fields.String(), load_default=None)


@final
class Array(fields.List[Any]):
    """An array of so many members at most."""

    kind: ClassVar[str] = "array"
    default_error_messages = _MESSAGES

    def __init__(self, of: fields.Field[Any], name: str, *, most: int) -> None:
        """Bound its length."""
        super().__init__(of, data_key=name, load_default=None, validate=validate.Length(max=most))


@final
class Hashes(fields.Field[tuple[bytes, ...]]):
    """Base64 of digests: standard or URL alphabet, padded or not; what counts is the bytes."""

    kind: ClassVar[str] = "array"
    default_error_messages = _MESSAGES

    def __init__(self, name: str) -> None:
        """Name it."""
        super().__init__(data_key=name, required=True)

    def _deserialize(
        self,
        value: object,
        attr: str | None,  # noqa: ARG002  # marshmallow's signature
        data: object,  # noqa: ARG002  # marshmallow's signature
        **kwargs: Any,  # noqa: ANN401, ARG002  # marshmallow's signature
    ) -> tuple[bytes, ...]:
        if not isinstance(value, list):
            raise ValidationError(WRONG_TYPE)
        if not value:
            raise ValidationError(EMPTY)
        if len(value) > MOST_HASHES:
            raise ValidationError(TOO_MANY)
        try:
            return read_hashes(value)
        except ValueError as error:
            raise ValidationError(NOT_BASE64) from error


@final
class Messages(fields.Field[tuple[bytes, ...]]):
    """Base64 of what was hashed, in the same forms as hashes."""

    kind: ClassVar[str] = "array"

    def __init__(self) -> None:
        """Absent is allowed."""
        super().__init__(load_default=None)

    def _deserialize(
        self,
        value: object,
        attr: str | None,  # noqa: ARG002  # marshmallow's signature
        data: object,  # noqa: ARG002  # marshmallow's signature
        **kwargs: Any,  # noqa: ANN401, ARG002  # marshmallow's signature
    ) -> tuple[bytes, ...]:
        if not isinstance(value, list):
            raise ValidationError(WRONG_TYPE)
        if len(value) > MOST_HASHES:
            raise ValidationError(TOO_MANY)
        try:
            return tuple(read_octets(member, longest=LONGEST_MESSAGE_TEXT) for member in value)
        except ValueError as error:
            raise ValidationError(NOT_A_MESSAGE) from error
