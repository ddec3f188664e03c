"""All tables. Rows are a memory, not an authority: no decision to sign trusts any of them.

What the SAM believes comes in signed messages (asks, approvals, records), which these rows only
keep; the constraints here repeat the invariants for whoever writes a wrong query.
"""

from backend.model.amendments import SEED_ROWS as SEED_ROWS
from backend.model.amendments import Amendment as Amendment
from backend.model.amendments import HotpSeed as HotpSeed
from backend.model.amendments import SeedRow as SeedRow
from backend.model.amendments import TotpSeed as TotpSeed
from backend.model.cells import Cell as Cell
from backend.model.cells import Lock as Lock
from backend.model.cells import Record as Record
from backend.model.limits import (
    AskingRate as AskingRate,
)
from backend.model.limits import (
    StoppedParty as StoppedParty,
)
from backend.model.limits import (
    WakePace as WakePace,
)
from backend.model.oauth import (
    Authorization as Authorization,
)
from backend.model.oauth import (
    BrowserSession as BrowserSession,
)
from backend.model.oauth import (
    KnownBrowser as KnownBrowser,
)
from backend.model.oauth import (
    RefreshToken as RefreshToken,
)
from backend.model.oauth import (
    UsedId as UsedId,
)
from backend.model.outbox import OutboxMessage as OutboxMessage
from backend.model.outbox import SmsBudget as SmsBudget
from backend.model.outbox import SmsPart as SmsPart
from backend.model.people import (
    AccessToken as AccessToken,
)
from backend.model.people import (
    ForgottenPassword as ForgottenPassword,
)
from backend.model.people import (
    Freeze as Freeze,
)
from backend.model.people import (
    RelyingParty as RelyingParty,
)
from backend.model.people import (
    Signer as Signer,
)
from backend.model.phones import (
    Device as Device,
)
from backend.model.phones import (
    Enrolment as Enrolment,
)
from backend.model.phones import (
    FurtherPhone as FurtherPhone,
)
from backend.model.phones import (
    Pairing as Pairing,
)
from backend.model.phones import (
    PairingState as PairingState,
)
from backend.model.phones import (
    PushSubscription as PushSubscription,
)
from backend.model.phones import (
    RequestProof as RequestProof,
)
from backend.model.telling import (
    changes as changes,
)
from backend.model.transactions import (
    CERTIFICATE_REQUEST as CERTIFICATE_REQUEST,
)
from backend.model.transactions import (
    FURTHER as FURTHER,
)
from backend.model.transactions import (
    MOVES as MOVES,
)
from backend.model.transactions import (
    Approval as Approval,
)
from backend.model.transactions import (
    AuthorisedHash as AuthorisedHash,
)
from backend.model.transactions import (
    Receipt as Receipt,
)
from backend.model.transactions import (
    Refusal as Refusal,
)
from backend.model.transactions import (
    Signature as Signature,
)
from backend.model.transactions import (
    Transaction as Transaction,
)
from backend.model.transactions import (
    TransactionState as TransactionState,
)
from backend.model.webhooks import Webhook as Webhook
