"""What a strict push service demands of a message: RFC 8030, RFC 8291 and RFC 8292."""

import base64
import re
from collections.abc import Mapping

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

LONGEST_BODY = 4096
LONGEST_TTL = 2_419_200
LONGEST_VAPID_SECONDS = 24 * 3600
SALT_AND_RECORD_SIZE = 20
POINT_BYTES = 65
TAG_AND_DELIMITER = 17

_VAPID = re.compile(r"vapid t=(?P<token>[\w.-]+), ?k=(?P<key>[\w-]+)", re.IGNORECASE | re.ASCII)
_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,32}")
_URGENCIES = {"very-low", "low", "normal", "high"}


class Refused(Exception):
    """The message is not accepted; ``status`` is the answer."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def read_key(key: str) -> ECKey:
    """Read a VAPID public key: an uncompressed point of P-256 in base64url."""
    try:
        point = base64.urlsafe_b64decode(key + "=" * (-len(key) % 4))
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError as error:
        raise Refused(400, "the key is not a point of P-256") from error
    if len(point) != POINT_BYTES:
        raise Refused(400, "the point is not uncompressed")
    pem = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return ECKey.import_key(pem)


def check_vapid(authorization: str | None, *, audience: str, expected_key: str, now: float) -> None:
    """Check who sends (RFC 8292, 2 and 4.2)."""
    if authorization is None:
        raise Refused(401, "no Authorization")
    parts = _VAPID.fullmatch(authorization)
    if parts is None:
        raise Refused(403, "Authorization is not of the scheme vapid")
    if parts["key"] != expected_key:
        raise Refused(403, "the subscription is restricted to another key")
    try:
        token = jwt.decode(parts["token"], read_key(parts["key"]), algorithms=["ES256"])
    except (JoseError, ValueError) as error:
        raise Refused(403, "the token's signature is not valid") from error
    claims = token.claims
    if claims.get("aud") != audience:
        raise Refused(403, "the token is for another push service")
    expires = claims.get("exp")
    if not isinstance(expires, int) or not now < expires <= now + LONGEST_VAPID_SECONDS:
        raise Refused(403, "the token is over, or lives longer than 24 hours")
    if not str(claims.get("sub")).startswith(("mailto:", "https:")):
        raise Refused(403, "the token names nobody to turn to")


def read_ttl(headers: Mapping[str, str]) -> int:
    """Read how long the message may be kept (RFC 8030, 5.2)."""
    text = headers.get("TTL", "")
    if not re.fullmatch(r"[0-9]{1,10}", text):
        raise Refused(400, "no TTL")
    return min(int(text), LONGEST_TTL)


def read_topic(headers: Mapping[str, str]) -> str | None:
    """Read which message this one replaces (RFC 8030, 5.4), and check the urgency (5.3)."""
    if headers.get("Urgency", "normal") not in _URGENCIES:
        raise Refused(400, "no such urgency")
    topic = headers.get("Topic")
    if topic is not None and not _TOPIC.fullmatch(topic):
        raise Refused(400, "the topic is not up to 32 characters of base64url")
    return topic


def check_body(headers: Mapping[str, str], body: bytes) -> None:
    """Check the form of an encrypted message (RFC 8291, 4; RFC 8188, 2.1)."""
    if headers.get("Content-Encoding") != "aes128gcm":
        raise Refused(415, "the content encoding is not aes128gcm")
    if len(body) > LONGEST_BODY:
        raise Refused(413, f"more than {LONGEST_BODY} bytes")
    start = SALT_AND_RECORD_SIZE + 1 + POINT_BYTES
    if len(body) < start + TAG_AND_DELIMITER or body[SALT_AND_RECORD_SIZE] != POINT_BYTES:
        raise Refused(400, "the body has no header with the sender's key")
    record_size = int.from_bytes(body[SALT_AND_RECORD_SIZE - 4 : SALT_AND_RECORD_SIZE])
    if record_size < len(body) - start:
        raise Refused(400, "more than one record")
