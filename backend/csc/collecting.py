"""What the signer approved is collected (CSC API 2.0, 11.10)."""

from backend.access.tokens import CallingParty
from backend.algorithms import KeyAlgorithm
from backend.csc.algorithms import HASH_NAMES, Signing, key_oids
from backend.csc.callers import own_sad
from backend.csc.calls import SignCall, check_signer, credential, credential_id
from backend.csc.uses import CscUses
from backend.errors import (
    AlgorithmUnfit,
    AuthorizationExpired,
    AuthorizationInvalid,
    RequestRefused,
    TransactionOver,
)
from backend.model.tables import TransactionState
from backend.signing.release import Collection, Collector


def collect(
    uses: CscUses, party: CallingParty, call: SignCall, signing: Signing
) -> tuple[bytes, ...]:
    """Collect signatures, in the order of the hashes.

    Raises:
        NotFound: there is no such credential.
        RequestRefused: the algorithm is not the key's.
        AuthorizationInvalid: the SAD is not for this, or its time is over.
        TransactionOver: the signer's approval does not count any more.
    """
    check_signer(uses, party, call.credential_id)
    collection = Collection(
        relying_party=Collector(id=party.id, client_id=party.client_id),
        csc_sad=call.csc_sad or own_sad(party),
        credential=credential_id(call.credential_id),
        algorithms=frozenset(each for each in KeyAlgorithm if call.sign_oid in key_oids(each)),
        hashes=call.hashes,
        hash_alg=HASH_NAMES[signing.hash_algorithm],
        scheme=signing.scheme,
        messages=call.messages,
    )
    try:
        return uses.release(uses.session(), collection)
    except AlgorithmUnfit as error:
        raise RequestRefused(f"Invalid parameter signAlgo: {error}") from error
    except (AuthorizationInvalid, RequestRefused):
        # Of two things that are wrong the specification names the other one first.
        known = credential(uses, party, call.credential_id)
        if call.sign_oid not in key_oids(known.algorithm):
            words = f"Invalid parameter signAlgo: {known.algorithm} has another"
            raise RequestRefused(words) from None
        raise
    except TransactionOver as over:
        if over.state == TransactionState.EXPIRED:
            raise AuthorizationExpired("the time to collect is over") from over
        raise
