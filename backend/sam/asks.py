"""Opens transactions: renders what the signer will read, and signs the ask.

1. The record is ours and allows the kind: ``sign`` once the cell has its certificate,
   ``certificate_request`` before, ``enrol`` at any time; ``set_password``, and ``enrol`` of a
   further phone, which names its three keys, where a phone is paired that can approve it.
2. Hashes have the length of their algorithm, which the key can sign; none stands twice; no more
   than the record's ``multisign``.
3. ``exp`` lies within a day, ``use_by`` within ten minutes of it: an hour key never lives longer.
4. The text is rendered here, from fields that are checked here; a relying party names only kinds
   that are meant for relying parties.
"""

from collections.abc import Callable
from typing import Final, final
from uuid import UUID

from backend.algorithms import DIGEST_BYTES, HASHES, HashAlgorithm
from backend.errors import (
    MalformedMessage,
    RecordRefused,
    RequestRefused,
    TooManySignatures,
)
from backend.protocol.ask import (
    LONGEST_LIFE_SECONDS,
    LONGEST_USE_SECONDS,
    AskClaims,
    AskText,
    KeyThumbprints,
    VerifiedAsk,
    tx_hash,
)
from backend.protocol.encoding import Octets
from backend.protocol.jose import PublicJwk
from backend.protocol.names import readable_name
from backend.protocol.record import CellRecord
from backend.protocol.tree import Documents, Item, item_texts, tree_root
from backend.sam.certificate_request import registered_subject, request_item
from backend.sam.code_policy import open_methods
from backend.sam.hours import TransactionKeys
from backend.sam.records import ServiceVoice
from backend.sam.sms_texts import SmsTexts
from backend.sam.transactions import OpenedTransaction, OpenTransaction
from backend.summary.catalogue import KINDS
from backend.summary.render import render

THREE_KEYS: Final = 3


@final
class Asks:
    """Makes asks."""

    def __init__(
        self,
        *,
        voice: ServiceVoice,
        keys: TransactionKeys,
        sms: SmsTexts,
        issuer: str,
        new_id: Callable[[], UUID],
    ) -> None:
        """Keep what an ask is made with; ``issuer`` is the authority's name."""
        self._sms = sms
        self._voice = voice
        self._keys = keys
        self._issuer = issuer
        self._new_id = new_id

    def open(self, request: OpenTransaction, *, now: int) -> OpenedTransaction:
        """Open a transaction; the errors are those of ``Transactions.open_transaction``."""
        record = self._voice.verified_record(request.record)
        _check_times(request, now)
        items = _items(request, record)
        text = render(
            fields=request.fields,
            lang=request.lang,
            zone=request.zone,
            rp_name=request.rp.name,
            document_labels=[item.label for item in items] if request.kind == "sign" else [],
        )
        texts = item_texts(items)
        jti = self._new_id()
        key = self._keys.make(use_by=request.use_by, jti=jti)
        claims = AskClaims(
            kind=request.kind,
            iss=self._issuer,
            jti=jti,
            iat=now,
            exp=request.exp,
            use_by=request.use_by,
            cell=record.cell,
            epoch=record.epoch,
            rp=request.rp,
            text=AskText(lang=text.lang, title=text.title, lines=text.lines),
            fields=request.fields,
            documents=Documents(root=tree_root(texts), count=len(texts)) if texts else None,
            hash_alg=request.hash_alg,
            key_thumbprints=request.key_thumbprints,
            sam=PublicJwk.of(key.public_key()),
            number_asked=request.number_asked,
        )
        ask = self._voice.ask(claims)
        verified = VerifiedAsk(claims=claims, tx_hash=tx_hash(ask))
        labels = [item.label for item in items] if request.kind == "sign" else []
        return OpenedTransaction(
            id=jti,
            ask=ask,
            tx_hash=verified.tx_hash,
            epoch=record.epoch,
            items=texts,
            hashes=tuple(bytes(item.hash) for item in items),
            methods=open_methods(record, kind=request.kind, fields=request.fields),
            sms=self._sms.at_once(
                verified, labels, record=record, address=request.sms, zone=request.zone
            ),
        )


