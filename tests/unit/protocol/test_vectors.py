"""docs/test-vectors.json is what the code accepts and derives, and what the hand gets again."""

import hmac
import json
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from backend.protocol import locks
from backend.protocol.codes import digits, operation_number
from backend.protocol.encoding import secret_bytes, secret_text, write_message
from backend.protocol.enrolment import (
    check_enrols_for,
    enrolment_hash,
    read_enrolment,
    twelve_characters,
    verify_passkey,
)
from backend.protocol.invitation import addresses_text, pairing_text
from backend.protocol.jose import PublicJwk, open_seal, unverified_seal
from backend.protocol.sealed import open_sealed
from backend.protocol.security_key import consent_challenge, new_key_challenge
from backend.protocol.tree import leaf_hash, tree_root, verify_list
from backend.protocol.webauthn import approval_challenge, enrolment_challenge
from backend.sam.codes import PairingCodes, SmsCodes
from backend.sam.hotp import HotpSeeds
from backend.sam.hours import TransactionKeys, hour_of
from backend.sam.locks import PasswordSeals
from backend.sam.seeds import seed_hash
from backend.sam.totp import TotpSeeds
from backend.signers.password import argon2_hash
from tests import vectors
from tests.unit.protocol import by_hand, cast, derivations
from tests.unit.protocol.authenticator import ORIGIN, RP_ID
from tests.unit.protocol.cast import CELL, CELL_SECRET, KS
from tests.unit.protocol.examples import BY_TYP

FILE: dict[str, Any] = json.loads(vectors.FILE.read_text(encoding="utf-8"))
D = FILE["derivations"]
MESSAGES = FILE["messages"]


class PepperedHsm:
    """The two MACs of an HSM under the keys of the vectors."""

    def pepper(self, message: bytes) -> bytes:
        return by_hand.mac(derivations.KP, message)

    def hour_mac(self, hour: int, message: bytes) -> bytes:
        assert hour == D["transaction_key"]["hour"]
        return hmac.digest(derivations.KE, message, "sha512")


HSM: Any = PepperedHsm()


def hexed(value: str) -> bytes:
    return bytes.fromhex(value)


def test_the_committed_file_is_what_the_generator_writes() -> None:
    """Signatures are deterministic (RFC 6979), so that even they are the same."""
    assert vectors.FILE.read_text(encoding="utf-8") == vectors.text()


def test_every_message_of_the_protocol_is_in_the_file() -> None:
    assert {message["typ"] for message in MESSAGES} == set(BY_TYP)


def test_keys_have_their_thumbprints() -> None:
    for key in FILE["keys"].values():
        private = ec.derive_private_key(int.from_bytes(by_hand.unb64(key["d"])), ec.SECP256R1())
        jwk = PublicJwk.of(private.public_key())
        assert json.loads(write_message(jwk)) == key["jwk"]
        assert by_hand.b64(jwk.thumbprint()) == key["thumbprint"]


READ = [message for message in MESSAGES if message.get("about") != "without a body"]


@pytest.mark.parametrize("message", READ, ids=lambda one: f"{one['typ']} {one.get('about', '')}")
def test_the_code_reads_the_message(message: dict[str, Any]) -> None:
    read: Any = BY_TYP[message["typ"]].read(message["compact"])
    if message["typ"] == "cell-keys+jwt":
        assert read == cast.public(cast.NEXT_KS)
    else:
        assert json.loads(write_message(read)) == message["claims"]
    digest = by_hand.sha(message["compact"].encode())
    assert by_hand.b64(digest) == message["sha256"]


def test_the_messages_belong_together() -> None:
    """The list to the ask, the passkey to the enrolment, the enrolment to its ask."""
    documents = cast.ask().claims.documents
    assert documents is not None
    assert len(verify_list(FILE["list"]["items"], expected=documents).items) == 3
    claims = read_enrolment(cast.ENROLMENT)
    check_enrols_for(claims, cast.enrol_ask())
    assert verify_passkey(claims, rp_id=RP_ID, origin=ORIGIN) == cast.device().webauthn


def test_the_list_has_its_root() -> None:
    listed = FILE["list"]
    assert [by_hand.b64(leaf_hash(item)) for item in listed["items"]] == listed["leaf_hashes"]
    assert by_hand.b64(tree_root(listed["items"])) == listed["root"]
    for some in listed["roots_of_the_first"]:
        assert by_hand.b64(tree_root(some["texts"])) == some["root"]


