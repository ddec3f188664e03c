"""An OpenAPI document of the authorisation server, made of the schemas that its routes load.

The mobile API writes its own; CSC, OAuth and pairing sign-in are described by their specifications,
and here for programs that try them. ``known`` names values that lead further than chance does: a
credential that is there, a SAD that was given.
"""

from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema

from backend.csc import fields, schemas
from backend.oauth.schemas import CodeBody, EmptyBody, SignInBody

Json = dict[str, Any]

CSC_ERRORS = (400, 401, 413, 415)
OAUTH_ERRORS = (400, 401, 413)
TEXT: Json = {"type": "string", "minLength": 1}
CSC_CALLS: dict[str, tuple[type[Schema], dict[int, tuple[str, ...]]]] = {
    "/csc/v2/info": (schemas.CscBody, {200: ("specs", "methods", "signAlgorithms")}),
    "/csc/v2/credentials/list": (schemas.ListBody, {200: ("credentialIDs",)}),
    "/csc/v2/credentials/info": (schemas.InfoBody, {200: ("key", "cert", "auth", "multisign")}),
    "/csc/v2/credentials/authorize": (schemas.AuthorizeBody, {202: ("handle",)}),
    "/csc/v2/credentials/authorizeCheck": (
        schemas.CheckBody,
        {200: ("SAD", "expiresIn"), 202: ("handle",)},
    ),
    "/csc/v2/credentials/getChallenge": (schemas.ChallengeBody, {204: ()}),
    "/csc/v2/credentials/extendTransaction": (schemas.ExtendBody, {200: ("SAD", "expiresIn")}),
    "/csc/v2/auth/login": (schemas.LoginBody, {200: ("access_token", "expires_in")}),
    "/csc/v2/auth/revoke": (schemas.RevokeBody, {204: ()}),
    "/csc/v2/signatures/signHash": (schemas.SignBody, {200: ("signatures",)}),
    "/csc/v1/info": (schemas.CscBody, {200: ("specs", "methods", "authType")}),
    "/csc/v1/credentials/list": (schemas.OldListBody, {200: ("credentialIDs",)}),
    "/csc/v1/credentials/info": (schemas.InfoBody, {200: ("key", "cert", "authMode")}),
    "/csc/v1/credentials/authorize": (schemas.OldAuthorizeBody, {200: ("SAD", "expiresIn")}),
    "/csc/v1/credentials/extendTransaction": (schemas.OldExtendBody, {200: ("SAD", "expiresIn")}),
    "/csc/v1/auth/login": (schemas.LoginBody, {200: ("access_token", "expires_in")}),
    "/csc/v1/auth/revoke": (schemas.RevokeBody, {204: ()}),
    "/csc/v1/signatures/signHash": (schemas.OldSignBody, {200: ("signatures",)}),
}
"""Body, and by status what an answer must have."""
PAIRING_CALLS: dict[str, tuple[type[Schema], int, tuple[str, ...]]] = {
    "/pairing/tickets": (SignInBody, 201, ("ticket", "expires_at")),
    "/pairing/code": (EmptyBody, 202, ("tries_left",)),
    "/pairing/confirmation": (CodeBody, 200, ("state",)),
}
FORMS: dict[str, tuple[Json, int, tuple[str, ...]]] = {
    "/oauth2/token": ({"grant_type": TEXT, "scope": TEXT}, 200, ("access_token", "token_type")),
    "/oauth2/revocation": ({"token": TEXT, "token_type_hint": TEXT}, 200, ()),
    "/oauth2/revoke": ({"token": TEXT, "token_type_hint": TEXT}, 204, ()),
}
PROBLEM = ("type", "title", "status")


def document(known: dict[str, dict[str, object]]) -> Json:
    """Describe every call.

    Args:
        known: by path, members and values that are tried beside all others.
    """
    plugin = MarshmallowPlugin()
    spec = APISpec("Cellkey authorisation server", "1", "3.1.0", plugins=[plugin])
    assert plugin.converter is not None
    for field, kind in ((fields.Flag, "boolean"), (fields.Hashes, "array")):
        plugin.converter.map_to_openapi_type(field, kind, None)  # type: ignore[no-untyped-call]  # apispec's
    for path, (schema, answers) in CSC_CALLS.items():
        body = _object(plugin, schema, known.get(path, {}))
        told = {status: _done(names) for status, names in answers.items()}
        errors = _errors(CSC_ERRORS, ("error", "error_description"), "application/json")
        spec.path(path=path, operations=_post("application/json", body, told | errors))
    for path, (schema, status, names) in PAIRING_CALLS.items():
        body = _object(plugin, schema, known.get(path, {}))
        error = {"default": _answer(PROBLEM, "application/problem+json")}
        spec.path(
            path=path,
            operations=_post("application/json", body, {status: _answer(names), **error}),
        )
    for path, (members, status, names) in FORMS.items():
        form = {"type": "object", "properties": _known(members, known.get(path, {}))}
        errors = _errors(OAUTH_ERRORS, ("error",), "application/json")
        told = {status: _done(names)}
        spec.path(
            path=path,
            operations=_post("application/x-www-form-urlencoded", form, told | errors),
        )
    written: Json = spec.to_dict()
    return written


def also(schema: Json, value: object) -> Json:
    """What a schema says, or this very value."""
    return {"anyOf": [{"const": value}, schema]}


def _known(properties: Json, values: dict[str, object]) -> Json:
    return {
        name: also(schema, values[name]) if name in values else schema
        for name, schema in properties.items()
    }


def _object(plugin: MarshmallowPlugin, schema: type[Schema], values: dict[str, object]) -> Json:
    assert plugin.converter is not None
    described: Json = plugin.converter.schema2jsonschema(schema())  # type: ignore[no-untyped-call]  # apispec's
    described["properties"] = _known(described["properties"], values)
    for name in {"hash", "hashes"} & described["properties"].keys() & values.keys():
        items = {"type": "string", "maxLength": 100}
        described["properties"][name] = also({"type": "array", "items": items}, values[name])
    return described


def _post(media_type: str, body: Json, answers: dict[Any, Json]) -> Json:
    content = {media_type: {"schema": body}}
    return {"post": {"requestBody": {"content": content, "required": True}, "responses": answers}}


def _done(names: tuple[str, ...]) -> Json:
    return _answer(names) if names else {"description": "Done"}


def _answer(names: tuple[str, ...], media_type: str = "application/json") -> Json:
    schema = {"type": "object", "required": list(names)}
    return {"description": "An answer", "content": {media_type: {"schema": schema}}}


def _errors(statuses: tuple[int, ...], names: tuple[str, ...], media_type: str) -> dict[int, Json]:
    return {status: _answer(names, media_type) for status in statuses}
