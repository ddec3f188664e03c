"""What a relying party asks of the authorisation end point: read, checked and kept in one form.

1. Scope ``service`` names a signer by their sign-in, no more. Scope ``credential`` asks for
   signatures: credential, hashes and words, in parameters or in ``authorization_details``; where
   both say something, they must say the same (CSC-55).
2. PKCE with S256 is demanded of everybody (RFC 9700, 2.1.1).
3. Only what can be said without knowing any signer is said here: whether a credential is there, and
   whose, nobody learns before a sign-in (CSC-49).
"""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal, final

import msgspec

from backend.algorithms import HASH_BY_LENGTH, HASH_OIDS, HashAlgorithm
from backend.errors import RequestRefused
from backend.oauth.details import Details, read_details, read_entry
from backend.protocol.ask import HashName
from backend.signing.hashes import MOST_HASHES, check_hashes, read_hash

SERVICE: Final = "service"
CREDENTIAL: Final = "credential"
LONGEST_STATE: Final = 2000
LONGEST_DESCRIPTION: Final = 500
LONGEST_TEXT: Final = 200
LONGEST_COUNT: Final = 6
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_NAMES: Final[dict[HashAlgorithm, HashName]] = {
    HashAlgorithm.SHA256: "SHA-256",
    HashAlgorithm.SHA384: "SHA-384",
    HashAlgorithm.SHA512: "SHA-512",
}


@final
class SignatureWish(msgspec.Struct, frozen=True, kw_only=True):
    """Scope ``credential``: what the signer will be asked."""

    unverified_credential: str
    hashes: tuple[bytes, ...]
    hash_alg: HashName
    labels: tuple[str, ...] | None
    transaction: dict[str, Any] | None
    description: str | None
    is_v1: bool
    """The parameters were those of CSC API 1.0.4."""
    details: dict[str, Any] | None
    """The entry of ``authorization_details``, as it came."""