@pytest.mark.parametrize("seal", FILE["seals"], ids=range(3))
def test_the_code_opens_the_seal(seal: dict[str, Any]) -> None:
    header, compact = seal["header"], seal["compact"]
    read = unverified_seal(compact, expected_typ=header["typ"], with_sender="apu" in header)
    assert by_hand.b64(read.apv) == header["apv"]
    key = vectors.KEYS[seal["recipient"]]
    assert open_seal(compact, key) == by_hand.open_jwe(compact, key) == CELL_SECRET
    again = by_hand.jwe(
        by_hand.unb64(seal["plaintext"]),
        recipient=key.public_key(),
        ephemeral=vectors.KEYS[seal["ephemeral"]],
        nonce=by_hand.unb64(seal["nonce"]),
        head=header,
    )
    assert again == compact


def test_the_first_seal_is_the_approvals() -> None:
    assert open_sealed(FILE["seals"][0]["compact"], cast.TRANSACTION) == CELL_SECRET
    assert MESSAGES[1]["claims"]["sealed"] == FILE["seals"][0]["sha256"]


# --- derivations ----------------------------------------------------------------------------------


def opens(vector: dict[str, str]) -> None:
    """A raw lock of the file opens by our code, under its own key and binding."""
    key, aad = hexed(vector["key"]), hexed(vector["aad"])
    assert locks.unlock_raw(vector["sealed"], key=key, label=aad).hex() == vector["plaintext"]


def test_the_outer_layer() -> None:
    vector = D["outer_layer"]
    assert locks.outer_key(hexed(vector["cs"]), UUID(vector["cell"])).hex() == vector["key"]
    aad = locks.outer_aad(
        cell=UUID(vector["cell"]),
        spki=hexed(vector["spki"]),
        algorithm=vector["algorithm"],
        kw=vector["kw"],
    )
    assert aad.hex() == vector["aad"]
    opens(vector)


def test_the_labels() -> None:
    for vector in D["labels"]:
        label = locks.lock_label(
            cell=UUID(vector["cell"]),
            kind=vector["kind"],
            purpose=vector["purpose"],
            holder=hexed(vector["id"]),
        )
        assert label.hex() == vector["label"]


def test_the_envelope() -> None:
    vector = D["envelope"]
    secret = hexed(vector["s"])
    pairing = locks.pairing_id(secret)
    assert str(pairing) == vector["pairing"]
    assert locks.envelope_key(secret).hex() == vector["key"]
    assert locks.envelope_label(CELL, pairing).hex() == vector["aad"]
    assert pairing_text(secret) == vector["qr_2"]
    assert pairing_text(secret, ks=cast.public(cast.KS)) == vector["qr_2_existing_cell"]
    assert locks.envelope_plaintext(CELL_SECRET, cast.public(cast.KS)).hex() == vector["plaintext"]
    opens(vector)


def test_the_recovery_code() -> None:
    vector = D["recovery"]
    code = secret_bytes(vector["text"])
    assert code.hex() == vector["c"]
    assert locks.recovery_key(code, CELL).hex() == vector["key"]
    assert locks.recovery_label(CELL).hex() == vector["aad"]
    assert locks.check_recovery_lock(vector["sealed"]) == vector["sealed"]
    opens(vector)


def test_the_texts_of_secrets() -> None:
    for vector in D["secret_texts"]:
        assert secret_bytes(vector["text"]).hex() == vector["secret"]
        assert secret_text(hexed(vector["secret"])).replace("-", "") == vector["text"]


def test_qr_1() -> None:
    vector = D["qr_1"]
    text = addresses_text(
        vector["app"],
        authorization_server=vector["authorization_server"],
        mobile_api=vector["mobile_api"],
    )
    assert text == vector["text"]


def test_the_password() -> None:
    vector, seals = D["password"], PasswordSeals(HSM)
    a = argon2_hash(vector["password"], hexed(vector["salt"]))
    assert a.hex() == vector["a"]
    assert seals.verifier(UUID(vector["signer"]), a).hex() == vector["verifier"]
    assert by_hand.mac(derivations.KP, b"cell-plock-v1\0", CELL.bytes, a).hex() == vector["l"]
    assert vector["lock"]["key"] == vector["l"]
    label = locks.password_label(CELL, cast.SIGNER, "recover")
    assert label.hex() == vector["lock"]["aad"]
    opens(vector["lock"])


def test_the_number() -> None:
    vector = D["number"]
    mac = PasswordSeals(HSM).number_mac(UUID(vector["cell"]), vector["number"])
    assert mac.hex() == vector["output"]


def test_the_transaction_key() -> None:
    vector = D["transaction_key"]
    assert hour_of(vector["use_by"]) == vector["hour"]
    key = TransactionKeys(HSM).existing(use_by=vector["use_by"], jti=UUID(vector["jti"]))
    assert by_hand.scalar(key).hex() == vector["d"]
    assert by_hand.jwk(key) == vector["jwk"]


