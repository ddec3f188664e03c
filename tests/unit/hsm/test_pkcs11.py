"""PKCS#11 on SoftHSM: threads, processes, failures and keys that somebody brought in."""

import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pkcs11 import (
    Attribute,
    GeneralError,
    KeyType,
    Mechanism,
    MechanismFlag,
    MechanismInvalid,
    ObjectClass,
    Session,
)

from backend.algorithms import HashAlgorithm, KeyAlgorithm, SignatureScheme
from backend.errors import CellUnopened, HourKeyMissing, HsmNotReady, HsmUnavailable
from backend.hsm import pkcs11_binding
from backend.hsm import pkcs11_templates as templates
from backend.hsm.pkcs11 import Pkcs11Hsm, Pkcs11OpenedKey
from backend.hsm.pkcs11_binding import load_module
from backend.hsm.pkcs11_sessions import TokenSession
from backend.hsm.protocol import SigningServiceKey, WrappedKey
from tests.world.softhsm import MODULE, PIN, SO_PIN, Token, log_everybody_out, softhsm

DIGEST = hashlib.sha256(b"a contract").digest()
KS = SigningServiceKey.RECORDS
AT_ONCE = (0.0, 0.0)


def sign(key: Pkcs11OpenedKey) -> bytes:
    (signature,) = key.sign_all(
        (DIGEST,), scheme=SignatureScheme.ECDSA, hash_algorithm=HashAlgorithm.SHA256
    )
    return signature


def cycle(hsm: Pkcs11Hsm, wrapped: WrappedKey) -> bytes:
    with hsm.opened(algorithm=KeyAlgorithm.P256, blob=wrapped.blob, kw=wrapped.kw) as key:
        return sign(key)


def verify(spki: bytes, signature: bytes) -> None:
    key = load_der_public_key(spki)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(signature, DIGEST, ec.ECDSA(Prehashed(hashes.SHA256())))


def initialisations() -> int:
    """How many times the module was initialised in this process."""
    return load_module(MODULE).started()


@contextmanager
def pulled_out(folder: Path) -> Iterator[None]:
    """Pull the token out; it is put back at the end."""
    elsewhere = folder.with_name(f"pulled-{folder.name}")
    elsewhere = softhsm().conf.parent / elsewhere.name
    folder.rename(elsewhere)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        elsewhere.rename(folder)


# --- threads and processes ------------------------------------------------------------------


def test_four_threads_of_300_cycles_end_with_1200_signatures(shared_token: Token) -> None:
    """hsm.md 1, quirk 1: with the binding's own C_Initialize(NULL), SoftHSM crashes here."""
    hsm = shared_token.hsm()
    wrapped = hsm.generate(KeyAlgorithm.P256)

    def work(_: int) -> list[bytes]:
        return [cycle(hsm, wrapped) for _ in range(300)]

    with ThreadPoolExecutor(4) as threads:
        signatures = [each for done in threads.map(work, range(4)) for each in done]
    assert len(signatures) == 1200
    for signature in signatures:
        verify(wrapped.spki, signature)


def test_a_forked_worker_signs_and_its_parent_goes_on(shared_token: Token) -> None:
    """PKCS#11 2.40, 6.6.1: a child calls C_Initialize itself."""
    hsm = shared_token.hsm()
    wrapped = hsm.generate(KeyAlgorithm.P256)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.write(writing, cycle(hsm, wrapped))
            status = 0 if initialisations() == 1 else 2
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        signature = pipe.read()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    verify(wrapped.spki, signature)
    verify(wrapped.spki, cycle(hsm, wrapped))


def test_nothing_is_loaded_before_the_hsm_is_used(tmp_path: Path) -> None:
    """A master process that only prepares must not load the module for its workers."""
    hsm = Pkcs11Hsm(module=tmp_path / "absent.so", token="none", read_pin=pytest.fail)
    with pytest.raises(HsmUnavailable, match="cannot be loaded"):
        hsm.random(1)


