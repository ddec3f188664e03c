"""All tables. Rows are a memory, not an authority: no decision to sign trusts any of them.

What the SAM believes comes in signed messages (asks, approvals, records), which these rows only
keep; the constraints here repeat the invariants for whoever writes a wrong query.
"""

from backend.model.cells import Cell as Cell, Lock as Lock, Record as Record
from backend.model.outbox import OutboxMessage as OutboxMessage
from backend.model.people import (
    AccessToken as AccessToken,
    Freeze as Freeze,
    RelyingParty as RelyingParty,
    Signer as Signer,
)
from backend.model.phones import (
    Device as Device,
    Enrolment as Enrolment,
    Pairing as Pairing,
    PairingState as PairingState,
    PushSubscription as PushSubscription,
    RequestProof as RequestProof,
)
from backend.model.transactions import (
    MOVES as MOVES,
    Approval as Approval,
    AuthorisedHash as AuthorisedHash,
    Receipt as Receipt,
    Refusal as Refusal,
    Signature as Signature,
    Transaction as Transaction,
    TransactionState as TransactionState,
)
