"""``credentials/list`` and ``credentials/info``: what a relying party learns of a signer's key."""

import base64
import re
from uuid import UUID

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from backend.signers.freeze import freeze
from backend.signers.registration import find_signer
from tests.world.clock import SettableClock
from tests.world.csc_client import (
    ECDSA_SHA256,
    INVALID,
    CscClient,
    a_relying_party,
    refusal,
    words,
)
from tests.world.service import ANNA, Service

LOGIN = "a.ivanova"
BORIS = msgspec.structs.replace(ANNA, login="b.petrov", number=None)
CERT_INFO = {"issuerDN", "serialNumber", "subjectDN", "validFrom", "validTo"}


def leaf(info: dict[str, dict[str, list[str]]]) -> x509.Certificate:
    return x509.load_der_x509_certificate(
        base64.b64decode(info["cert"]["certificates"][0], validate=True)
    )


# --- list -------------------------------------------------------------------------


@pytest.mark.parametrize("edition", ["v1", "v2"])
def test_csc_59_a_list_has_the_credentials_of_that_signer_alone(
    signing_service: Service, shop: CscClient, edition: str
) -> None:
    """A signer without a certificate has none yet; an unknown login looks the same (T-17)."""
    signing_service.register(BORIS)

    path = f"{edition}/credentials/list"
    anna = shop.get(path, {"userID": LOGIN})
    boris = shop.get(path, {"userID": "b.petrov"})
    nobody = shop.get(path, {"userID": "nobody"})

    assert anna == {"credentialIDs": [shop.credential]}
    assert boris == nobody == {"credentialIDs": []}


@pytest.mark.parametrize("edition", ["v1", "v2"])
@pytest.mark.parametrize(
    "user",
    [{}, {"userID": None}, {"userID": 7}, {"userID": ""}, {"userID": "a\x00"}, {"userID": ["x"]}],
    ids=str,
)
def test_csc_60_who_is_meant_must_be_said(
    calm_shop: CscClient, edition: str, user: dict[str, object]
) -> None:
    """A relying party's own token is no user's."""
    answer = calm_shop.post(f"{edition}/credentials/list", user)

    assert refusal(answer) == INVALID
    assert "parameter userID" in words(answer)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, None),
        ({"certificates": "chain", "certInfo": True}, None),
        ({"credentialInfo": False, "certInfo": True}, None),
        ({"credentialInfo": True}, {"status", "certificates"}),
        ({"credentialInfo": True, "certificates": "none"}, {"status"}),
        (
            {"credentialInfo": True, "certInfo": True, "authInfo": True},
            {"status", "certificates"} | CERT_INFO,
        ),
    ],
    ids=lambda given: str(sorted(given) if isinstance(given, set) else given),
)
def test_csc_61_a_list_tells_of_credentials_what_is_asked_for(
    calm_shop: CscClient, members: dict[str, object], expected: set[str] | None
) -> None:
    listed = calm_shop.get("v2/credentials/list", {"userID": LOGIN} | members)

    if expected is None:
        assert listed == {"credentialIDs": [calm_shop.credential]}
    else:
        (info,) = listed["credentialInfos"]
        assert info["credentialID"] == calm_shop.credential
        assert info["cert"].keys() == expected


def test_csc_62_only_valid_leaves_out_what_cannot_sign_and_says_so(
    signing_service: Service, shop: CscClient, clock: SettableClock
) -> None:
    asked = {"userID": LOGIN, "onlyValid": True}
    before = shop.get("v2/credentials/list", asked)
    lock(signing_service)
    after = shop.get("v2/credentials/list", asked)
    every = shop.get("v2/credentials/list", {"userID": LOGIN, "onlyValid": False})

    assert before == {"credentialIDs": [shop.credential], "onlyValid": True}
    assert after == {"credentialIDs": [], "onlyValid": True}
    assert every == {"credentialIDs": [shop.credential]}


@pytest.mark.parametrize("path", ["v2/credentials/list", "v2/credentials/info"])
@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"certificates": "all"}, "Invalid parameter certificates"),
        ({"certificates": 7}, "Missing (or invalid type) string parameter certificates"),
        ({"certInfo": "true"}, "Missing (or invalid type) boolean parameter certInfo"),
        ({"certInfo": 1}, "Missing (or invalid type) boolean parameter certInfo"),
        ({"authInfo": []}, "Missing (or invalid type) boolean parameter authInfo"),
        ({"lang": 7}, "Missing (or invalid type) string parameter lang"),
        ({"clientData": {}}, "Missing (or invalid type) string parameter clientData"),
    ],
    ids=str,
)
def test_csc_10_11_63_wrong_choices_are_refused_and_said(
    calm_shop: CscClient, path: str, members: dict[str, object], said: str
) -> None:
    """CSC-10, CSC-11."""
    answer = calm_shop.post(path, {"userID": LOGIN, "credentialID": calm_shop.credential} | members)

    assert refusal(answer) == INVALID
    assert words(answer) == said


