"""One tree of errors. A name is a fact; what it looks like on the wire is each API's business.

Messages are written for the person who reads them and hold no secret. Mapped to the wire in
``csc/errors.py``, ``oauth/errors.py`` and ``access/problems.py``, nowhere else.
"""

from typing import Literal


class CellkeyError(Exception):
    """Every error that Cellkey raises on purpose."""


# --- bad input ----------------------------------------------------------------


class MalformedMessage(CellkeyError):
    """A message is not of the form that docs/phone-protocol.md gives it."""


class SummaryRefused(CellkeyError):
    """A typed request, or its text, is not fit to be shown to a signer (T-06).

    Attributes:
        field: path of the field that is refused, as ``payee.name``.
    """

    def __init__(self, field: str, reason: str) -> None:
        """Name the field and say what is wrong with it."""
        super().__init__(f"{field}: {reason}")
        self.field = field


class RequestRefused(CellkeyError):
    """A request that could not be fulfilled whatever the state: too many hashes, wrong lengths."""


class TooManySignatures(RequestRefused):
    """More hashes than one approval may cover."""


class AlgorithmUnfit(RequestRefused):
    """The key does not sign by the algorithm that is asked for."""


class CredentialDisabled(RequestRefused):
    """The signer is frozen, or has no phone that could approve."""


class AuthDataRefused(CellkeyError):
    """A relying party handed in what only the signer's phone may give."""


# --- who is calling -----------------------------------------------------------


class Unauthenticated(CellkeyError):
    """The caller did not prove who it is."""


class ProofReplayed(Unauthenticated):
    """A request proof was seen before (T-04)."""


class TokenMissing(Unauthenticated):
    """A relying party brought no bearer token."""


class TokenInvalid(Unauthenticated):
    """A bearer token is unknown, expired or revoked."""


class LoginMissing(Unauthenticated):
    """A relying party that logs in brought no HTTP Basic."""


class LoginFailed(Unauthenticated):
    """Client id or secret is wrong, or this relying party proves itself in another way."""


class DpopRefused(TokenInvalid):
    """A DPoP proof is missing or not valid (RFC 9449)."""


class InsufficientScope(TokenInvalid):
    """The token is good, but not for this call."""


class SessionOver(Unauthenticated):
    """The browser has no session for this page, or it is over."""


class WrongPassword(CellkeyError):
    """Login or password is wrong; which of them is not said (T-17)."""


class PasswordUnfit(CellkeyError):
    """The new password does not keep the rules of ASVS 6.2.

    Attributes:
        rule: which one, for a page that says it in the signer's language.
    """

    def __init__(
        self, message: str, rule: Literal["length", "login", "common", "same"] = "same"
    ) -> None:
        """Say what a fit one would be."""
        super().__init__(message)
        self.rule = rule


class TooManyTries(CellkeyError):
    """The limit of attempts is reached.

    Attributes:
        retry_after_seconds: when the next attempt is heard; ``None`` where there is none.
    """

    def __init__(self, message: str, retry_after_seconds: int | None = None) -> None:
        """Say what was tried too often."""
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class NothingTried(TooManyTries):
    """Another try of the same runs, or too many run at once: the same call may be repeated.

    A caller that lost an answer and asks again meets the try that it began itself.
    """

    retry_after_seconds: int

    def __init__(self, message: str, retry_after_seconds: int = 1) -> None:
        """Say what runs."""
        super().__init__(message, retry_after_seconds)


class TooManyRequests(CellkeyError):
    """Who calls does so more often than it may, or has too much under way.

    Attributes:
        retry_after_seconds: after that time the same call is heard.
    """

    def __init__(self, message: str, retry_after_seconds: int) -> None:
        """Say what there is too much of."""
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


# --- state --------------------------------------------------------------------


class NotFound(CellkeyError):
    """There is nothing of that name for this caller."""


class SignerFrozen(CellkeyError):
    """The signer's access is locked; nothing of theirs goes on until two people lift it."""


class WrongNumber(CellkeyError):
    """The phone named another number than the other screen shows."""


class PartyStopped(CellkeyError):
    """The signer said "not me" to this relying party, and has not allowed it again."""


class TransactionOver(CellkeyError):
    """The transaction is not pending any more.

    Attributes:
        state: what it is now, as ``approved`` or ``expired``.
    """

    def __init__(self, state: str) -> None:
        """Name the state that it is in."""
        super().__init__(f"this request is {state}")
        self.state = state


class NotApproved(CellkeyError):
    """The transaction has no approval yet."""