def _check_times(request: OpenTransaction, now: int) -> None:
    """Rule 3."""
    if not now < request.exp <= now + LONGEST_LIFE_SECONDS:
        raise RequestRefused("exp is not within a day from now")
    if not request.exp <= request.use_by <= request.exp + LONGEST_USE_SECONDS:
        raise RequestRefused("use_by is not within ten minutes of exp")


def _items(request: OpenTransaction, record: CellRecord) -> tuple[Item, ...]:
    """Rules 1, 2 and 4: the list for the kind."""
    if request.key_thumbprints is not None:
        _check_further_phone(request.key_thumbprints, request.kind, record)
    if request.kind == "sign":
        return _items_to_sign(request, record)
    if request.items or (request.hash_alg is not None) is not (
        request.kind == "certificate_request"
    ):
        raise RequestRefused("only an ask to sign has hashes of its caller")
    if request.number_asked is not (request.kind in {"set_password", "amend"}):
        raise RequestRefused(
            "a new password, or policy, is matched by a number, and else only an ask to sign"
        )
    if request.fields.get("type") != request.kind:
        raise RequestRefused(f"the fields of {request.kind} are of another type")
    return _items_of_authority(request, record)


def _items_of_authority(request: OpenTransaction, record: CellRecord) -> tuple[Item, ...]:
    if request.kind == "enrol":
        return ()
    if request.kind == "certificate_request":
        return (_certificate_request_item(request, record),)
    _check_can_approve(record)
    return ()


def _check_further_phone(prints: KeyThumbprints, kind: str, record: CellRecord) -> None:
    if kind != "enrol" or len({prints.approval, prints.request, prints.unlock}) != THREE_KEYS:
        raise RequestRefused("an ask to enrol a further phone names its three keys")
    _check_can_approve(record)


def _check_can_approve(record: CellRecord) -> None:
    if not record.devices:
        raise RecordRefused("no phone is paired with the cell")


def _certificate_request_item(request: OpenTransaction, record: CellRecord) -> Item:
    if record.confirmed:
        raise RecordRefused("the cell has its certificate already")
    if not open_methods(record, kind=request.kind, fields=request.fields):
        raise RecordRefused("no phone is paired with the cell, and no code may stand for one")
    shown = (request.fields.get("ca"), request.fields.get("algorithm"), request.hash_alg)
    if shown != (request.rp.name, record.alg, "SHA-256"):
        raise RequestRefused("a certificate request shows its authority and its key's algorithm")
    try:
        if request.fields.get("name") != readable_name(registered_subject(request.fields, record)):
            raise RequestRefused("a certificate request shows the whole registered name")
        return request_item(request.fields, record)
    except MalformedMessage as error:
        raise RecordRefused(str(error)) from error


def _items_to_sign(request: OpenTransaction, record: CellRecord) -> tuple[Item, ...]:
    if not record.confirmed:
        raise RecordRefused("the cell has no certificate yet")
    if not request.items:
        raise RequestRefused("an ask to sign has a hash")
    if len(request.items) > record.policy.caps.multisign:
        raise TooManySignatures(f"at most {record.policy.caps.multisign} hashes for one approval")
    if len({item.hash for item in request.items}) != len(request.items):
        raise RequestRefused("a hash stands twice")
    hash_algorithm = _hash_algorithm(request.hash_alg, record)
    if any(len(item.hash) != DIGEST_BYTES[hash_algorithm] for item in request.items):
        raise RequestRefused(f"a hash that is not of {hash_algorithm}'s length")
    kind = KINDS.get(str(request.fields.get("type")))
    if kind is None or kind.ask != "sign":
        raise RequestRefused("type: is no kind that a relying party may ask")
    return tuple(
        Item(label=item.label, type="dtbsr", hash=Octets(item.hash)) for item in request.items
    )


def _hash_algorithm(unverified: str | None, record: CellRecord) -> HashAlgorithm:
    try:
        hash_algorithm = HashAlgorithm(str(unverified))
    except ValueError as error:
        raise RequestRefused("hash_alg is not offered") from error
    if hash_algorithm not in HASHES[record.alg]:
        raise RequestRefused(f"{record.alg} does not sign {hash_algorithm}")
    return hash_algorithm
