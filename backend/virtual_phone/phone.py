"""The phone as an object: a state file, a way to the servers, a clock.

Everything it does is in the modules beside it; this is the handle that the command, the demo and
the journeys hold. Checks and messages are pure functions (``asks``, ``answers``, ``transactions``),
so a test can put a false message together and send it by :meth:`VirtualPhone.calls`.
"""

import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from backend.virtual_phone import further, pairing, recovery, security_keys, transactions
from backend.virtual_phone.answers import Decision, PhoneKind
from backend.virtual_phone.calls import LONGEST_WAIT_SECONDS, PendingList, PhoneCalls
from backend.virtual_phone.encoding import b64u
from backend.virtual_phone.errors import MessageRefused, NotPaired
from backend.virtual_phone.invitation import Addresses, read_further_phone
from backend.virtual_phone.jose import jwk_of
from backend.virtual_phone.keystore import Device, Keystore, Subscription
from backend.virtual_phone.pairing import Applicant, Progress
from backend.virtual_phone.phone_keys import approval_key, request_key
from backend.virtual_phone.push import PushMessage, PushService, decrypt, public_key
from backend.virtual_phone.transactions import Consent, Shown
from backend.virtual_phone.transport import Caller, Clock, Http, RequestsHttp, Watch
from backend.virtual_phone.waiting import WaitCalls

OPERATOR_ROUNDS = 450
"""As many looks at the pairing as fit into a ticket's life of 15 minutes."""


