"""A signer whose phone has our app and a certificate, and a relying party that asks."""

from dataclasses import dataclass, field
from itertools import count
from typing import Any
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives import hashes as primitives
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from sqlalchemy import select

from backend.model.tables import Transaction
from backend.signing.request import RequestedTransaction
from tests.world.authority import Signer
from tests.world.csc_client import CscClient
from tests.world.handset import Handset
from tests.world.installation import Installation
from tests.world.service import Service, hashes

_SEEDS = count()


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A transaction that waits for the phone."""

    shop: CscClient
    id: UUID
    handle: str
    hashes: tuple[bytes, ...]

    @property
    def state(self) -> str:
        """What has become of it."""
        with self.shop.service.sessions() as session:
            return str(session.get_one(Transaction, self.id).state)

    def collect(self) -> list[bytes]:
        """The relying party collects; every signature is valid."""
        made = self.shop.signed(self.shop.csc_sad(self.handle), *self.hashes)
        key = self.shop.certificate().public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        for digest, signature in zip(self.hashes, made, strict=True):
            key.verify(signature, digest, ec.ECDSA(Prehashed(primitives.SHA256())))
        return made


@dataclass(kw_only=True)
class AppStage:
    """Who is on it."""

    installation: Installation
    signer: Signer
    handset: Handset
    _shops: dict[str, CscClient] = field(default_factory=dict)

    def shop(self, name: str = "Shop", **changed: Any) -> CscClient:  # noqa: ANN401  # of RegistrationChange
        """The relying party of that name."""
        if name not in self._shops:
            made = self.installation.relying_party(self.signer, name=name, **changed)
            self._shops[name] = made
        return self._shops[name]

    def ask(self, count: int = 1, **members: object) -> Asked:
        """Let the shop ask for so many signatures."""
        return ask(self.shop(), count, **members)


def ask(shop: CscClient, count: int = 1, **members: object) -> Asked:
    """Let a relying party ask for so many signatures over hashes that nobody else has."""
    wanted = hashes(count, seed=f"document {next(_SEEDS)}")
    handle = shop.asked(*wanted, **members)
    with shop.service.sessions() as session:
        query = select(Transaction.id).where(Transaction.cell_id == UUID(shop.credential))
        newest = session.scalars(query.order_by(Transaction.created_at.desc())).first()
    assert newest is not None
    return Asked(shop=shop, id=newest, handle=handle, hashes=wanted)


def ask_with_number(
    service: Service, signer: Signer, count: int = 1, **members: object
) -> RequestedTransaction:
    """Let somebody ask by our page, which shows two digits."""
    seed = next(_SEEDS)
    party = service.add_relying_party(f"screen-{seed}", "Торговая площадка «Восход»")
    return service.ask(
        *hashes(count, seed=f"document {seed}"),
        party=msgspec.structs.replace(party, asks_number=True),
        credential=signer.cell,
        **members,
    )


def a_stage(installation: Installation, handset: Handset) -> AppStage:
    """Register, pair and certify somebody new."""
    signer = installation.register()
    handset.pair(signer)
    handset.certify(signer)
    return AppStage(installation=installation, signer=signer, handset=handset)