def test_a_shared_object_that_is_no_pkcs11_module_is_refused(tmp_path: Path) -> None:
    module = tmp_path / "module.so"
    module.write_bytes(b"no shared object")
    hsm = Pkcs11Hsm(module=module, token="none", read_pin=pytest.fail)
    with pytest.raises(HsmUnavailable, match="cannot be loaded"):
        hsm.health()


# --- a spoilt blob is not a broken token ------------------------------------------------------


def test_a_spoilt_blob_disturbs_nobody(shared_token: Token) -> None:
    """Others go on with the key that they have open: the module is not initialised again."""
    hsm = shared_token.hsm()
    wrapped = hsm.generate(KeyAlgorithm.P256)
    spoilt = wrapped.blob[:-1] + bytes([wrapped.blob[-1] ^ 1])
    before = initialisations()
    with hsm.opened(algorithm=KeyAlgorithm.P256, blob=wrapped.blob, kw=wrapped.kw) as key:
        for _ in range(20):
            with (
                pytest.raises(CellUnopened),
                hsm.opened(algorithm=KeyAlgorithm.P256, blob=spoilt, kw=wrapped.kw),
            ):
                pytest.fail("a spoilt blob was opened")
        verify(wrapped.spki, sign(key))
    assert initialisations() == before


# --- the ladder ----------------------------------------------------------------------------------


def test_a_lost_session_is_opened_again(shared_token: Token) -> None:
    hsm = shared_token.hsm()
    hsm.sign(KS, DIGEST)
    before = initialisations()
    for free in hsm._sessions()._free:
        free.session.close()
    verify(hsm.public_key(KS), hsm.sign(KS, DIGEST))
    assert initialisations() == before


def test_a_lost_login_is_made_again(token: Token) -> None:
    """Somebody else of this process logged in first, and logs everybody out."""
    with token.attacker():
        hsm = token.hsm(pauses_seconds=AT_ONCE)
        verify(hsm.public_key(KS), hsm.sign(KS, DIGEST))
        hsm.make_hour_key(1)
    verify(hsm.public_key(KS), hsm.sign(KS, DIGEST))
    assert hsm.hours() == {1}
    assert len(hsm.hour_mac(1, b"jti")) == 64


def test_an_initialisation_by_somebody_else_is_noticed(token: Token) -> None:
    hsm = token.hsm(pauses_seconds=())
    wrapped = hsm.generate(KeyAlgorithm.P256)
    log_everybody_out()
    verify(wrapped.spki, cycle(hsm, wrapped))


def test_a_token_that_was_pulled_out_works_when_it_is_put_back(token: Token) -> None:
    """hsm.md 2: it stays invisible to the process until C_Finalize and C_Initialize."""
    hsm = token.hsm(pauses_seconds=AT_ONCE, rest_seconds=0)
    wrapped = hsm.generate(KeyAlgorithm.P256)
    hsm.make_hour_key(1)
    mac = hsm.hour_mac(1, b"jti")
    with pulled_out(token.folder):
        for use in uses(hsm, wrapped):
            with pytest.raises(HsmUnavailable):
                use()
    verify(wrapped.spki, cycle(hsm, wrapped))
    assert hsm.hour_mac(1, b"jti") == mac
    assert hsm.health()["token"] == token.label


def uses(hsm: Pkcs11Hsm, wrapped: WrappedKey) -> list[Callable[[], object]]:
    """Every use of an HSM."""
    return [
        hsm.health,
        lambda: hsm.generate(KeyAlgorithm.P256),
        lambda: cycle(hsm, wrapped),
        lambda: hsm.sign(KS, DIGEST),
        lambda: hsm.public_key(KS),
        lambda: hsm.pepper(b""),
        lambda: hsm.make_hour_key(2),
        lambda: hsm.hour_mac(1, b"jti"),
        hsm.hours,
        lambda: hsm.destroy_hour_key(1),
        lambda: hsm.random(16),
    ]


