"""Bodies as docs/phone-protocol.md, 8, has them; a schema for each direction.

What a phone sends is bounded here and verified by the use case; unknown members are refused.
"""

from typing import Any, Final

from marshmallow import Schema, fields, validate

from backend.protocol.encoding import b64u

LONGEST_WAIT_SECONDS: Final = 25
LONGEST_VERSION: Final = 64
LONGEST_MESSAGE: Final = 48 * 1024
LONGEST_ENDPOINT: Final = 2048
LONGEST_BINARY: Final = 200
COORDINATE: Final = 43


class Letters(fields.String):
    """ASCII text of some letters, the whole of it."""

    def __init__(self, letters: str, *, longest: int, allow_none: bool = False) -> None:
        """Bound it; ``letters`` is the inside of a character class.

        The document's pattern is one of ECMA 262, where ``$`` is the very end; in Python it is not.
        """
        super().__init__(
            required=True,
            allow_none=allow_none,
            validate=[
                validate.Length(min=1, max=longest),
                validate.Regexp(rf"[{letters}]+\Z"),
            ],
            metadata={"pattern": f"^[{letters}]+$"},
        )


class Compact(Letters):
    """A compact JWS or JWE."""

    def __init__(self, *, allow_none: bool = False) -> None:
        """Required; perhaps null."""
        super().__init__("A-Za-z0-9_.-", longest=LONGEST_MESSAGE, allow_none=allow_none)


class Base64urlText(Letters):
    """Base64url that somebody else reads."""

    def __init__(self) -> None:
        """Required."""
        super().__init__("A-Za-z0-9_-", longest=LONGEST_BINARY)


class Coordinate(Letters):
    """32 bytes in base64url."""

    def __init__(self) -> None:
        """Required."""
        super().__init__("A-Za-z0-9_-", longest=COORDINATE)


class Base64url(fields.Field[bytes]):
    """Bytes, as base64url without padding."""

    def _serialize(self, value: bytes | None, *_: Any, **__: Any) -> str | None:  # noqa: ANN401  # marshmallow's
        return None if value is None else b64u(value)


# --- what phones send -------------------------------------------------------------


class EmptyBody(Schema):
    """``{}``."""


class EnrolmentBody(Schema):
    """A new phone's keys; `sealed` is null where the password brings the cell's secret."""

    enrolment = Compact()
    sealed = Compact(allow_none=True)


class JwkBody(Schema):
    """A P-256 public key; what is no point of the curve is refused."""

    kty = fields.String(required=True, validate=validate.Equal("EC"))
    crv = fields.String(required=True, validate=validate.Equal("P-256"))
    x = Coordinate()
    y = Coordinate()


class FurtherPhoneBody(Schema):
    """Which new phone asks; its proof is by this key."""

    request = fields.Nested(JwkBody, required=True)


class FurtherEnrolmentBody(Schema):
    """A further phone's keys."""

    enrolment = Compact()


class ListQuery(Schema):
    """What a long poll waits for."""

    wait = fields.Integer(
        load_default=0,
        validate=validate.Range(min=0, max=LONGEST_WAIT_SECONDS),
        metadata={"description": "Seconds to hold the answer back while nothing has changed."},
    )
    version = fields.String(
        load_default=None,
        validate=validate.Length(max=LONGEST_VERSION),
        metadata={"description": "Of the list that the phone has."},
    )


class ApprovalBody(Schema):
    """The phone's yes."""

    approval = Compact()
    sealed = Compact()


class RefusalBody(Schema):
    """The phone's no."""

    refusal = Compact()


class SubscriptionKeys(Schema):
    """Keys of a push subscription (RFC 8291)."""

    p256dh = Base64urlText()
    auth = Base64urlText()


class SubscriptionBody(Schema):
    """Where the phone is woken (RFC 8030)."""

    endpoint = fields.String(required=True, validate=validate.Length(min=1, max=LONGEST_ENDPOINT))
    keys = fields.Nested(SubscriptionKeys, required=True)
    again = fields.Boolean(load_default=False, truthy={True}, falsy={False})


class RecoveryLockBody(Schema):
    """The lock under the code that the phone shows once."""

    lock = Base64urlText()


# --- what phones are told ---------------------------------------------------------


