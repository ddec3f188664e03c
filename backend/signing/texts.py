"""The SMS of a transaction, between the SAM that writes it and the outbox that keeps it.

1. The number is handed to the SAM only for a cell whose methods name SMS; the SAM compares it with
   the record, and writes nothing if the record says otherwise.
2. A request that nobody could approve, by phone or by code, is refused. A code is typed on our
   page: what is asked without one a phone alone can approve, and no text is written for it.
3. Where texts cannot be sent none is written, and so nobody is offered one.
"""

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Row

from backend.delivery.outbox import SealedText
from backend.errors import CredentialDisabled, RequestRefused
from backend.sam.transactions import CodeSms, OpenedTransaction, SmsAddress
from backend.settings import Settings

APP_ALONE: Final = "app"
"""Of ``cells.methods``: nothing but a phone approves."""
BY_APP: Final = frozenset({"password+totp", "password+hotp"})
"""Methods that need neither phone nor text."""
NOBODY_ANSWERS: Final = "no phone is left to approve, and no code may stand for one"


def address_of(cell: Row[*tuple[Any, ...]], settings: Settings) -> SmsAddress | None:
    """Where a text would go: rules 1 and 3."""
    if cell.number is None or cell.methods == APP_ALONE or not settings.sends_sms:
        return None
    return SmsAddress(number=cell.number, subject=cell.subject)


def refuse_unanswerable(cell: Row[*tuple[Any, ...]], *, has_page: bool) -> None:
    """Keep rule 2 by the rows alone, before the SAM has any work of it.

    Raises:
        CredentialDisabled: no phone is left, and no code may stand for one.
        RequestRefused: a code may, and there is no page to type it on.
    """
    if cell.has_phone:
        return
    if cell.methods == APP_ALONE:
        raise CredentialDisabled(NOBODY_ANSWERS)
    if not has_page:
        raise RequestRefused(
            "oauth2code: the signer has no phone, and types a code on our page alone"
        )


def check_answerable(cell: Row[*tuple[Any, ...]], opened: OpenedTransaction) -> None:
    """Keep rule 2 by what the SAM said.

    Raises:
        CredentialDisabled: no phone is left, and no code may stand for one.
    """
    if not cell.has_phone and opened.sms is None and not BY_APP & set(opened.methods):
        raise CredentialDisabled(NOBODY_ANSWERS)


def text_of(sms: CodeSms) -> SealedText:
    """What the outbox keeps."""
    return SealedText(
        sealed_sms=sms.sealed,
        due_at=datetime.fromtimestamp(sms.due_at, UTC),
        expires_at=datetime.fromtimestamp(sms.valid_until, UTC),
    )


def times_of(sms: CodeSms | None) -> dict[str, object]:
    """What the transaction's row keeps."""
    text = None if sms is None else text_of(sms)
    return {
        "sms_due_at": None if text is None else text.due_at,
        "sms_valid_until": None if text is None else text.expires_at,
    }