def test_a_store_that_is_gone_as_a_whole_comes_back(token: Token) -> None:
    """Then even C_Initialize fails."""
    hsm = token.hsm(pauses_seconds=AT_ONCE, rest_seconds=0)
    wrapped = hsm.generate(KeyAlgorithm.P256)
    with pulled_out(softhsm().tokens), pytest.raises(HsmUnavailable):
        hsm.sign(KS, DIGEST)
    verify(wrapped.spki, cycle(hsm, wrapped))


def test_after_the_ladder_s_end_nobody_tries_for_a_while(token: Token) -> None:
    hsm = token.hsm(pauses_seconds=AT_ONCE, rest_seconds=3600)
    hsm.random(1)
    with pulled_out(token.folder):
        with pytest.raises(HsmUnavailable, match="cellkey hsm init"):
            hsm.sign(KS, DIGEST)
        before = initialisations()
        for _ in range(3):
            with pytest.raises(HsmUnavailable, match="left to rest"):
                hsm.health()
    assert initialisations() == before


def test_what_two_threads_find_broken_is_mended_once(shared_token: Token) -> None:
    hsm = shared_token.hsm()
    hsm.random(1)
    before, login = initialisations(), hsm._sessions()._login
    load_module(MODULE).reinitialise(before)
    load_module(MODULE).reinitialise(before)
    assert initialisations() == before + 1
    hsm.random(1)
    hsm._sessions()._forget(login)
    hsm.random(1)
    assert hsm._sessions()._login == login + 1


def test_a_failure_that_no_initialisation_mends_is_told_at_once(shared_token: Token) -> None:
    hsm = shared_token.hsm()
    hsm.random(1)
    before = initialisations()

    def work(_session: TokenSession) -> None:
        raise MechanismInvalid

    with pytest.raises(HsmUnavailable, match="MechanismInvalid"):
        hsm._sessions().run(work)
    assert initialisations() == before
    hsm.random(1)


def test_a_token_that_fails_once_is_asked_again(token: Token) -> None:
    hsm = token.hsm(pauses_seconds=AT_ONCE)
    hsm.random(1)
    before = initialisations()
    failures = iter([GeneralError("once"), GeneralError("twice")])

    def work(session: TokenSession) -> bytes:
        for failure in failures:
            raise failure
        return session.session.generate_random(64)

    assert len(hsm._sessions().run(work)) == 8
    assert initialisations() == before + 2


def test_a_token_that_fails_under_an_open_key_is_not_torn_away(token: Token) -> None:
    """This thread holds the module, so it cannot initialise it: it says so instead of waiting."""
    hsm = token.hsm(pauses_seconds=AT_ONCE, rest_seconds=0)
    wrapped = hsm.generate(KeyAlgorithm.P256)
    before = initialisations()

    def work(_session: TokenSession) -> None:
        raise GeneralError

    with hsm.opened(algorithm=KeyAlgorithm.P256, blob=wrapped.blob, kw=wrapped.kw) as key:
        with pytest.raises(HsmUnavailable, match="GeneralError"):
            hsm._sessions().run(work)
        verify(wrapped.spki, sign(key))
    assert initialisations() == before


def test_the_module_is_not_finalised_while_another_thread_has_a_key_open(
    token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pkcs11_binding, "_WAIT_SECONDS", 0.01)
    hsm = token.hsm(pauses_seconds=())
    wrapped = hsm.generate(KeyAlgorithm.P256)
    is_open, go_on = threading.Event(), threading.Event()

    def work() -> bytes:
        with hsm.opened(algorithm=KeyAlgorithm.P256, blob=wrapped.blob, kw=wrapped.kw) as key:
            is_open.set()
            go_on.wait()
            return sign(key)

    with ThreadPoolExecutor(1) as threads:
        signature = threads.submit(work)
        is_open.wait()
        try:
            with pytest.raises(HsmUnavailable, match="still in use"):
                load_module(MODULE).reinitialise(initialisations())
        finally:
            go_on.set()
        verify(wrapped.spki, signature.result())


