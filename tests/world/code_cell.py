"""A cell whose signer may approve by password and code, with a phone or without one."""

import re
from dataclasses import dataclass
from typing import Any

import msgspec

from backend.protocol.record import AmountCap, Caps, Policy
from backend.protocol.sms import Sms, open_sms
from backend.sam.releases import Release
from backend.sam.service_keys import IssueCertificate, IssuedCertificate
from backend.sam.transactions import (
    ApproveByCode,
    ApprovedByCode,
    CodeSms,
    OpenedTransaction,
    RequestedItem,
    SmsAddress,
)
from tests.world.paired_cell import (
    CA,
    NUMBER,
    SHOP,
    PairedCell,
    make_cell,
    subject_name,
)
from tests.world.sam import SamWorld

CODE_POLICY = Policy(
    methods=("app", "password+sms"),
    caps=Caps(
        multisign=10,
        kinds=("pwa", "native", "virtual"),
        confirm=("operator",),
        amounts=(AmountCap(currency="RUB", value="15000.00"),),
        sms_delay=60,
    ),
)
ADDRESS = SmsAddress(number=NUMBER, subject=subject_name())
_CODE = re.compile(r"#([0-9]{8})\Z")


def code_in(text: str) -> str:
    """The code that a browser would take from a text."""
    found = _CODE.search(text)
    assert found is not None
    return found.group(1)


def payment(value: str, currency: str = "RUB") -> dict[str, Any]:
    """A payment of so much."""
    return {
        "type": "payment",
        "amount": {"value": value, "currency": currency},
        "payee": {"name": "ИП Ромашкин", "account": "40702810900000000001"},
        "purpose": "Счёт 17",
    }


@dataclass(kw_only=True)
class CodeSigner:
    """A cell, and what its signer reads and types."""

    cell: PairedCell

    @property
    def world(self) -> SamWorld:
        """Where the cell is."""
        return self.cell.world

    @property
    def lock(self) -> str:
        """The password lock, as the database has it."""
        assert self.cell.made.password is not None
        return self.cell.made.password.lock

    def open_signing(self, *hashes: bytes, **members: Any) -> OpenedTransaction:  # noqa: ANN401  # members of OpenTransaction
        """Ask for signatures; the number is handed in."""
        return self.cell.open_signing(*hashes, **({"sms": ADDRESS} | members))

    def open_certificate_request(self) -> OpenedTransaction:
        """Ask for the first approval; the number is handed in."""
        return self.cell.open_certificate_request(sms=ADDRESS)

    def read(self, sms: CodeSms | None) -> Sms:
        """The text, as it arrives."""
        assert sms is not None
        return open_sms(sms.sealed, self.world.worker_key)

    def code(self, opened: OpenedTransaction) -> str:
        """The code in the text of an ask."""
        return code_in(self.read(opened.sms).text)

    def typed(self, opened: OpenedTransaction, **members: Any) -> ApproveByCode:  # noqa: ANN401  # members of ApproveByCode
        """What the page sends when everything is typed right."""
        given: dict[str, Any] = {
            "record": self.cell.record,
            "ask": opened.ask,
            "lock": self.lock,
            "password_hash": self.cell.password_hash,
            "method": "password+sms",
            "code": "",
            "number": NUMBER,
            "seed": None,
            "used_step": None,
        }
        if "code" not in members:
            given["code"] = self.code(opened)
        return ApproveByCode(**(given | members))

    def approve(self, opened: OpenedTransaction, **members: Any) -> ApprovedByCode:  # noqa: ANN401  # members of ApproveByCode
        """Type it."""
        return self.world.sam.approve_by_code(self.typed(opened, **members))

    def evidence(
        self, opened: OpenedTransaction, by: ApprovedByCode, *, rp: str = SHOP.id
    ) -> Release:
        """What the door is shown."""
        return Release(
            record=self.cell.record,
            blob=self.cell.made.blob,
            ask=opened.ask,
            items=opened.items,
            approval=by.approval,
            sealed=by.sealed,
            requested=tuple(range(len(opened.items))),
            scheme=self.cell.scheme,
            messages=(),
            rp=rp,
        )

    def certify(self) -> IssuedCertificate:
        """The first approval by password and code, and the certificate."""
        opened = self.open_certificate_request()
        evidence = self.evidence(opened, self.approve(opened), rp=CA.id)
        released = self.world.sam.release(evidence)
        issued = self.world.sam.certificate(
            IssueCertificate(
                record=self.cell.record,
                ask=opened.ask,
                items=opened.items,
                approval=evidence.approval,
                signature=released.signatures[0],
            )
        )
        self.cell.record, self.cell.certificate = issued.record, issued.certificate
        return issued


def without_phone(world: SamWorld, *, policy: Policy = CODE_POLICY) -> CodeSigner:
    """A signer who never paired a phone, with a certificate."""
    signer = CodeSigner(cell=make_cell(world, policy=policy))
    signer.certify()
    return signer


def with_phone(world: SamWorld, *, policy: Policy = CODE_POLICY) -> CodeSigner:
    """A signer who paired a phone and got the certificate by it."""
    signer = CodeSigner(cell=make_cell(world, policy=policy))
    signer.cell.pair()
    signer.cell.certify()
    return signer


def labelled(*items: tuple[str, bytes]) -> tuple[RequestedItem, ...]:
    """Items with labels."""
    return tuple(RequestedItem(label=label, hash=value) for label, value in items)


def policy_with(**caps: Any) -> Policy:  # noqa: ANN401  # members of Caps
    """The policy with other bounds."""
    changed = msgspec.structs.replace(CODE_POLICY.caps, **caps)
    return msgspec.structs.replace(CODE_POLICY, caps=changed)