class AuthorizationInvalid(CellkeyError):
    """The ``csc_sad`` or handle is not valid for this relying party, credential or hash."""


class HandleInvalid(AuthorizationInvalid):
    """The handle is of no transaction of this relying party."""


class AuthorizationExpired(AuthorizationInvalid):
    """The time to collect what the signer approved is over."""


class HashNotAuthorized(AuthorizationInvalid):
    """A hash is not among those that the signer approved."""


class PairingOver(CellkeyError):
    """The envelope was used, is too old, or the pairing was frozen."""


class PairingConflict(CellkeyError):
    """Another phone's keys came for the same envelope (T-02)."""


class NotConfirmed(CellkeyError):
    """The pairing still waits for its code or its operator."""


class AlreadyThere(CellkeyError):
    """Something of that name exists already."""


# --- the SAM ------------------------------------------------------------------


class Refused(CellkeyError):
    """The SAM refused; nothing was opened.

    Attributes:
        rule: number of the rule (docs/phone-protocol.md 7, backend/sam/door.py) that was not kept.
    """

    def __init__(self, rule: int, reason: str) -> None:
        """Name the rule and what was wrong."""
        super().__init__(f"rule {rule}: {reason}")
        self.rule = rule
        self.reason = reason


class DoorRefused(Refused):
    """No signature: a rule of the door was not kept."""


class EnrolmentRefused(Refused):
    """No device: a rule of ``enrol`` was not kept."""


class NewPasswordRefused(Refused):
    """No new password: a rule of ``set_password`` was not kept."""


class SecurityKeyRefused(Refused):
    """No security key: a rule of ``backend/sam/security_keys.py`` was not kept."""


class AmendmentRefused(Refused):
    """No looser policy: a rule of ``backend/sam/amendments.py`` was not kept."""


class CodeRefused(Refused):
    """No approval by code: a rule of ``backend/sam/code_approvals.py`` was not kept."""


class RecordRefused(CellkeyError):
    """A cell record is not ours, or does not allow what is asked."""


class KindRefused(RecordRefused):
    """The cell's policy allows no phones of that kind: no computer, as a rule."""


class WrongCode(CellkeyError):
    """The code is not the one that was sent.

    Attributes:
        tries_left: attempts that remain.
    """

    def __init__(self, tries_left: int) -> None:
        """Say how many attempts remain."""
        super().__init__(f"the code is wrong; {tries_left} tries left")
        self.tries_left = tries_left


class CellUnopened(CellkeyError):
    """The secret or the blob does not open this cell."""


class SamUnavailable(CellkeyError):
    """The SAM does not answer."""


# --- the HSM ------------------------------------------------------------------


class HsmUnavailable(CellkeyError):
    """The HSM does not do its work now."""


class HsmNotReady(HsmUnavailable):
    """The token was not initialised by ``cellkey hsm init``."""


class HourKeyMissing(CellkeyError):
    """The hour's key was never made, or is destroyed: its approvals open nothing any more."""


# --- this process -------------------------------------------------------------


class Overloaded(CellkeyError):
    """This process has as much to do as it can; another, or a later, attempt may succeed."""


# --- sending ------------------------------------------------------------------


class EndpointRefused(CellkeyError):
    """An endpoint is not one that we send to (T-19, T-20)."""


class DeliveryFailed(CellkeyError):
    """A message was not taken; it is tried again.

    Attributes:
        retry_after_seconds: what the service asked for, if it did.
        perhaps_taken: nobody knows whether it, or a part of it, was taken all the same.
    """

    def __init__(
        self,
        reason: str,
        retry_after_seconds: int | None = None,
        *,
        perhaps_taken: bool = False,
    ) -> None:
        """Say what the service answered."""
        super().__init__(reason)
        self.retry_after_seconds = retry_after_seconds
        self.perhaps_taken = perhaps_taken


class NotAnswered(DeliveryFailed):
    """Whoever should take a message was not reached, or did not answer in time and form."""


class SmsRefused(CellkeyError):
    """A text is not one that we send, or that the gateway takes: another attempt is in vain."""


class SubscriptionGone(CellkeyError):
    """The push service does not know the subscription any more (404 or 410)."""


class WebhookUnwanted(CellkeyError):
    """A relying party's server says that it never wants a message (410)."""


class SettingsInvalid(CellkeyError):
    """The environment's settings are not complete, or contradict each other."""


class DatabaseOutdated(CellkeyError):
    """The database is not at the version that this program needs."""
