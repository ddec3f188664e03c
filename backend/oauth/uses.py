"""What the authorisation server's routes work with: use cases, bound by ``backend.app`` to the SAM.

So no route holds a SAM object, and none can ask it anything else.
"""

from collections.abc import Callable
from datetime import datetime
from typing import final
from uuid import UUID

import msgspec
from sqlalchemy.orm import Session

from backend.access.allotments import Allotments
from backend.access.buckets import Buckets
from backend.access.doorman import Doorman
from backend.access.phones import ProvenCall
from backend.devices.enrolment.further import AskedFurther
from backend.devices.enrolment.sms_code import CodeSent
from backend.devices.enrolment.ticket import SignIn, Ticket
from backend.devices.forgotten import AskedPassword, Verdict
from backend.model.tables import PairingState, TransactionState
from backend.protocol.approval import CodeMethod, SeedMethod
from backend.protocol.ask import KeyThumbprints
from backend.protocol.public_keys import PublicKeys
from backend.settings import Settings
from backend.signers.sign_in import SignedIn
from backend.signers.sign_in import SignIn as PasswordSignIn
from backend.signing.amendment import Amending, AskedAmendment, NewAuthenticator
from backend.signing.approval_by_code import WaysOut
from backend.signing.request import RequestedTransaction, SignatureOrder


@final
class TypedCode(msgspec.Struct, frozen=True, kw_only=True):
    """What a signer typed in a transaction's page."""

    transaction: UUID
    signer: UUID
    method: CodeMethod
    unverified_password: str
    unverified_code: str


@final
class CodeUses(msgspec.Struct, frozen=True, kw_only=True):
    """Approval by password and code: :mod:`backend.signing.approval_by_code`."""

    ways_out: Callable[[Session, UUID, UUID], WaysOut]
    """Of a transaction and its signer."""
    send_sms: Callable[[Session, UUID, UUID], datetime]
    approve: Callable[[Session, TypedCode], TransactionState]


@final
class PasswordUses(msgspec.Struct, frozen=True, kw_only=True):
    """By what was typed, and the new password: :mod:`backend.devices.own_password`."""

    change: Callable[[Session, PasswordSignIn, str], SignedIn]
    change_first: Callable[[Session, PasswordSignIn, str], None]


@final
class TypedAmendment(msgspec.Struct, frozen=True, kw_only=True):
    """Which code a signer wants to stand for the phone."""

    signer: UUID
    method: CodeMethod
    unverified_password: str
    unverified_code: str | None


@final
class AmendingUses(msgspec.Struct, frozen=True, kw_only=True):
    """Codes instead of the phone: :mod:`backend.signing.amendment`."""

    begin: Callable[[Session, UUID, SeedMethod], NewAuthenticator]
    ask: Callable[[Session, TypedAmendment], AskedAmendment]
    amended: Callable[[Session, UUID, UUID], Amending]
    """By transaction and signer."""
    withdraw: Callable[[Session, UUID, CodeMethod], bool]
    """By signer and method: :mod:`backend.credentials.tightening`."""


@final
class ForgottenUses(msgspec.Struct, frozen=True, kw_only=True):
    """A forgotten password: :mod:`backend.devices.forgotten`."""

    ask: Callable[[Session, str], AskedPassword]
    """By login."""
    look: Callable[[Session, UUID, str], Verdict]
    """By id and secret."""
    set: Callable[[Session, UUID, str, str], None]
    """By id and secret; the unverified new password."""


@final
class SecurityKeyUses(msgspec.Struct, frozen=True, kw_only=True):
    """Further passkeys of a phone: :mod:`backend.devices.enrolment.security_keys`."""

    add: Callable[[Session, ProvenCall, str], None]
    remove: Callable[[Session, ProvenCall, bytes], None]
    """By the credential's id."""


@final
class OauthUses(msgspec.Struct, frozen=True, kw_only=True):
    """One application's."""

    settings: Settings
    clock: Callable[[], datetime]
    session: Callable[[], Session]
    """Gives the session of the web request, which the application ends."""
    open_ticket: Callable[[Session, SignIn], Ticket]
    """Pairing, step 1."""
    send_code: Callable[[Session, str], CodeSent]
    """Pairing, step 3, for the holder of a ticket."""
    confirm_by_code: Callable[[Session, str, str, str | None], PairingState]
    """Pairing, step 3, for the holder of a ticket, by the code that came; and by the password."""
    ask_further: Callable[[Session, ProvenCall, KeyThumbprints], AskedFurther]
    """A paired phone wants to add the phone of these keys."""
    security_keys: SecurityKeyUses
    public_keys: PublicKeys
    sign_in: Callable[[Session, PasswordSignIn], SignedIn]
    """Login and password; see :func:`backend.signers.sign_in.sign_in`."""
    passwords: PasswordUses
    request: Callable[[Session, SignatureOrder], RequestedTransaction]
    """See :func:`backend.signing.request.request_signatures`."""
    codes: CodeUses
    forgotten: ForgottenUses
    amending: AmendingUses
    doorman: Doorman
    """Looks less often at who fails to sign in."""
    calls: Allotments
    """How often each relying party may push a request, or call else."""
    tokens: Allotments
    """How often each relying party gets a token."""
    strangers: Buckets
    """How many authorisations this process opens for each address."""
