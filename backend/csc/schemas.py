"""Bodies of CSC calls: what is read, a schema for each; wire names stay here.

``null`` means absent, unknown members are passed over (CSC-05), a member of another type is refused
in the words of the specification (CSC-10).
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final, final

from flask import Request
from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load, validate

from backend.access.json_body import read_json
from backend.errors import RequestRefused

MOST_HASHES: Final = 10_000
LONGEST_HASH: Final = 100
LONGEST_ID: Final = 200
LONGEST_DESCRIPTION: Final = 500
LONGEST_CLIENT_DATA: Final = 4000


class Text(fields.String):
    """A string, and never a number read as one."""

    def __init__(self, *, longest: int = LONGEST_ID, required: bool = False) -> None:
        """Bound its length."""
        super().__init__(required=required, validate=validate.Length(min=1, max=longest))


@final
class Hashes(fields.Field[tuple[bytes, ...]]):
    """Base64 of digests: standard or URL alphabet, padded or not; what counts is the bytes."""

    def _deserialize(self, value: object, attr: str | None, data: object, **kwargs: Any) -> Any:  # noqa: ANN401, ARG002  # as marshmallow has it
        if not isinstance(value, list):
            raise ValidationError(f"Missing (or invalid type) array parameter {attr}")
        if not value:
            raise ValidationError("Empty hash array")
        if len(value) > MOST_HASHES:
            raise ValidationError("Numbers of signatures is too high")
        return tuple(_digest(member) for member in value)


def _digest(unverified: object) -> bytes:
    if not isinstance(unverified, str) or len(unverified) > LONGEST_HASH:
        raise ValidationError("Invalid Base64 hash string parameter")
    text = unverified.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error) as error:
        raise ValidationError("Invalid Base64 hash string parameter") from error


class CscBody(Schema):
    """What every CSC call may carry."""

    class Meta:
        """Unknown members are passed over."""

        unknown = EXCLUDE

    clientData = Text(longest=LONGEST_CLIENT_DATA)  # noqa: N815  # the wire's name
    lang = Text()

    @pre_load
    def without_nulls(self, data: Any, **_kwargs: Any) -> Any:  # noqa: ANN401  # as marshmallow has it
        """Read ``null`` as absent (CSC API 2.0, 7.1)."""
        if not isinstance(data, dict):
            return data
        return {name: value for name, value in data.items() if value is not None}


class CredentialChoice(CscBody):
    """Members that choose what is told of credentials."""

    certificates = fields.String(
        load_default="single", validate=validate.OneOf(["none", "single", "chain"])
    )
    certInfo = fields.Boolean(load_default=False, truthy={True}, falsy={False})  # noqa: N815  # the wire's name
    authInfo = fields.Boolean(load_default=False, truthy={True}, falsy={False})  # noqa: N815  # the wire's name


class ListBody(CredentialChoice):
    """``credentials/list`` of v2."""

    userID = Text(required=True)  # noqa: N815  # the wire's name
    credentialInfo = fields.Boolean(load_default=False, truthy={True}, falsy={False})  # noqa: N815  # the wire's name
    onlyValid = fields.Boolean(load_default=False, truthy={True}, falsy={False})  # noqa: N815  # the wire's name


class OldListBody(CscBody):
    """``credentials/list`` of v1: one page holds all, so no token is ever given out."""

    userID = Text(required=True)  # noqa: N815  # the wire's name
    maxResults = fields.Integer(strict=True, validate=validate.Range(min=1))  # noqa: N815  # the wire's name
    pageToken = Text()  # noqa: N815  # the wire's name


class InfoBody(CredentialChoice):
    """``credentials/info``."""

    credentialID = Text(required=True)  # noqa: N815  # the wire's name


class AuthenticationAnswer(CscBody):
    """An entry of ``authData``: out of band, so it has no value."""

    id = Text(required=True)
    value = fields.String()


class AuthorizeBody(CscBody):
    """``credentials/authorize`` of v2, with our extension members ``transaction`` and ``labels``."""

    credentialID = Text(required=True)  # noqa: N815  # the wire's name
    numSignatures = fields.Integer(strict=True, required=True)  # noqa: N815  # the wire's name
    hashes = Hashes(required=True)
    hashAlgorithmOID = Text(required=True)  # noqa: N815  # the wire's name
    authData = fields.List(fields.Nested(AuthenticationAnswer), validate=validate.Length(max=10))  # noqa: N815  # the wire's name
    description = Text(longest=LONGEST_DESCRIPTION)
    transaction = fields.Dict(keys=fields.String())
    labels = fields.List(fields.String(), validate=validate.Length(max=MOST_HASHES))


class OldAuthorizeBody(CscBody):
    """``credentials/authorize`` of v1, implicit."""

    credentialID = Text(required=True)  # noqa: N815  # the wire's name
    numSignatures = fields.Integer(strict=True, required=True)  # noqa: N815  # the wire's name
    hash = Hashes(required=True)
    description = Text(longest=LONGEST_DESCRIPTION)
    transaction = fields.Dict(keys=fields.String())
    labels = fields.List(fields.String(), validate=validate.Length(max=MOST_HASHES))


class CheckBody(CscBody):
    """``credentials/authorizeCheck``."""

    handle = Text(required=True)


class SignBody(CscBody):
    """``signatures/signHash`` of v2."""

    credentialID = Text(required=True)  # noqa: N815  # the wire's name
    SAD = Text(required=True)
    hashes = Hashes(required=True)
    hashAlgorithmOID = Text()  # noqa: N815  # the wire's name
    signAlgo = Text(required=True)  # noqa: N815  # the wire's name
    signAlgoParams = Text(longest=1024)  # noqa: N815  # the wire's name
    operationMode = fields.String(load_default="S", validate=validate.Equal("S"))  # noqa: N815  # the wire's name


class OldSignBody(CscBody):
    """``signatures/signHash`` of v1."""

    credentialID = Text(required=True)  # noqa: N815  # the wire's name
    SAD = Text(required=True)
    hash = Hashes(required=True)
    hashAlgo = Text()  # noqa: N815  # the wire's name
    signAlgo = Text(required=True)  # noqa: N815  # the wire's name
    signAlgoParams = Text(longest=1024)  # noqa: N815  # the wire's name


TYPES: Final[Mapping[type[fields.Field[Any]], str]] = {
    fields.Integer: "integer",
    fields.Boolean: "boolean",
    fields.List: "array",
    Hashes: "array",
    fields.Dict: "object",
}
OWN_WORDS: Final = (
    "Empty hash array",
    "Invalid Base64 hash string parameter",
    "Numbers of signatures is too high",
)


def load_body(
    request: Request, schema: CscBody, *, foreign: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Read a call's body.

    Args:
        request: the web request.
        schema: of the call.
        foreign: members of the other edition of the API, which are refused by name (CSC-129).

    Raises:
        HTTPException: it is no JSON, or too long.
        RequestRefused: it is no object, or a member is missing or wrong.
    """
    body = read_json(request)
    if not isinstance(body, dict):
        raise RequestRefused("the body is not a JSON object")
    for name in foreign:
        if body.get(name) is not None:
            raise RequestRefused(f"{name} belongs to the other edition of this API")
    try:
        loaded: dict[str, Any] = schema.load(body)
    except ValidationError as error:
        raise RequestRefused(_words(error, schema, body)) from error
    return loaded


def _words(error: ValidationError, schema: CscBody, body: dict[str, Any]) -> str:
    """Say it in the specification's words."""
    messages = error.messages if isinstance(error.messages, dict) else {}
    for name, found in messages.items():
        field = schema.fields.get(str(name))
        text = str(found[0]) if isinstance(found, list) else ""
        if text in OWN_WORDS:
            return text
        kind = next((word for kind, word in TYPES.items() if isinstance(field, kind)), "string")
        if body.get(name) is None or text.startswith(("Not a valid", "Missing (")):
            return f"Missing (or invalid type) {kind} parameter {name}"
        return f"Invalid parameter {name}"
    return "Invalid parameter"
