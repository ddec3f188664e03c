"""Bodies of phones' calls at the authorisation server (docs/phone-protocol.md, 8.2 and 8.5)."""

from typing import Final

from marshmallow import Schema, fields, validate

from backend.protocol.jose import LONGEST_MESSAGE

LONGEST_TEXT: Final = 1024
"""Of a login or password before anything looks at it."""
LONGEST_CODE: Final = 32
THUMBPRINT: Final = 43

_short_text = validate.Length(min=1, max=LONGEST_TEXT)


class SignInBody(Schema):
    """Body of ``POST /pairing/tickets``."""

    login = fields.String(required=True, validate=_short_text)
    password = fields.String(required=True, validate=_short_text)
    new_password = fields.String(load_default=None, validate=_short_text)
    pairing = fields.UUID(required=True)


class TicketAnswer(Schema):
    """Answer of ``POST /pairing/tickets``."""

    ticket = fields.String()
    expires_at = fields.AwareDateTime()


class ThumbprintsBody(Schema):
    """Three keys by their thumbprints; their form is read elsewhere."""

    approval = fields.String(required=True, validate=validate.Length(equal=THUMBPRINT))
    request = fields.String(required=True, validate=validate.Length(equal=THUMBPRINT))
    unlock = fields.String(required=True, validate=validate.Length(equal=THUMBPRINT))


class FurtherBody(Schema):
    """Body of ``POST /further-phones``."""

    keys = fields.Nested(ThumbprintsBody, required=True)


class AskedFurtherAnswer(Schema):
    """Answer of ``POST /further-phones``."""

    transaction = fields.UUID()
    expires_at = fields.AwareDateTime()


class SecurityKeyBody(Schema):
    """Body of ``POST /security-keys``."""

    security_key = fields.String(
        required=True, validate=validate.Length(min=1, max=LONGEST_MESSAGE)
    )


class EmptyBody(Schema):
    """``{}``."""


class CodeSentAnswer(Schema):
    """Answer of ``POST /pairing/code``."""

    tries_left = fields.Integer()


class CodeBody(Schema):
    """Body of ``POST /pairing/confirmation``."""

    code = fields.String(required=True, validate=validate.Length(min=1, max=LONGEST_CODE))
    password = fields.String(load_default=None, validate=_short_text)
    """Where the phone brought no secret."""
