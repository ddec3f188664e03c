"""From what the service sent to what may be shown (section 6), one proof after the other.

1. :func:`read_ask`: the ask is signed by the KS that came beside it → :class:`SignedAsk`;
2. :func:`trust`: that KS is the pinned one, or follows from it → :class:`TrustedAsk`;
   at pairing the pin is learnt by opening the envelope lock with the ask's cell;
3. :func:`check_documents`: the list has the ask's root and count → :class:`CheckedAsk`.

Only a :class:`CheckedAsk` can be shown or answered. Nothing is canonicalised: ``tx_hash`` is over
the text as received.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from backend.virtual_phone.documents import LIST_LIMIT, Item, read_list
from backend.virtual_phone.encoding import b64u, raw_uuid, read_json, sha256, unb64u
from backend.virtual_phone.errors import MessageRefused
from backend.virtual_phone.jose import Jwk, signer_of, unverified_payload, verify

Kind = Literal["sign", "certificate_request", "enrol", "amend", "set_password"]
WITH_DOCUMENTS = ("sign", "certificate_request")
KEYS_LIMIT = 32
FIELDS_LIMIT = 64
Name = Annotated[str, msgspec.Meta(max_length=200)]


class RelyingParty(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who asks."""

    id: Name
    name: Name


class Text(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the signer reads."""

    lang: str
    title: Name
    lines: Annotated[
        tuple[Annotated[str, msgspec.Meta(max_length=2000)], ...], msgspec.Meta(max_length=100)
    ]


class Documents(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Root and number of the list that travels beside the ask."""

    root: str
    count: Annotated[int, msgspec.Meta(ge=1, le=LIST_LIMIT)]


class KeyThumbprints(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys of the further phone that an ``enrol`` is for."""

    approval: str
    request: str
    unlock: str


class Ask(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Claims of a ``cell-ask+jwt``."""

    v: Literal[1]
    kind: Kind
    iss: Annotated[str, msgspec.Meta(max_length=500)]
    jti: str
    iat: int
    exp: int
    use_by: int
    cell: str
    epoch: Annotated[int, msgspec.Meta(ge=1)]
    rp: RelyingParty
    text: Text
    fields: Annotated[dict[str, object], msgspec.Meta(max_length=FIELDS_LIMIT)]
    documents: Documents | None
    hash_alg: Literal["SHA-256", "SHA-384", "SHA-512"] | None
    key_thumbprints: KeyThumbprints | None
    sam: Jwk
    number_asked: bool


class SignedAsk(msgspec.Struct, frozen=True, kw_only=True):
    """An ask that ``ks`` signed; whether ``ks`` is the service's is not known yet."""

    ask: Ask
    ks: Jwk
    tx_hash: bytes
    """SHA-256 of the compact text as received."""
    cell: bytes
    """The ask's cell as 16 bytes."""


class TrustedAsk(msgspec.Struct, frozen=True, kw_only=True):
    """An ask of the service that this phone is paired with."""

    signed: SignedAsk


class CheckedAsk(msgspec.Struct, frozen=True, kw_only=True):
    """A trusted ask with the documents it is about. This is what the phone shows and answers."""

    ask: Ask
    ks: Jwk
    tx_hash: bytes
    cell: bytes
    items: tuple[Item, ...]


class KeyChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Claims of a ``cell-keys+jwt``: the old KS names the new one, or the first one itself."""

    v: Literal[1]
    iat: int
    old: str
    new: Jwk


def read_ask(unverified: str, *, ks: Jwk) -> SignedAsk:
    """Verify the ask under the key that came with it.

    Raises:
        MessageRefused: not signed by ``ks``, or its claims do not have their form.
    """
    ask = read_json(verify(unverified, typ="cell-ask+jwt", key=ks), Ask)
    raw_uuid(ask.jti)
    ask.sam.key()
    if not isinstance(ask.fields.get("type"), str):
        raise MessageRefused("an ask's fields have no type")
    if not ask.iat <= ask.exp <= ask.use_by:
        raise MessageRefused("the times of an ask are not in order")
    _only_where_it_belongs(ask)
    return SignedAsk(ask=ask, ks=ks, tx_hash=sha256(unverified.encode()), cell=raw_uuid(ask.cell))


def trust(signed: SignedAsk, *, pin: bytes, pinned: Jwk | None, keys: Sequence[str]) -> TrustedAsk:
    """Compare the ask's KS with the pinned one, following ``cell-keys+jwt`` where it changed.

    Args:
        signed: the ask.
        pin: thumbprint of the KS that the phone trusts.
        pinned: that key itself, where the phone has it; else an entry of ``keys`` brings it.
        keys: the changes as served, oldest first.

    Raises:
        MessageRefused: the ask's KS is not the pinned one and does not follow from it.
    """
    if len(keys) > KEYS_LIMIT:
        raise MessageRefused(f"more than {KEYS_LIMIT} changes of the service's key")
    wanted = signed.ks.thumbprint()
    for change in keys:
        if pin == wanted:
            break
        if signer_of(change) == b64u(pin):
            pin = _followed(change, old=_known(pin, pinned=pinned, keys=keys)).thumbprint()
    if pin != wanted:
        raise MessageRefused("the ask is not signed by the service that this phone knows")
    return TrustedAsk(signed=signed)


def check_documents(trusted: TrustedAsk, unverified_list: Sequence[str]) -> CheckedAsk:
    """Check the list against the root and count in the ask.

    Raises:
        MessageRefused: another list than the ask's, or one that section 3 forbids.
    """
    signed = trusted.signed
    ask = signed.ask
    if ask.documents is None or ask.hash_alg is None:
        if unverified_list:
            raise MessageRefused("documents came beside an ask that has none")
        items: tuple[Item, ...] = ()
    else:
        items = read_list(
            unverified_list,
            root=unb64u(ask.documents.root, length=32),
            count=ask.documents.count,
            hash_alg=ask.hash_alg,
        )
        _types_fit(ask.kind, items)
    return CheckedAsk(ask=ask, ks=signed.ks, tx_hash=signed.tx_hash, cell=signed.cell, items=items)


def _only_where_it_belongs(ask: Ask) -> None:
    documents = ask.documents is not None
    if documents != (ask.hash_alg is not None) or documents != (ask.kind in WITH_DOCUMENTS):
        raise MessageRefused("documents and hash_alg belong to sign and certificate_request")
    if ask.kind == "certificate_request" and ask.hash_alg != "SHA-256":
        raise MessageRefused("a certificate_request is hashed by SHA-256")
    if ask.key_thumbprints is not None and ask.kind != "enrol":
        raise MessageRefused("key_thumbprints belong to enrol")


def _known(pin: bytes, *, pinned: Jwk | None, keys: Sequence[str]) -> Jwk:
    """The key of a trusted thumbprint. Whoever brings it, the thumbprint proves it."""
    brought = [read_json(unverified_payload(change), KeyChange).new for change in keys]
    for key in (*brought, *([] if pinned is None else [pinned])):
        if key.thumbprint() == pin:
            return key
    raise MessageRefused("the service's key has changed, and its old one is not known")


def _followed(change: str, *, old: Jwk) -> Jwk:
    claims = read_json(verify(change, typ="cell-keys+jwt", key=old), KeyChange)
    if claims.old != b64u(old.thumbprint()):
        raise MessageRefused("a change of the service's key names another old key")
    claims.new.key()
    return claims.new


def _types_fit(kind: Kind, items: Sequence[Item]) -> None:
    requests = [item for item in items if item.type == "csr"]
    if kind == "certificate_request" and (len(requests), len(items)) != (1, 1):
        raise MessageRefused("a certificate_request is about exactly one csr")
    if kind == "sign" and requests:
        raise MessageRefused("a csr belongs to a certificate_request")