def test_the_challenges() -> None:
    vector = D["challenges"]["approval"]
    challenge = approval_challenge(tx_hash=hexed(vector["tx_hash"]), epk=hexed(vector["epk"]))
    assert challenge.hex() == vector["output"]
    vector = D["challenges"]["enrolment"]
    for epk, output in ((hexed(vector["epk"]), "output"), (None, "output_without_seal")):
        challenge = enrolment_challenge(
            tx_hash=hexed(vector["tx_hash"]),
            approval=hexed(vector["approval"]),
            request=hexed(vector["request"]),
            unlock=hexed(vector["unlock"]),
            epk=epk,
        )
        assert challenge.hex() == vector[output]


def test_the_challenges_of_a_security_key() -> None:
    vector = {name: hexed(value) for name, value in D["challenges"]["security_key"].items()}
    named = {"record": vector["record"], "kid": vector["kid"]}
    assert new_key_challenge(**named) == vector["output"]
    agreed = consent_challenge(**named, attestation_object=vector["attestation_object"])
    assert agreed == vector["consent"]


@pytest.mark.parametrize(
    ("name", "salt", "info"),
    [
        ("prf", b"cell-prf-v1\0", b"cell-unlock-v1"),
        ("prf_of_a_security_key", b"cell-prf-key-v1\0", b"cell-unlock-key-v1"),
    ],
)
def test_the_wrapping_of_the_unlock_key(name: str, salt: bytes, info: bytes) -> None:
    """Only a phone does this: by hand."""
    vector = D[name]
    assert by_hand.sha(salt, CELL.bytes).hex() == vector["salt"]
    key = locks.hkdf(hexed(vector["prf_output"]), info=info)
    assert key.hex() == vector["key"]
    assert vector["aad"] == CELL.bytes.hex()
    opens(vector)


def test_the_codes_that_people_read() -> None:
    vector = D["codes"]
    enrolment = vector["twelve"]["enrolment"]
    assert twelve_characters(enrolment) == vector["twelve"]["output"]
    assert vector["twelve"]["output"].replace("-", "") == vector["twelve"]["base32"][:12]
    assert enrolment_hash(enrolment).hex() == vector["pairing"]["enrolment_hash"]
    assert PairingCodes(HSM).code(enrolment) == vector["pairing"]["output"]
    tx_hash = hexed(vector["sms"]["tx_hash"])
    sms = HSM.pepper(b"cell-sms-v1\0" + tx_hash)
    assert sms.hex() == vector["sms"]["mac"]
    assert digits(sms) == vector["sms"]["output"] == SmsCodes(HSM).code(tx_hash)
    assert operation_number(hexed(vector["operation"]["tx_hash"])) == vector["operation"]["output"]


def test_the_totp_seed() -> None:
    vector = D["totp"]
    assert HSM.pepper(b"cell-totp-v1\0" + CELL.bytes).hex() == vector["key"]
    assert by_hand.b64(seed_hash(vector["sealed"])) == vector["record_totp"]
    opens(vector)
    found = TotpSeeds(HSM).find_step(
        vector["code"], cell=UUID(vector["cell"]), sealed=vector["sealed"], now=vector["at"]
    )
    assert found == vector["step"]


def test_the_hotp_seed() -> None:
    vector = D["hotp"]
    assert HSM.pepper(b"cell-hotp-v1\0" + CELL.bytes).hex() == vector["key"]
    assert by_hand.b64(seed_hash(vector["sealed"])) == vector["record_hotp"]["seed"]
    opens(vector)
    seeds, codes = HotpSeeds(HSM), vector["codes"]
    given = {"cell": UUID(vector["cell"]), "sealed": vector["sealed"]}
    counter = vector["record_hotp"]["counter"]
    assert seeds.use_up(codes["6"], counter=counter, **given) is None
    assert seeds.use_up(codes["7"], counter=counter, **given) == vector["after_code_of_7"]
    found = seeds.use_up(codes["8"] + codes["9"], counter=counter, **given)
    assert found == vector["after_codes_of_8_and_9"]


def test_a_further_phones_qr_code() -> None:
    vector = D["further_phone"]
    prints = read_enrolment(cast.ENROLMENT).keys.thumbprints()
    joined = prints.approval + prints.request + prints.unlock
    assert vector["text"] == f"cellkey:further?k={by_hand.b64(joined)}"
    assert joined.hex() == vector["approval"] + vector["request"] + vector["unlock"]


def test_the_pin_by_which_a_further_phone_believes_ks() -> None:
    vector = D["pin"]
    made = locks.pin(
        hexed(vector["cs"]),
        ks=PublicJwk.of(KS.public_key()),
        cell=UUID(vector["cell"]),
        kid=hexed(vector["kid"]),
    )
    assert made.hex() == vector["output"]
