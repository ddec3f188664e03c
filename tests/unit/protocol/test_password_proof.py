"""The SAM's word that a password was right, for one enrol ask."""

import pytest

from backend.errors import MalformedMessage
from backend.protocol.encoding import Octets32
from backend.protocol.password_proof import PasswordProofClaims, sign_password_proof
from tests.unit.protocol import by_hand, cast
from tests.unit.protocol.cast import KS
from tests.unit.protocol.examples import BY_TYP

EXAMPLE = BY_TYP["cell-password-proof+jwt"]


def test_a_proof_that_is_signed_here_reads_the_same() -> None:
    claims = PasswordProofClaims(
        signer=cast.SIGNER, tx_hash=Octets32(cast.ENROL_TX_HASH), exp=cast.NOW + 300
    )
    compact = sign_password_proof(
        claims, key=cast.public(KS), sign=lambda message: by_hand.raw_ecdsa(message, KS)
    )
    assert compact == EXAMPLE.compact()
    assert EXAMPLE.read(compact) == claims


@pytest.mark.parametrize("use", ["sign", "", "Enrol"])
def test_a_proof_is_of_use_only_to_enrol(use: str) -> None:
    with pytest.raises(MalformedMessage):
        EXAMPLE.read(EXAMPLE.compact(use=use))