def test_a_failure_under_an_open_key_is_the_hsm_s_and_the_next_key_opens(token: Token) -> None:
    hsm = token.hsm(pauses_seconds=AT_ONCE)
    wrapped = hsm.generate(KeyAlgorithm.P256)

    def lose_the_session_and_sign() -> None:
        with hsm.opened(algorithm=KeyAlgorithm.P256, blob=wrapped.blob, kw=wrapped.kw) as key:
            held: Any = key._key
            held.session.close()
            sign(key)

    with pytest.raises(HsmUnavailable):
        lose_the_session_and_sign()
    verify(wrapped.spki, cycle(hsm, wrapped))


# --- the login ---------------------------------------------------------------------------------


def test_a_refused_pin_is_tried_once(token: Token) -> None:
    """A few more tries would lock the token."""
    asked = []

    def read_pin() -> str:
        asked.append("wrong")
        return "a wrong pin"

    log_everybody_out()
    hsm = Pkcs11Hsm(module=MODULE, token=token.label, read_pin=read_pin)
    with pytest.raises(HsmUnavailable, match="refused the PIN"):
        hsm.random(1)
    for _ in range(5):
        with pytest.raises(HsmUnavailable, match="PIN was refused"):
            hsm.health()
    assert len(asked) == 1
    token.hsm().random(1)


def test_an_unknown_token_is_not_ready() -> None:
    softhsm()
    hsm = Pkcs11Hsm(module=MODULE, token="nobody's", read_pin=lambda: PIN, pauses_seconds=())
    with pytest.raises(HsmNotReady, match="cellkey hsm init"):
        hsm.health()


def test_a_token_without_keys_is_not_ready() -> None:
    label = softhsm().new_label()
    module = load_module(MODULE)
    module.started()
    slot = next(slot for slot in module.slots() if not slot.get_token().label)
    module.initialise_token(slot, so_pin=SO_PIN, label=label)
    with module.token(label).open(rw=True, so_pin=SO_PIN) as session:
        session.init_pin(PIN)
    hsm = Pkcs11Hsm(module=MODULE, token=label, read_pin=lambda: PIN, pauses_seconds=())
    with pytest.raises(HsmNotReady, match="cellkey hsm init"):
        hsm.health()


def test_a_token_without_a_wrapping_key_is_not_ready(token: Token) -> None:
    with token.attacker() as session:
        destroy(session, "kw-1")
    with pytest.raises(HsmNotReady, match="kw-1"):
        token.hsm(pauses_seconds=()).health()


# --- a token that is not fit ----------------------------------------------------------------------


def destroy(session: Session, label: str, *object_classes: ObjectClass) -> None:
    for found in list(session.get_objects({Attribute.LABEL: label})):
        if found[Attribute.CLASS] in (object_classes or ObjectClass):
            found.destroy()


def make_pair(session: Session, label: str) -> None:
    curve = session.create_domain_parameters(
        KeyType.EC, {Attribute.EC_PARAMS: templates.P256}, local=True
    )
    curve.generate_keypair(
        label=label,
        store=True,
        capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
        private_template=templates.STAYING_KEY,
    )


def test_a_wrapping_key_without_an_unwrap_template_is_refused(token: Token) -> None:
    """Condition A is asked of the token itself, because a driver may ignore the attribute."""
    naive = {**templates.KW}
    del naive[Attribute.UNWRAP_TEMPLATE]
    with token.security_officer() as session:
        session.generate_key(
            KeyType.AES,
            256,
            label="kw-2",
            store=True,
            capabilities=MechanismFlag.WRAP | MechanismFlag.UNWRAP,
            template=naive,
        )
    with pytest.raises(HsmNotReady, match="can be read"):
        token.hsm().health()


