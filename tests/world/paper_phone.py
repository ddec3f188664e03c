"""A phone without a network: it makes the messages, the test carries them.

The messages are the reference client's (``backend.virtual_phone``), written from the protocol page
and not from our parser; each step can be told to lie.
"""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from backend.protocol.jose import PublicJwk, open_seal
from backend.protocol.locks import (
    envelope_key,
    envelope_label,
    pairing_id,
    split_envelope_plaintext,
    unlock_raw,
)
from backend.virtual_phone import answers, authenticator
from backend.virtual_phone.asks import SignedAsk, read_ask
from backend.virtual_phone.encoding import b64u
from backend.virtual_phone.jose import Jwk, jwk_of, new_key
from backend.virtual_phone.phone_keys import OpenKeys, new_keys


def read(ask: str, ks: PublicJwk) -> SignedAsk:
    """Read an ask as the reference client does, under the service's KS."""
    return read_ask(ask, ks=Jwk(kty="EC", crv="P-256", x=b64u(ks.x), y=b64u(ks.y)))


def secret_in_envelope(secret: bytes, lock: str, cell: UUID) -> bytes:
    """The cell's secret in an envelope's lock."""
    opened = unlock_raw(
        lock, key=envelope_key(secret), label=envelope_label(cell, pairing_id(secret))
    )
    return split_envelope_plaintext(opened)[0]


@dataclass(kw_only=True)
class PaperPhone:
    """Three keys, and a passkey once it has enrolled as a browser."""

    keys: OpenKeys = field(default_factory=new_keys)
    passkey: authenticator.Passkey | None = None
    browser: answers.PhoneKind = "pwa"
    """What it calls itself where it has a passkey."""

    @property
    def kid(self) -> bytes:
        """Thumbprint of the approval key."""
        return jwk_of(self.keys.approval).thumbprint()

    def secret_in_lock(self, lock: str) -> bytes:
        """The cell's secret in this phone's lock."""
        return open_seal(lock, self.keys.unlock)

    def seal(
        self, cell_secret: bytes, ask: SignedAsk, *, approval_key: bytes | None = None
    ) -> answers.Sealed:
        """Seal to the ask's transaction key."""
        return answers.seal_secret(
            cell_secret,
            sam=ask.ask.sam,
            ephemeral=new_key(),
            approval_key=approval_key or self.kid,
            tx_hash=ask.tx_hash,
        )

    def enrol(
        self, ask: SignedAsk, cell_secret: bytes, *, app: str | None = None
    ) -> tuple[str, str]:
        """Enrolment and sealed; with ``app`` it is a browser there, with a passkey."""
        sealed = self.seal(cell_secret, ask)
        webauthn = None if app is None else self._new_passkey(ask, sealed.epk, app)
        enrolment = answers.enrolment(
            key=self.keys.approval,
            tx_hash=ask.tx_hash,
            keys=self.keys.public(),
            kind="virtual" if app is None else self.browser,
            sealed=sealed,
            webauthn=webauthn,
        )
        return enrolment, sealed.compact

    def _new_passkey(self, ask: SignedAsk, epk: bytes | None, app: str) -> dict[str, object]:
        challenge = answers.enrolment_challenge(
            tx_hash=ask.tx_hash, keys=self.keys.public(), epk=epk
        )
        self.passkey, registration = authenticator.create(app=app, challenge=challenge)
        assertion, _ = authenticator.get(self.passkey, challenge=challenge, salt=bytes(32))
        return {
            "registration": msgspec.to_builtins(registration),
            "assertion": msgspec.to_builtins(assertion),
        }

    def enrol_without_secret(self, ask: SignedAsk, *, app: str | None = None) -> str:
        """An enrolment where another phone, or the password, brings the secret."""
        return answers.enrolment(
            key=self.keys.approval,
            tx_hash=ask.tx_hash,
            keys=self.keys.public(),
            kind="virtual" if app is None else self.browser,
            sealed=None,
            webauthn=None if app is None else self._new_passkey(ask, None, app),
        )

    def assertion(self, ask: SignedAsk, sealed: answers.Sealed) -> dict[str, Any] | None:
        """The passkey's assertion for an approval."""
        if self.passkey is None:
            return None
        challenge = answers.approval_challenge(tx_hash=ask.tx_hash, epk=sealed.epk)
        assertion, _ = authenticator.get(self.passkey, challenge=challenge, salt=bytes(32))
        members: dict[str, Any] = msgspec.to_builtins(assertion)
        return members

    def approve(
        self,
        ask: SignedAsk,
        cell_secret: bytes,
        *,
        sealed: answers.Sealed | None = None,
        key: ec.EllipticCurvePrivateKey | None = None,
        number: str | None = None,
    ) -> tuple[str, str]:
        """Approval and sealed; ``sealed`` and ``key`` may be another's."""
        sealed = sealed or self.seal(cell_secret, ask)
        approval = answers.approval(
            key=key or self.keys.approval,
            tx=ask.ask.jti,
            tx_hash=ask.tx_hash,
            sealed=sealed,
            number=number,
            webauthn=self.assertion(ask, sealed),
            now=ask.ask.iat,
            jti=uuid4(),
        )
        return approval, sealed.compact

    def refuse(self, ask: SignedAsk, *, decision: answers.Decision = "reject") -> str:
        """A refusal."""
        return answers.refusal(
            key=self.keys.request,
            tx=ask.ask.jti,
            tx_hash=ask.tx_hash,
            decision=decision,
            now=ask.ask.iat,
            jti=uuid4(),
        )