class VirtualPhone:
    """One phone of one signer."""

    def __init__(
        self,
        state: Path,
        *,
        http: Http | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        watch: Watch | None = None,
    ) -> None:
        """Use the state file ``state``, which need not exist; show all traffic to ``watch``."""
        self.keystore = Keystore(state)
        self._sleep = sleep
        line = http or RequestsHttp()
        self._caller = Caller(line, clock=Clock(clock), sleep=sleep, watch=watch)
        self.wait_calls = WaitCalls(line, sleep=sleep, watch=watch)

    # --- pairing ------------------------------------------------------------

    def pair_start(self, applicant: Applicant, *, kind: PhoneKind = "virtual") -> Progress:
        """Prove the password, open the envelope's lock, hand in the enrolment."""
        return pairing.begin(self.keystore, self._caller, applicant=applicant, kind=kind)

    def send_code(self) -> int:
        """Have the pairing code sent to the signer's number; how many tries are left."""
        return pairing.send_code(self.keystore, self._caller)

    def pair_confirm(
        self, code: str | None, *, password: str | None = None, rounds: int = 1
    ) -> bool:
        """Hand in the pairing code; whether the phone is paired by it.

        Where an operator confirms (without a code, or beside it) ask in up to ``rounds`` rounds.
        Where no recovery code was used for an existing cell, ``password`` brings its secret.
        """
        return pairing.confirm(
            self.keystore,
            self._caller,
            code=code,
            password=password,
            sleep=self._sleep,
            rounds=rounds,
        )

    def recovery_code(self) -> str | None:
        """Hand in the recovery lock, then give its code: once, ``None`` ever after."""
        return pairing.upload_recovery_lock(self.keystore, self._caller)

    def new_recovery_code(self) -> str:
        """Make another recovery code and hand in its lock; the one before opens nothing more."""
        return recovery.make_code(self.device(), self.calls())

    # --- further phones -----------------------------------------------------

    def show_code(self, addresses: Addresses, *, kind: PhoneKind = "virtual") -> str:
        """Make keys; what to show on the screen so that a paired phone adds this one."""
        return further.begin(self.keystore, addresses=addresses, kind=kind)

    def wait_to_be_added(self, *, rounds: int = further.ROUNDS) -> bool:
        """Go on until a paired phone has added this one; whether it has."""
        return further.wait(self.keystore, self._caller, sleep=self._sleep, rounds=rounds)

    def look_whether_added(self) -> further.Seen:
        """Go on as far as it goes now with being added."""
        return further.look(self.keystore, self._caller)

    def ask_to_add(self, code: str) -> Shown:
        """Ask to add the phone that shows ``code``; approve it with this code as ``Consent``."""
        device = self.device()
        server = device.authorization_server
        return self.show(
            self.calls().ask_further(read_further_phone(code), authorization_server=server)
        )

    # --- security keys ------------------------------------------------------

    def add_security_key(self) -> str:
        """Add a further passkey, on a token of its own; its id."""
        return security_keys.add(self.keystore, self.calls(), device=self.device())

    def remove_security_key(self, credential: str) -> None:
        """Remove one, by its id."""
        security_keys.remove(self.keystore, self.calls(), credential, device=self.device())

    # --- transactions -------------------------------------------------------

    def pending(self, *, version: str | int | None = None, wait_seconds: int = 0) -> PendingList:
        """What waits for an answer; held back until it is another ``version``."""
        return self.calls().pending(version=version, wait_seconds=wait_seconds)

    def show(self, transaction: str) -> Shown:
        """Fetch a transaction and check it."""
        return transactions.fetch(
            self.keystore, self.calls(), device=self.device(), transaction=transaction
        )

    def approve(self, shown: Shown, *, consent: Consent | None = None) -> str:
        """Approve what was shown, by the bytes made before if there are any; the new state."""
        made = transactions.stored_approval(self.keystore.load(), shown)
        if made is None:
            made = transactions.make_approval(
                shown, device=self.device(), consent=consent or Consent(), now=self.now()
            )
        return transactions.send_approval(
            self.keystore, self.calls(), shown=shown, approval=made, now=self.now()
        )

    def reject(self, shown: Shown, *, decision: Decision = "reject") -> str:
        """Refuse what was shown; the new state."""
        refusal = transactions.make_refusal(
            shown, device=self.device(), decision=decision, now=self.now()
        )
        return self.calls().refuse(shown.id, refusal=refusal)

    # --- push ---------------------------------------------------------------

    def subscribe(self, service: PushService) -> Subscription:
        """Subscribe at a push service and tell the mobile API; the newest subscription stands."""
        calls = self.calls()
        made = service.subscribe(push_key=calls.info().push_key)
        calls.subscribe(endpoint=made.endpoint, p256dh=public_key(made), auth=made.auth)
        self.keystore.change(lambda state: msgspec.structs.replace(state, subscription=made))
        return made

    def wait_for_push(
        self, service: PushService, *, wait_seconds: int = LONGEST_WAIT_SECONDS
    ) -> PushMessage | None:
        """The next push message, acknowledged; ``None`` if none came that this phone can read."""
        subscription = self.keystore.load().subscription
        if subscription is None:
            raise NotPaired("this phone has no push subscription")
        delivered = service.next(subscription, wait_seconds=wait_seconds)
        if delivered is None:
            return None
        try:
            message = decrypt(subscription, delivered.content)
        except MessageRefused:
            message = None
        service.acknowledge(subscription, delivered)
        return message

    # --- what it stands on --------------------------------------------------

    def device(self) -> Device:
        """The paired phone.

        Raises:
            NotPaired: it is not.
        """
        device = self.keystore.load().device
        if device is None:
            raise NotPaired("this phone is not paired; begin with: cellkey phone pair")
        return device

    def kid(self) -> str:
        """Name of this phone in the cell's record: thumbprint of its approval key."""
        return b64u(jwk_of(approval_key(self.device().keys)).thumbprint())

    def calls(self) -> PhoneCalls:
        """The calls of section 8.3, proved by this phone's request key."""
        device = self.device()
        return PhoneCalls(
            self._caller, mobile_api=device.mobile_api, request_key=request_key(device.keys)
        )

    def now(self) -> int:
        """The service's time."""
        return self._caller.clock.now()
