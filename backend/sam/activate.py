"""The only place where a signer's key signs; the door calls it, with its proof, and nobody else."""

from collections.abc import Sequence

from backend.algorithms import HashAlgorithm, SignatureScheme
from backend.hsm.protocol import Hsm
from backend.protocol.record import CellRecord
from backend.sam.approvals import VerifiedApproval
from backend.sam.locks import open_outer


def activate(
    approval: VerifiedApproval,
    requested: Sequence[int],
    *,
    messages: Sequence[bytes] | None,
    secret: bytes,
    blob: bytes,
    scheme: SignatureScheme,
    hsm: Hsm,
) -> tuple[bytes, ...]:
    """Open the approval's cell, sign the requested items, destroy the opened key.

    Args:
        approval: the proof; it is redeemed here, so it gives signatures once.
        requested: positions in the approved list.
        messages: where messages are signed and not their digests: one for each position.
        secret: the cell's secret, as the phone sealed it.
        blob: the cell.
        scheme: how to sign.
        hsm: where the key is opened.

    Raises:
        CellUnopened: the secret does not open this cell, or the blob is not its key.
    """
    record, hash_algorithm, to_sign = approval.redeem(requested, messages=messages)
    wrapped = open_outer(blob, secret=secret, record=record)
    return _sign(record, wrapped, to_sign, scheme=scheme, hash_algorithm=hash_algorithm, hsm=hsm)


def _sign(
    record: CellRecord,
    wrapped: bytes,
    to_sign: Sequence[bytes],
    *,
    scheme: SignatureScheme,
    hash_algorithm: HashAlgorithm,
    hsm: Hsm,
) -> tuple[bytes, ...]:
    with hsm.opened(algorithm=record.alg, blob=wrapped, kw=record.kw) as key:
        return key.sign_all(to_sign, scheme=scheme, hash_algorithm=hash_algorithm)
