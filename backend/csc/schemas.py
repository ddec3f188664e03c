"""Bodies of CSC calls, a schema for each; wire names stay here.

``null`` means absent, unknown members are passed over (CSC-05), a member of another type is refused
in the words of the specification (CSC-10). Names that begin with ``Old`` are of v1.0.4; what has
the same attributes means the same in both editions.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar, Final, TypeVar, final

import msgspec
from flask import Request
from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load

from backend.access.json_body import LONGEST_BODY, read_json
from backend.csc.fields import (
    OWN_WORDS,
    WRONG_TYPE,
    Array,
    Choice,
    Flag,
    Hashes,
    Messages,
    Number,
    Record,
    Text,
)
from backend.errors import RequestRefused
from backend.signing.hashes import MOST_HASHES

LONGEST_DESCRIPTION: Final = 500
LONGEST_CLIENT_DATA: Final = 4000
LONGEST_PARAMETERS: Final = 1024
LONGEST_SECRET: Final = 512
"""Of a token or SAD before anything looks at it."""
LONGEST_BODY_WITH_HASHES: Final = 4 * 1024 * 1024
"""As many hashes as one approval may cover, with labels."""

Call = TypeVar("Call", bound=msgspec.Struct)


@final
class Nothing(msgspec.Struct, frozen=True):
    """Of a call whose members are only checked."""


class CscObject(Schema):
    """Any JSON object of the specification."""

    class Meta:
        """Unknown members are passed over."""

        unknown = EXCLUDE

    @pre_load
    def without_nulls(self, data: object, **_kwargs: object) -> object:
        """Read ``null`` as absent (CSC API 2.0, 7.1)."""
        if not isinstance(data, dict):
            return data
        return {name: value for name, value in data.items() if value is not None}


class CscBody(CscObject):
    """What every call may carry."""

    longest: ClassVar[int] = LONGEST_BODY

    client_data = Text("clientData", longest=LONGEST_CLIENT_DATA)
    lang = Text()


class CredentialBody(CscBody):
    """What is told of credentials; ``auth`` is told always, its members are required."""

    certificates = Choice("certificates", "single", "chain", "none")
    cert_info = Flag("certInfo")
    auth_info = Flag("authInfo")


class ListBody(CredentialBody):
    """``credentials/list``; whether it names the user hangs on whose the token is (3.4)."""

    user_id = Text("userID")
    credential_info = Flag("credentialInfo")
    only_valid = Flag("onlyValid")


class OldListBody(CscBody):
    """``credentials/list``."""

    user_id = Text("userID")
    most = Number("maxResults", least=1)
    page_token = Text("pageToken")


class InfoBody(CredentialBody):
    """``credentials/info``."""

    credential_id = Text("credentialID", required=True)


class LoginBody(CscBody):
    """``auth/login``; who logs in stands in the header."""

    refresh_token = Text(longest=LONGEST_SECRET)
    remember_me = Flag("rememberMe")


class RevokeBody(CscBody):
    """``auth/revoke``."""

    token = Text(longest=LONGEST_SECRET, required=True)
    hint = Choice("token_type_hint", "access_token", "refresh_token")


class ChallengeBody(CscBody):
    """``credentials/getChallenge``."""

    credential_id = Text("credentialID", required=True)
    object_id = Text("authObjectID", required=True)


class AuthData(CscObject):
    """An entry of ``authData``."""

    id = Text(required=True)
    value = fields.String(load_default=None)


class _AuthorizeBody(CscBody):
    """Both editions, with our extension members ``transaction`` and ``labels``."""

    longest = LONGEST_BODY_WITH_HASHES

    credential_id = Text("credentialID", required=True)
    count = Number("numSignatures", required=True)
    description = Text(longest=LONGEST_DESCRIPTION)
    transaction = Record()
    labels = Array(Text(required=True), "labels", most=MOST_HASHES)


class AuthorizeBody(_AuthorizeBody):
    """``credentials/authorize``."""

    hashes = Hashes("hashes")
    hash_oid = Text("hashAlgorithmOID", required=True)
    auth_data = Array(fields.Nested(AuthData), "authData", most=10)


class OldAuthorizeBody(_AuthorizeBody):
    """``credentials/authorize``, implicit: nothing is handed in."""

    hashes = Hashes("hash")


class CheckBody(CscBody):
    """``credentials/authorizeCheck``."""

    handle = Text(required=True)


class ExtendBody(CscBody):
    """``credentials/extendTransaction``."""

    longest = LONGEST_BODY_WITH_HASHES

    credential_id = Text("credentialID", required=True)
    csc_sad = Text("SAD", longest=LONGEST_SECRET, required=True)
    hashes = Hashes("hashes")
    hash_oid = Text("hashAlgorithmOID")


class OldExtendBody(CscBody):
    """``credentials/extendTransaction``."""

    longest = LONGEST_BODY_WITH_HASHES

    credential_id = Text("credentialID", required=True)
    csc_sad = Text("SAD", longest=LONGEST_SECRET, required=True)
    hashes = Hashes("hash")


class _SignBody(CscBody):
    """Both editions, with our extension member ``messages``."""

    longest = LONGEST_BODY_WITH_HASHES

    credential_id = Text("credentialID", required=True)
    messages = Messages()
    sign_oid = Text("signAlgo", required=True)
    parameters = Text("signAlgoParams", longest=LONGEST_PARAMETERS)


class SignBody(_SignBody):
    """``signatures/signHash``; only the synchronous mode is offered.

    A token of scope ``credential`` is itself the SAD.
    """

    csc_sad = Text("SAD")
    hashes = Hashes("hashes")
    hash_oid = Text("hashAlgorithmOID")
    mode = Choice("operationMode", "S")


class OldSignBody(_SignBody):
    """``signatures/signHash``."""

    csc_sad = Text("SAD", required=True)
    hashes = Hashes("hash")
    hash_oid = Text("hashAlgo")


def load_body(
    request: Request,
    kind: type[CscBody],
    call: type[Call],
    *,
    foreign: Mapping[str, str] | None = None,
) -> Call:
    """Read a call's body.

    Args:
        request: the web request.
        kind: its schema.
        call: what to make of those of its members that somebody uses.
        foreign: members that would be passed over in silence but must not, and what to say of them.

    Raises:
        HTTPException: it is no JSON, or too long.
        RequestRefused: it is no object, or a member is missing, wrong or foreign.
    """
    schema = _made(kind)
    body = read_json(request, longest=schema.longest)
    if not isinstance(body, dict):
        raise RequestRefused("the body is not a JSON object")
    for name, words in (foreign or {}).items():
        if body.get(name) is not None:
            raise RequestRefused(f"{name}: {words}")
    try:
        loaded: dict[str, Any] = schema.load(body)
    except ValidationError as error:
        raise RequestRefused(_words(error, schema)) from error
    return call(**{name: loaded[name] for name in call.__struct_fields__ if name in loaded})


@cache
def _made(kind: type[CscBody]) -> CscBody:
    """Make a schema once: to make it takes longer than to use it."""
    return kind()


def _words(error: ValidationError, schema: CscBody) -> str:
    """Say in the specification's words what is wrong with the first member that is."""
    name, found = next(iter(error.messages_dict.items()))
    text = found[0] if isinstance(found, list) else None
    if text in OWN_WORDS:
        return str(text)
    if text != WRONG_TYPE:
        return f"Invalid parameter {name}"
    kinds = {field.data_key or attribute: field for attribute, field in schema.fields.items()}
    return f"Missing (or invalid type) {getattr(kinds[name], 'kind', 'string')} parameter {name}"
