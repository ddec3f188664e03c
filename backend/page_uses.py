"""What the signer's own pages may do: use cases, bound to the SAM for ``backend.app``."""

from collections.abc import Callable
from datetime import datetime
from typing import final
from uuid import UUID

import msgspec
from sqlalchemy.orm import Session

from backend.access.phones import ProvenCall
from backend.credentials.tightening import tighten_own
from backend.devices import forgotten, own_password
from backend.devices.enrolment import security_keys
from backend.model.tables import TransactionState
from backend.oauth.uses import (
    AmendingUses,
    CodeUses,
    ForgottenUses,
    PasswordUses,
    SecurityKeyUses,
    TypedAmendment,
    TypedCode,
)
from backend.protocol.approval import CodeMethod, SeedMethod
from backend.protocol.public_keys import PublicKeys
from backend.sam.connect import Capabilities
from backend.settings import Settings
from backend.signers.sign_in import SignedIn, SignIn
from backend.signing import amendment
from backend.signing.approval_by_code import WaysOut, approve_by_code, send_sms, ways_out


@final
class Bound(msgspec.Struct, frozen=True, kw_only=True):
    """What they are bound to."""

    sam: Capabilities
    settings: Settings
    clock: Callable[[], datetime]
    public_keys: PublicKeys


def password_uses(bound: Bound) -> PasswordUses:
    """Bind changes of passwords."""

    def change(session: Session, typed: SignIn, new: str) -> SignedIn:
        return own_password.change_own_password(
            session, bound.sam, typed, new_password=new, now=bound.clock()
        )

    def change_first(session: Session, typed: SignIn, new: str) -> None:
        ks = bound.public_keys.ks
        own_password.change_first_password(
            session, bound.sam, typed, new_password=new, ks=ks, now=bound.clock()
        )

    return PasswordUses(change=change, change_first=change_first)


def security_key_uses(bound: Bound) -> SecurityKeyUses:
    """Bind further passkeys of phones."""

    def add(session: Session, call: ProvenCall, message: str) -> None:
        security_keys.add_security_key(
            session, bound.sam, call=call, message=message, now=bound.clock()
        )

    def remove(session: Session, call: ProvenCall, credential: bytes) -> None:
        security_keys.remove_security_key(
            session, bound.sam, call=call, credential=credential, now=bound.clock()
        )

    return SecurityKeyUses(add=add, remove=remove)


def code_uses(bound: Bound) -> CodeUses:
    """Bind approval by code."""

    def ways(session: Session, transaction: UUID, signer: UUID) -> WaysOut:
        return ways_out(
            session,
            transaction=transaction,
            signer=signer,
            now=bound.clock(),
            public_keys=bound.public_keys,
        )

    def send(session: Session, transaction: UUID, signer: UUID) -> datetime:
        return send_sms(
            session, bound.sam, transaction=transaction, signer=signer, now=bound.clock()
        )

    def approve(session: Session, typed: TypedCode) -> TransactionState:
        given = msgspec.structs.asdict(typed)
        return approve_by_code(session, bound.sam, **given, now=bound.clock())

    return CodeUses(ways_out=ways, send_sms=send, approve=approve)


def forgotten_uses(bound: Bound) -> ForgottenUses:
    """Bind what follows from a forgotten password."""

    def ask(session: Session, login: str) -> forgotten.AskedPassword:
        return forgotten.ask_new_password(session, login=login, now=bound.clock())

    def look(session: Session, asked: UUID, secret: str) -> forgotten.Verdict:
        return forgotten.look(session, asked=asked, secret=secret, now=bound.clock())

    def set_new(session: Session, asked: UUID, secret: str, new: str) -> None:
        forgotten.set_new_password(
            session,
            bound.sam,
            asked=asked,
            secret=secret,
            unverified_new_password=new,
            now=bound.clock(),
        )

    return ForgottenUses(ask=ask, look=look, set=set_new)


def amending_uses(bound: Bound) -> AmendingUses:
    """Bind how a signer lets codes stand for the phone."""

    def begin(session: Session, signer: UUID, method: SeedMethod) -> amendment.NewAuthenticator:
        return amendment.begin_authenticator(
            session,
            bound.sam,
            signer=signer,
            method=method,
            settings=bound.settings,
            now=bound.clock(),
        )

    def ask(session: Session, typed: TypedAmendment) -> amendment.AskedAmendment:
        given = msgspec.structs.asdict(typed)
        return amendment.ask_amendment(
            session, bound.sam, **given, settings=bound.settings, now=bound.clock()
        )

    def amended(session: Session, transaction: UUID, signer: UUID) -> amendment.Amending:
        return amendment.amended(session, transaction=transaction, signer=signer, now=bound.clock())

    def withdraw(session: Session, signer: UUID, method: CodeMethod) -> bool:
        return tighten_own(session, bound.sam, signer=signer, method=method, now=bound.clock())

    return AmendingUses(begin=begin, ask=ask, amended=amended, withdraw=withdraw)
