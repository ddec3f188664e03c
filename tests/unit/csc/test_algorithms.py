"""backend/csc/algorithms.py"""

import base64

import pytest
from asn1crypto.algos import RSASSAPSSParams, SignedDigestAlgorithmId
from asn1crypto.core import Void
from hypothesis import given
from hypothesis import strategies as st

from backend.algorithms import (
    HASH_BY_LENGTH,
    HASH_OIDS,
    HASHES,
    SCHEMES,
    HashAlgorithm,
    KeyAlgorithm,
    SignatureScheme,
)
from backend.csc.algorithms import (
    ED25519,
    HASH_NAMES,
    PSS,
    RSA,
    SIGN_OIDS,
    hash_of_oid,
    key_oids,
    signing_of,
)
from backend.errors import RequestRefused

SHA256 = "2.16.840.1.101.3.4.2.1"
SHA512 = "2.16.840.1.101.3.4.2.3"


@pytest.mark.parametrize("key", KeyAlgorithm)
def test_csc_66_a_key_names_what_it_can_and_nothing_else(key: KeyAlgorithm) -> None:
    meanings = [SIGN_OIDS[oid] for oid in key_oids(key)]

    assert {meaning.scheme for meaning in meanings} == SCHEMES[key]
    named = {meaning.hash_algorithm for meaning in meanings} - {None}
    assert named == (set() if key is KeyAlgorithm.ED25519 else HASHES[key])


def test_the_bare_rsa_oid_is_last() -> None:
    """pyHanko and Documenso take the first that fits."""
    oids = key_oids(KeyAlgorithm.RSA_2048)

    assert oids[-1] == RSA
    assert oids[:3] == ("1.2.840.113549.1.1.11", "1.2.840.113549.1.1.12", "1.2.840.113549.1.1.13")


@pytest.mark.parametrize("oid", SIGN_OIDS)
def test_the_oids_are_those_that_another_library_knows(oid: str) -> None:
    name = SignedDigestAlgorithmId(oid).native
    meaning = SIGN_OIDS[oid]

    expected = {
        SignatureScheme.ECDSA: "ecdsa",
        SignatureScheme.RSA_PKCS1: "rsa",
        SignatureScheme.RSA_PSS: "rsassa_pss",
        SignatureScheme.EDDSA: "ed25519",
    }[meaning.scheme]
    assert expected in name
    if meaning.hash_algorithm is not None:
        assert meaning.hash_algorithm.lower().replace("-", "") in name


def test_every_hash_has_an_oid_a_name_and_a_length() -> None:
    every = set(HashAlgorithm)

    assert set(HASH_OIDS.values()) == set(HASH_NAMES) == set(HASH_BY_LENGTH.values()) == every
    assert HASH_BY_LENGTH.keys() == {32, 48, 64}


@pytest.mark.parametrize("oid", [None, "", "1.3.14.3.2.26", "1.2.840.113549.2.5", SHA256 + ".1"])
def test_csc_95_no_weaker_hash_is_taken(oid: str | None) -> None:
    with pytest.raises(RequestRefused, match="hashAlgo"):
        hash_of_oid(oid, parameter="hashAlgo")


@pytest.mark.parametrize("hash_oid", [None, SHA256])
def test_csc_92_a_hash_specific_oid_needs_no_other(hash_oid: str | None) -> None:
    found = signing_of(
        "1.2.840.113549.1.1.11", hash_oid=hash_oid, parameters=None, hash_parameter="hashAlgo"
    )

    assert found == (SignatureScheme.RSA_PKCS1, HashAlgorithm.SHA256)


@pytest.mark.parametrize("oid", [RSA, PSS, ED25519])
def test_csc_92_a_bare_oid_needs_the_hash(oid: str) -> None:
    with pytest.raises(RequestRefused, match="Missing"):
        signing_of(oid, hash_oid=None, parameters=None, hash_parameter="hashAlgo")
    found = signing_of(oid, hash_oid=SHA512, parameters=None, hash_parameter="hashAlgo")

    assert found.hash_algorithm is HashAlgorithm.SHA512


@pytest.mark.parametrize(
    "oid", ["1.2.840.10045.4.3.2", "1.2.840.113549.1.1.11", "1.2.840.113549.1.1.12"]
)
def test_csc_92_a_contradiction_is_refused(oid: str) -> None:
    with pytest.raises(RequestRefused, match="contradicts"):
        signing_of(oid, hash_oid=SHA512, parameters=None, hash_parameter="hashAlgo")


def pss(hash_name: str, salt_length: int, *, is_absent: bool = False) -> bytes:
    """As another library writes them; the hash's own parameters NULL or absent."""
    hash_algorithm: dict[str, object] = {"algorithm": hash_name}
    if is_absent:
        hash_algorithm["parameters"] = Void()
    members = {
        "hash_algorithm": hash_algorithm,
        "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": hash_algorithm},
        "salt_length": salt_length,
    }
    der: bytes = RSASSAPSSParams(members).dump()
    return der


@pytest.mark.parametrize(
    ("name", "salt", "expected"),
    [
        ("sha256", 32, HashAlgorithm.SHA256),
        ("sha384", 48, HashAlgorithm.SHA384),
        ("sha512", 64, HashAlgorithm.SHA512),
    ],
)
def test_csc_94_pss_parameters_name_the_hash(name: str, salt: int, expected: HashAlgorithm) -> None:
    parameters = base64.b64encode(pss(name, salt)).decode()

    found = signing_of(PSS, hash_oid=None, parameters=parameters, hash_parameter="hashAlgo")

    assert found == (SignatureScheme.RSA_PSS, expected)


@given(st.binary(max_size=200) | st.just(pss("sha256", 32)), st.data())
def test_csc_94_whatever_stands_in_the_parameters_is_read_or_refused(
    der: bytes, data: st.DataObject
) -> None:
    """Never another error: it comes from outside."""
    changed = bytearray(der)
    if changed:
        place = data.draw(st.integers(0, len(changed) - 1))
        changed[place] = data.draw(st.integers(0, 255))
    parameters = base64.b64encode(changed).decode()

    try:
        found = signing_of(PSS, hash_oid=None, parameters=parameters, hash_parameter="hashAlgo")
    except RequestRefused:
        return
    assert found.scheme is SignatureScheme.RSA_PSS


@given(st.text(max_size=50))
def test_csc_94_parameters_that_are_no_base64_are_refused(parameters: str) -> None:
    with pytest.raises(RequestRefused):
        signing_of(PSS, hash_oid=None, parameters=parameters, hash_parameter="hashAlgo")