def test_a_token_that_wraps_under_any_key_is_refused(
    token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Condition B likewise: here the attribute is left out, as a driver may that ignores it."""
    monkeypatch.delitem(templates.SIGNERS_KEY, Attribute.WRAP_WITH_TRUSTED)
    with pytest.raises(HsmNotReady, match="CKA_WRAP_WITH_TRUSTED"):
        token.hsm().health()


def test_a_second_key_of_a_service_key_s_name_is_refused(token: Token) -> None:
    with token.attacker() as session:
        make_pair(session, "ks")
    with pytest.raises(HsmNotReady, match="2 keys named ks"):
        token.hsm().health()


def test_a_public_key_that_is_not_of_its_private_key_is_refused(token: Token) -> None:
    """Otherwise the SAM would believe records that somebody else signed."""
    with token.attacker() as session:
        destroy(session, "ks", ObjectClass.PUBLIC_KEY)
        make_pair(session, "another")
        destroy(session, "another", ObjectClass.PRIVATE_KEY)
        (public,) = session.get_objects({Attribute.LABEL: "another"})
        public[Attribute.LABEL] = "ks"
    with pytest.raises(HsmNotReady, match="not of its private key"):
        token.hsm().health()


# --- keys that somebody brought in -------------------------------------------------------------


def plant(session: Session, label: str, key_type: KeyType, **more: object) -> None:
    """Bring in a secret key whose value the attacker knows."""
    session.create_object(
        {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: key_type,
            Attribute.VALUE: bytes(32) if key_type is KeyType.AES else bytes(64),
            Attribute.LABEL: label,
            Attribute.TOKEN: True,
            Attribute.PRIVATE: True,
            Attribute.SENSITIVE: True,
            Attribute.EXTRACTABLE: False,
            **{Attribute[name]: value for name, value in more.items()},
        }
    )


def test_a_planted_hour_key_is_not_used_and_destroyed_with_its_hour(token: Token) -> None:
    """Its owner could open approvals of that hour long after it is over."""
    hsm = token.hsm()
    hsm.random(1)
    with token.attacker() as session:
        plant(session, "ke-9", KeyType.GENERIC_SECRET, SIGN=True)
        assert 9 not in hsm.hours()
        with pytest.raises(HourKeyMissing):
            hsm.hour_mac(9, b"jti")
        hsm.make_hour_key(9)
        (planted,) = session.get_objects({Attribute.LABEL: "ke-9", Attribute.LOCAL: False})
        theirs: Any = planted
        assert hsm.hour_mac(9, b"jti") != theirs.sign(b"jti", mechanism=Mechanism.SHA512_HMAC)
        hsm.destroy_hour_key(9)
        assert list(session.get_objects({Attribute.LABEL: "ke-9"})) == []


def test_a_planted_pepper_is_not_used(token: Token) -> None:
    before = token.hsm().pepper(b"password")
    with token.attacker() as session:
        plant(session, "kp", KeyType.GENERIC_SECRET, SIGN=True)
    assert token.hsm().pepper(b"password") == before


def test_a_planted_wrapping_key_wraps_nothing(token: Token) -> None:
    hsm = token.hsm()
    hsm.random(1)
    with token.attacker() as session:
        plant(session, "kw-2", KeyType.AES, WRAP=True, UNWRAP=True)
    wrapped = hsm.generate(KeyAlgorithm.P256)
    assert wrapped.kw == "kw-1"
    with pytest.raises(CellUnopened):
        cycle(hsm, WrappedKey(spki=wrapped.spki, blob=wrapped.blob, kw="kw-2"))


def test_an_hour_key_has_64_bytes_and_cannot_leave(token: Token) -> None:
    hsm = token.hsm()
    hsm.make_hour_key(1)
    with token.attacker() as session:
        (key,) = session.get_objects({Attribute.LABEL: "ke-1"})
        assert key[Attribute.VALUE_LEN] == 64
        assert key[Attribute.NEVER_EXTRACTABLE]
        assert key[Attribute.ALWAYS_SENSITIVE]
        assert not key[Attribute.MODIFIABLE]