class Jwk(Schema):
    """A P-256 public key."""

    kty = fields.String()
    crv = fields.String()
    x = Base64url()
    y = Base64url()


class InfoAnswer(Schema):
    """Whose service this is."""

    ca = fields.String()
    authorization_server = fields.String()
    push_key = fields.String(metadata={"description": "VAPID public key, uncompressed point."})


class PairingAnswer(Schema):
    """How a pairing stands."""

    state = fields.String(validate=validate.OneOf(("printed", "enrolled", "confirmed", "frozen")))
    ask = fields.String()
    ks = fields.Nested(Jwk)
    keys = fields.List(fields.String())
    envelope_lock = fields.String(allow_none=True)
    recovery_lock = fields.String(
        allow_none=True,
        metadata={"description": "For a cell that exists: opens by the recovery code."},
    )
    password_recovery = fields.Boolean(
        metadata={"description": "For a cell that exists: whether the password may do it."}
    )
    confirmation = fields.List(fields.String(validate=validate.OneOf(("sms", "operator"))))


class FurtherPhoneAnswer(Schema):
    """How far a further phone is."""

    state = fields.String(validate=validate.OneOf(("waiting", "confirmed", "over")))
    ask = fields.String()
    ks = fields.Nested(Jwk)
    keys = fields.List(fields.String())
    lock = fields.String(allow_none=True, metadata={"description": "Once it is paired."})
    pin = Base64url(
        allow_none=True,
        metadata={"description": "Beside the lock: vouches for `ks`, by the cell's secret."},
    )


class FurtherStateAnswer(Schema):
    """How far a further phone is."""

    state = fields.String(validate=validate.OneOf(("waiting", "confirmed", "over")))


class LockAnswer(Schema):
    """This phone's device lock."""

    lock = fields.String()


class EnrolmentAnswer(Schema):
    """The phone's keys are kept."""

    state = fields.String()
    twelve = fields.String(metadata={"description": "What people compare."})


class PendingTransaction(Schema):
    """One that waits for an answer."""

    id = fields.UUID()
    kind = fields.String()
    expires_at = fields.AwareDateTime()


class ListAnswer(Schema):
    """What waits for an answer, the oldest first."""

    version = fields.String()
    transactions = fields.List(fields.Nested(PendingTransaction))
    wait = fields.Url(
        allow_none=True,
        require_tld=False,
        metadata={"description": "Where to wait for another list; null: by this call's `wait`."},
    )


class TransactionAnswer(Schema):
    """All that a phone needs to show and approve."""

    state = fields.String()
    ask = fields.String()
    ks = fields.Nested(Jwk)
    keys = fields.List(fields.String())
    list = fields.List(fields.String(), attribute="items")
    lock = fields.String()


class StateAnswer(Schema):
    """Where the transaction stands now."""

    state = fields.String()


class Device(Schema):
    """A phone of the cell."""

    kid = Base64url()
    kind = fields.String()
    paired_at = fields.AwareDateTime()
    this = fields.Boolean()
    removal_asked = fields.Boolean()


class DevicesAnswer(Schema):
    """The phones of the cell."""

    devices = fields.List(fields.Nested(Device))


class SecurityKey(Schema):
    """A further passkey of the phone that asks."""

    id = Base64url(metadata={"description": "Of the credential."})


class SecurityKeysAnswer(Schema):
    """The further passkeys of the phone that asks."""

    record = Base64url(
        metadata={"description": "SHA-256 of the cell's newest record: what a new one is made for."}
    )
    security_keys = fields.List(fields.Nested(SecurityKey))


class StoppedParty(Schema):
    """A relying party that may not ask this signer."""

    id = fields.String(metadata={"description": "As in an ask's `rp`."})
    name = fields.String()
    stopped_at = fields.AwareDateTime()


class StoppedAnswer(Schema):
    """Whom the signer has stopped by `not_me`."""

    relying_parties = fields.List(fields.Nested(StoppedParty))


class Problem(Schema):
    """RFC 9457, with the names of docs/phone-protocol.md, 8.1."""

    type = fields.String(metadata={"description": "urn:cellkey:problem:<name>"})
    title = fields.String()
    status = fields.Integer()
    detail = fields.String()
    state = fields.String(metadata={"description": "Of a transaction that is over."})
    tries_left = fields.Integer(metadata={"description": "After a wrong code."})
