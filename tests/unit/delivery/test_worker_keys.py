"""backend/delivery/worker_keys.py"""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from backend.delivery.subscriptions import check_keys
from backend.delivery.worker_keys import (
    make_worker_keys,
    push_key_path,
    read_push_key,
    read_sms_key,
    read_vapid_key,
    read_worker_public_key,
)
from backend.errors import AlreadyThere, SettingsInvalid
from backend.protocol.jose import PublicJwk
from backend.settings import Settings
from tests.world.woken_phones import b64u, point


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


def test_public_halves_are_those_of_the_private_ones(settings: Settings) -> None:
    make_worker_keys(settings, if_missing=False)
    assert read_worker_public_key(settings) == PublicJwk.of(read_sms_key(settings).public_key())
    assert read_push_key(settings) == b64u(point(read_vapid_key(settings).public_key()))
    assert read_worker_public_key(settings) != PublicJwk.of(read_vapid_key(settings).public_key())


def test_the_push_key_is_what_browsers_take_for_application_server_key(settings: Settings) -> None:
    make_worker_keys(settings, if_missing=False)
    check_keys(unverified_p256dh=read_push_key(settings), unverified_auth=b64u(bytes(16)))


def test_private_keys_are_for_their_owner_alone_whatever_the_umask(settings: Settings) -> None:
    before = os.umask(0)
    try:
        make_worker_keys(settings, if_missing=False)
    finally:
        os.umask(before)
    modes = {
        path: stat.S_IMODE(path.stat().st_mode)
        for path in (settings.worker_key_path, settings.vapid_key_path, settings.data_dir)
    }
    assert modes == {
        settings.worker_key_path: 0o600,
        settings.vapid_key_path: 0o600,
        settings.data_dir: 0o700,
    }


def test_a_private_key_is_never_replaced(settings: Settings) -> None:
    make_worker_keys(settings, if_missing=False)
    before = {path: path.read_bytes() for path in settings.data_dir.iterdir()}
    with pytest.raises(AlreadyThere):
        make_worker_keys(settings, if_missing=False)
    make_worker_keys(settings, if_missing=True)
    assert {path: path.read_bytes() for path in settings.data_dir.iterdir()} == before


def test_one_key_that_is_there_stops_the_making_of_the_other(settings: Settings) -> None:
    make_worker_keys(settings, if_missing=True)
    settings.worker_key_path.unlink()
    with pytest.raises(AlreadyThere, match=r"vapid\.pem"):
        make_worker_keys(settings, if_missing=False)
    assert not settings.worker_key_path.exists()


def test_what_is_missing_is_made_and_public_halves_are_mended(settings: Settings) -> None:
    make_worker_keys(settings, if_missing=False)
    vapid = read_push_key(settings)
    settings.worker_key_path.unlink()
    settings.worker_public_key_path.write_text("{}")
    push_key_path(settings).unlink()
    make_worker_keys(settings, if_missing=True)
    assert read_push_key(settings) == vapid
    assert read_worker_public_key(settings) == PublicJwk.of(read_sms_key(settings).public_key())


def test_two_who_make_keys_at_once_end_with_the_same_ones(settings: Settings) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: make_worker_keys(settings, if_missing=True), range(8)))
    assert read_worker_public_key(settings) == PublicJwk.of(read_sms_key(settings).public_key())
    assert sorted(path.name for path in settings.data_dir.iterdir()) == [
        "vapid.pem",
        "vapid.pub",
        "worker.key",
        "worker.pub.json",
    ]


def test_a_missing_key_says_which_command_makes_it(settings: Settings) -> None:
    for read in (read_sms_key, read_vapid_key, read_worker_public_key, read_push_key):
        with pytest.raises(SettingsInvalid, match="cellkey worker keys"):
            read(settings)


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no key",
        _pem(ec.generate_private_key(ec.SECP384R1())),
        _pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)),
    ],
    ids=["empty", "text", "P-384", "RSA"],
)
def test_a_file_that_holds_no_p256_key_is_refused(settings: Settings, content: bytes) -> None:
    settings.data_dir.mkdir()
    settings.vapid_key_path.write_bytes(content)
    with pytest.raises(SettingsInvalid, match=r"vapid\.pem"):
        read_vapid_key(settings)
    with pytest.raises(SettingsInvalid):
        make_worker_keys(settings, if_missing=True)


def test_a_worker_public_key_off_the_curve_is_refused(settings: Settings) -> None:
    settings.data_dir.mkdir()
    one = b64u(bytes(31) + b"\x01")
    settings.worker_public_key_path.write_text(
        f'{{"kty":"EC","crv":"P-256","x":"{one}","y":"{one}"}}'
    )
    with pytest.raises(SettingsInvalid):
        read_worker_public_key(settings)


def test_a_folder_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsInvalid, match="worker's keys"):
        make_worker_keys(Settings(data_dir=tmp_path / "file" / "data"), if_missing=False)