@final
class AuthorizationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A checked request."""

    redirect_uri: str
    names_redirect_uri: bool
    """Whether the token request must name it again (RFC 6749, 4.1.3)."""
    state: str | None
    code_challenge: str
    dpop_jkt: str | None
    """The key to which the code is bound (RFC 9449, 10)."""
    lang: Literal["ru", "en"] | None
    wish: SignatureWish | None
    """``None``: scope ``service``."""

    @property
    def scope(self) -> str:
        """The scope of what is asked for."""
        return SERVICE if self.wish is None else CREDENTIAL


def read_request(
    unverified: Mapping[str, str], *, redirect_uri: str, scope: str
) -> AuthorizationRequest:
    """Check the parameters of a request from a known client for a registered address.

    Args:
        unverified: the parameters, each once.
        redirect_uri: where the answer goes; checked.
        scope: what the client may ask for and does.

    Raises:
        RequestRefused: they do not fit.
    """
    _check_challenge(unverified)
    return AuthorizationRequest(
        redirect_uri=redirect_uri,
        names_redirect_uri=bool(unverified.get("redirect_uri")),
        state=_text(unverified, "state", longest=LONGEST_STATE),
        code_challenge=unverified["code_challenge"],
        dpop_jkt=_jkt(unverified),
        lang=_language(unverified.get("lang", "")),
        wish=_wish(unverified) if scope == CREDENTIAL else None,
    )


def _check_challenge(unverified: Mapping[str, str]) -> None:
    """CSC-27, CSC-28: without S256 nothing is authorised."""
    if not unverified.get("code_challenge"):
        raise RequestRefused("Missing parameter code_challenge")
    if unverified.get("code_challenge_method") != "S256":
        raise RequestRefused("Invalid parameter code_challenge_method: S256")
    if not _CHALLENGE.fullmatch(unverified["code_challenge"]):
        raise RequestRefused("Invalid parameter code_challenge")


def _wish(unverified: Mapping[str, str]) -> SignatureWish:
    entry = read_entry(unverified["authorization_details"]) if _has_details(unverified) else None
    details = None if entry is None else read_details(entry)
    plain = _plain_hashes(unverified)
    hashes = plain if details is None else details.hashes()
    if not hashes:
        raise RequestRefused("Missing parameter hashes")
    if details is not None and plain and set(plain) != set(hashes):
        raise RequestRefused("hashes are others than in authorization_details")
    hash_alg = _NAMES[_hash_algorithm(unverified, details, hashes)]
    check_hashes(hashes, hash_alg)
    _check_count(unverified, details, len(hashes))
    return SignatureWish(
        unverified_credential=_credential(unverified, details),
        hashes=hashes,
        hash_alg=hash_alg,
        labels=None if details is None else details.labels(),
        transaction=None if details is None else details.transaction,
        description=_text(unverified, "description", longest=LONGEST_DESCRIPTION),
        is_v1="hash" in unverified,
        details=entry,
    )


def _has_details(unverified: Mapping[str, str]) -> bool:
    return bool(unverified.get("authorization_details"))


def _plain_hashes(unverified: Mapping[str, str]) -> tuple[bytes, ...]:
    """``hashes`` of v2, ``hash`` of v1: base64url, commas between (CSC-47)."""
    if "hash" in unverified and "hashes" in unverified:
        raise RequestRefused("hash is of CSC API v1, hashes of v2: one of them")
    text = unverified.get("hashes") or unverified.get("hash") or ""
    if not text:
        return ()
    # A standard alphabet's plus is a space where somebody forgot to escape it.
    parts = text.replace(" ", "+").split(",", MOST_HASHES)
    try:
        return tuple(read_hash(part) for part in parts)
    except ValueError as error:
        raise RequestRefused("Invalid parameter hashes") from error


def _hash_algorithm(
    unverified: Mapping[str, str], details: Details | None, hashes: tuple[bytes, ...]
) -> HashAlgorithm:
    """Named in v2; in v1 the hashes' length says it."""
    oid = unverified.get("hashAlgorithmOID")
    if details is not None:
        if oid not in {None, details.hash_oid}:
            raise RequestRefused("hashAlgorithmOID is another than in authorization_details")
        oid = details.hash_oid
    if oid is None and "hash" in unverified:
        found = {HASH_BY_LENGTH.get(len(each)) for each in hashes}
        algorithm = found.pop() if len(found) == 1 else None
        if algorithm is None:
            raise RequestRefused("Invalid digest value length")
        return algorithm
    if oid is None:
        raise RequestRefused("Missing parameter hashAlgorithmOID")
    if oid not in HASH_OIDS:
        raise RequestRefused("Invalid parameter hashAlgorithmOID")
    return HASH_OIDS[oid]


def _check_count(unverified: Mapping[str, str], details: Details | None, hashes: int) -> None:
    """CSC-46, CSC-48: so many signatures as hashes."""
    text = unverified.get("numSignatures", "" if details is None else str(hashes))
    if not text:
        raise RequestRefused("Missing parameter numSignatures")
    is_number = text.isascii() and text.isdecimal() and len(text) <= LONGEST_COUNT
    if not is_number or int(text) != hashes:
        raise RequestRefused("numSignatures is not the number of hashes")


def _credential(unverified: Mapping[str, str], details: Details | None) -> str:
    named = {unverified.get("credentialID"), None if details is None else details.credential}
    named -= {None, ""}
    if len(named) > 1:
        raise RequestRefused("credentialID is another than in authorization_details")
    found = named.pop() if named else None
    if found is None:
        raise RequestRefused("Missing parameter credentialID; signatureQualifier is not offered")
    if len(found) > LONGEST_TEXT:
        raise RequestRefused("Invalid parameter credentialID")
    return found


def _jkt(unverified: Mapping[str, str]) -> str | None:
    given = unverified.get("dpop_jkt")
    if given is not None and not _CHALLENGE.fullmatch(given):
        raise RequestRefused("Invalid parameter dpop_jkt")
    return given


def _text(unverified: Mapping[str, str], name: str, *, longest: int) -> str | None:
    given = unverified.get(name)
    if given is not None and len(given) > longest:
        raise RequestRefused(f"Invalid parameter {name}: at most {longest} characters")
    return given or None


def _language(tag: str) -> Literal["ru", "en"] | None:
    """BCP 47; another language than ours is none (CSC-23)."""
    match tag.partition("-")[0].lower():
        case "ru":
            return "ru"
        case "en":
            return "en"
        case _:
            return None
