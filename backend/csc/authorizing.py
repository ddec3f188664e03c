"""The signer is asked, and how the signer answered (CSC API 2.0, 11.6 to 11.9)."""

from backend.access.tokens import CallingParty
from backend.algorithms import HashAlgorithm
from backend.csc.algorithms import HASH_NAMES, hash_of_oid
from backend.csc.answers import APP
from backend.csc.calls import (
    AuthorizeCall,
    ChallengeCall,
    ExtendCall,
    check_signer,
    credential,
    credential_id,
    is_explicit,
)
from backend.csc.uses import CscUses
from backend.errors import (
    AuthorizationExpired,
    AuthorizationInvalid,
    CredentialDisabled,
    HandleInvalid,
    MalformedMessage,
    RequestRefused,
    SignerFrozen,
    TooManySignatures,
    TransactionOver,
)
from backend.model.tables import TransactionState
from backend.protocol.encoding import unb64u
from backend.signing.authorization import Authorization, Waiting, authorization
from backend.signing.extension import Extension, extend
from backend.signing.hashes import MOST_HASHES, check_hashes
from backend.signing.request import RequestedTransaction, Requester, SignatureOrder


def ask_signer(
    uses: CscUses, party: CallingParty, call: AuthorizeCall, hash_algorithm: HashAlgorithm
) -> RequestedTransaction:
    """Ask the signer.

    Raises:
        NotFound: there is no such credential.
        RequestRefused: it is authorised by OAuth alone, or disabled; or counts, labels or hashes do
            not fit.
        SummaryRefused: the typed transaction cannot be shown.
        TooManyRequests: a limit of ``signing/limits.py`` is reached.
        PartyStopped: the signer said "not me".
    """
    check_signer(uses, party, call.credential_id)
    if party.asks_number:
        raise RequestRefused("oauth2code: our page shows the number that the phone asks for")
    if call.count > len(call.hashes):
        most = credential(uses, party, call.credential_id).multisign
        if call.count > most:
            raise TooManySignatures(f"more than {most}")
    _check_counts(call)
    order = SignatureOrder(
        relying_party=Requester(
            id=party.id,
            client_id=party.client_id,
            name=party.name,
            asks_number=party.asks_number,
        ),
        credential=credential_id(call.credential_id),
        hashes=call.hashes,
        hash_alg=HASH_NAMES[hash_algorithm],
        labels=None if call.labels is None else tuple(call.labels),
        fields=call.transaction,
        description=call.description,
        lang=None,
        has_page=False,
    )
    try:
        return uses.request(uses.session(), order)
    except SignerFrozen as error:
        raise CredentialDisabled("the signer's access is locked") from error


def check_handle(
    uses: CscUses, party: CallingParty, unverified_handle: str
) -> Authorization | Waiting:
    """How the signer answered.

    Raises:
        HandleInvalid: the handle is not this relying party's, nor of who signed in for its token.
        TransactionOver: there is no approval, and will be none.
        SignerFrozen: the signer's access is locked.
    """
    try:
        return authorization(
            uses.session(),
            handle=unb64u(unverified_handle),
            relying_party=party.id,
            now=uses.clock(),
            signer=party.signer,
        )
    except (AuthorizationInvalid, MalformedMessage) as error:
        raise HandleInvalid("the handle is not known") from error


def _check_counts(call: AuthorizeCall) -> None:
    """CSC API 11.6: hashes and labels as many as signatures."""
    if call.count < 1:
        raise RequestRefused("Invalid value for parameter numSignatures")
    if call.count > MOST_HASHES:
        raise TooManySignatures(f"more than {MOST_HASHES}")
    if call.count != len(call.hashes):
        raise RequestRefused("numSignatures is not the number of hashes")
    if call.labels is not None and call.count != len(call.labels):
        raise RequestRefused("labels: one for each hash")


def extend_sad(uses: CscUses, party: CallingParty, call: ExtendCall) -> Authorization:
    """Exchange a SAD for another one.

    Raises:
        NotFound: there is no such credential.
        RequestRefused: the hashes do not fit.
        AuthorizationInvalid: the SAD is not for this, its time is over, or all of it is signed.
        TransactionOver: the signer's approval does not count any more.
    """
    if call.hash_oid is not None:
        named = hash_of_oid(call.hash_oid, parameter="hashAlgorithmOID")
        check_hashes(call.hashes, HASH_NAMES[named])
    check_signer(uses, party, call.credential_id)
    extension = Extension(
        relying_party=party.id,
        csc_sad=call.csc_sad,
        credential=credential_id(call.credential_id),
        hashes=call.hashes,
    )
    try:
        return extend(uses.session(), extension, now=uses.clock())
    except AuthorizationInvalid:
        credential(uses, party, call.credential_id)
        raise
    except TransactionOver as over:
        if over.state == TransactionState.EXPIRED:
            raise AuthorizationExpired("the time to collect is over") from over
        raise


def check_challenge(uses: CscUses, party: CallingParty, call: ChallengeCall) -> None:
    """Look whether there is something to get a challenge of: the phone, which gets it by itself.

    Raises:
        NotFound: there is no such credential.
        RequestRefused: it has no such authentication object.
    """
    found = credential(uses, party, call.credential_id)
    if call.object_id != APP or not is_explicit(found, party):
        raise RequestRefused("Invalid parameter authObjectID")