def test_csc_125_v1_gives_a_page(calm_shop: CscClient) -> None:
    path = "v1/credentials/list"

    assert calm_shop.get(path, {"userID": LOGIN, "maxResults": 1}) == {
        "credentialIDs": [calm_shop.credential]
    }
    assert calm_shop.get(path, {"userID": LOGIN, "pageToken": calm_shop.credential}) == {
        "credentialIDs": []
    }


@pytest.mark.parametrize(
    "members", [{"pageToken": "unknown"}, {"pageToken": 7}, {"maxResults": 0}, {"maxResults": "1"}]
)
def test_csc_125_a_page_that_is_none_is_refused(
    calm_shop: CscClient, members: dict[str, object]
) -> None:
    answer = calm_shop.post("v1/credentials/list", {"userID": LOGIN} | members)

    assert refusal(answer) == INVALID
    assert next(iter(members)) in words(answer)


# --- info -------------------------------------------------------------------------


def test_csc_64_66_68_info_has_the_members_of_v2(calm_shop: CscClient) -> None:
    """CSC-66, CSC-68: one object, the phone, out of band."""
    info = calm_shop.get("v2/credentials/info", {"credentialID": calm_shop.credential})

    assert info.keys() == {
        "description",
        "key",
        "cert",
        "auth",
        "SCAL",
        "multisign",
        "lang",
    }
    assert info["key"] == {
        "status": "enabled",
        "algo": [ECDSA_SHA256],
        "len": 256,
        "curve": "1.2.840.10045.3.1.7",
    }
    assert info["auth"] == {
        "mode": "explicit",
        "expression": "app",
        "objects": [{"type": "ChallengeResponseOOB", "id": "app", "label": "Phone"}],
    }
    assert (info["SCAL"], info["multisign"]) == ("2", calm_shop.service.settings.multisign)
    assert info["cert"]["status"] == "valid"
    assert isinstance(leaf(info).public_key(), ec.EllipticCurvePublicKey)


def test_csc_126_info_has_the_members_of_v1(calm_shop: CscClient) -> None:
    """Implicit: there is nothing to hand in."""
    info = calm_shop.get("v1/credentials/info", {"credentialID": calm_shop.credential})

    assert info["authMode"] == "implicit"
    assert not info.keys() & {"auth", "PIN", "OTP"}
    assert info["SCAL"] == "2"


def test_csc_64_the_chain_begins_with_the_signer_and_ends_with_the_root(
    calm_shop: CscClient,
) -> None:
    info = calm_shop.get(
        "v2/credentials/info", {"credentialID": calm_shop.credential, "certificates": "chain"}
    )

    signer, root = (
        x509.load_der_x509_certificate(base64.b64decode(text, validate=True))
        for text in info["cert"]["certificates"]
    )
    signer.verify_directly_issued_by(root)
    root.verify_directly_issued_by(root)


def test_csc_65_what_is_told_of_the_certificate_is_what_it_says(calm_shop: CscClient) -> None:
    info = calm_shop.get(
        "v2/credentials/info", {"credentialID": calm_shop.credential, "certInfo": True}
    )

    told, certificate = info["cert"], leaf(info)
    assert told["subjectDN"] == certificate.subject.rfc4514_string()
    assert told["issuerDN"] == certificate.issuer.rfc4514_string()
    assert int(told["serialNumber"], 16) == certificate.serial_number
    for name, moment in (
        ("validFrom", certificate.not_valid_before_utc),
        ("validTo", certificate.not_valid_after_utc),
    ):
        assert re.fullmatch(r"\d{14}Z", told[name])
        assert told[name] == f"{moment:%Y%m%d%H%M%SZ}"


def lock(service: Service) -> None:
    """The signer locks the access."""
    with service.sessions() as session:
        signer = find_signer(session, LOGIN).id
        freeze(session, signer=signer, by="phone", now=service.clock())


def test_csc_67_a_locked_key_and_an_expired_certificate_are_told(
    signing_service: Service, shop: CscClient, clock: SettableClock
) -> None:
    path, asked = "v2/credentials/info", {"credentialID": shop.credential}
    lock(signing_service)
    locked = shop.get(path, asked)
    clock.set(leaf(locked).not_valid_after_utc)
    clock.advance(seconds=1)
    expired = a_relying_party(signing_service).get(path, asked)

    assert (locked["key"]["status"], locked["cert"]["status"]) == ("disabled", "valid")
    assert expired["cert"]["status"] == "expired"


@pytest.mark.parametrize("edition", ["v1", "v2"])
@pytest.mark.parametrize("wrong", [str(UUID(int=7)), "unknown", "x" * 200, "\N{PILE OF POO}"])
def test_csc_69_every_credential_that_is_none_gives_the_same_answer(
    calm_shop: CscClient, edition: str, wrong: str
) -> None:
    answer = calm_shop.post(f"{edition}/credentials/info", {"credentialID": wrong})

    assert refusal(answer) == INVALID
    assert words(answer) == "Invalid parameter credentialID"


def test_csc_69_a_cell_without_a_certificate_is_no_credential(
    signing_service: Service, shop: CscClient
) -> None:
    signing_service.register(BORIS)
    cell = signing_service.credential("b.petrov")

    answer = shop.post("v2/credentials/info", {"credentialID": str(cell)})

    assert refusal(answer) == INVALID
