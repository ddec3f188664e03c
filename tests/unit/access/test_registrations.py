"""backend/access/registrations.py"""

import json
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey
from sqlalchemy.orm import Session, sessionmaker

from backend.access.registrations import (
    Registration,
    RegistrationChange,
    change_registration,
    find_registration,
)
from backend.access.relying_parties import add_relying_party, disable_relying_party
from backend.errors import NotFound, RequestRefused
from tests.world.certificates import a_certificate
from tests.world.clock import START

CALLBACK = "https://shop.example/callback?a=b"


@pytest.fixture
def shop(session_factory: sessionmaker[Session]) -> sessionmaker[Session]:
    with session_factory() as session:
        add_relying_party(session, name="Shop", client_id="shop", now=START)
    return session_factory


def change(sessions: sessionmaker[Session], **members: Any) -> Registration:  # noqa: ANN401  # members of RegistrationChange
    with sessions() as session:
        return change_registration(session, client_id="shop", change=RegistrationChange(**members))


def jwks(*keys: object) -> str:
    return json.dumps({"keys": keys})


def test_without_more_a_relying_party_has_a_secret_and_asks_by_itself(
    shop: sessionmaker[Session],
) -> None:
    with shop() as session:
        found = find_registration(session, "shop")

    assert found is not None
    assert found.auth_methods == ("client_secret_basic", "client_secret_post")
    assert (found.grants, found.scopes) == (("client_credentials",), ("service",))
    assert (found.redirect_uris, found.jwks, found.certificate) == ((), None, None)


def test_what_is_registered_is_read_again_and_the_rest_stays(
    shop: sessionmaker[Session],
) -> None:
    ec, rsa = ECKey.generate_key("P-256"), RSAKey.generate_key(2048)
    keys = jwks(ec.as_dict(private=False), rsa.as_dict(private=False))
    grants = ("authorization_code", "refresh_token")
    change(shop, redirect_uris=(CALLBACK, "http://127.0.0.1:7000/"), grants=grants)
    change(shop, jwks=keys, auth_methods=("private_key_jwt",))
    after = change(shop, certificate=a_certificate("shop"), scopes=("service", "credential"))

    with shop() as session:
        assert find_registration(session, "shop") == after
    assert after.redirect_uris == (CALLBACK, "http://127.0.0.1:7000/")
    assert after.grants == grants
    assert len(after.certificate or b"") == 32


def test_who_is_not_there_or_disabled_is_nobody(shop: sessionmaker[Session]) -> None:
    with shop() as session:
        disable_relying_party(session, client_id="shop", now=START)
        for client_id in ("shop", "nobody", "shop\x00", "\udcff", ""):
            assert find_registration(session, client_id) is None
        with pytest.raises(NotFound):
            change_registration(session, client_id="shop", change=RegistrationChange())


URIS = (
    "http://shop.example/",
    "https:///path",
    "https://shop.example/#a",
    "https://shop.example/ a",
    "https://user@shop.example/",
    "https://shop.example:x/",
    "https://[::1/",
    "https://магазин.example/",
    "https://shop.example;img-src/",
    "https://shop.example'/",
    "https://shop.example/\n",
    "com.example.app:/callback",
    "javascript:alert(1)",
    "data:text/html,a",
    "//shop.example/",
    "https://shop.example/" + "a" * 1000,
    "",
)
MEMBERS: tuple[dict[str, Any], ...] = (
    {"grants": ("password",)},
    {"scopes": ("openid",)},
    {"auth_methods": ("none",)},
    {"grants": ("authorization_code",)},
    {"grants": ("refresh_token",), "redirect_uris": (CALLBACK,)},
    {"auth_methods": ("private_key_jwt",)},
    {"auth_methods": ("tls_client_auth",)},
    {"redirect_uris": tuple(f"https://shop.example/{number}" for number in range(21))},
    {"certificate": "no certificate"},
    {"certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"},
)
KEYS = (
    "",
    "[]",
    "{}",
    jwks(),
    jwks(1),
    jwks({"kty": "EC"}),
    jwks(ECKey.generate_key("P-256").as_dict(private=True)),
    jwks(ECKey.generate_key("P-384").as_dict(private=False)),
    jwks(OctKey.generate_key(256).as_dict()),
    "x" * 40_000,
)


def test_t_46_no_code_goes_to_an_address_that_another_could_take(
    shop: sessionmaker[Session],
) -> None:
    for uri in URIS:
        with pytest.raises(RequestRefused):
            change(shop, grants=("authorization_code",), redirect_uris=(uri,))


def test_what_would_not_work_is_not_registered(shop: sessionmaker[Session]) -> None:
    for members in MEMBERS:
        with pytest.raises(RequestRefused):
            change(shop, **members)
    with shop() as session:
        found = find_registration(session, "shop")
    assert found is not None
    assert found.grants == ("client_credentials",)


def test_keys_are_public_and_of_a_kind_that_we_verify(shop: sessionmaker[Session]) -> None:
    for text in KEYS:
        with pytest.raises(RequestRefused):
            change(shop, jwks=text)


def test_nobody_is_added_with_what_would_not_work(session_factory: sessionmaker[Session]) -> None:
    wanted = RegistrationChange(grants=("authorization_code",))
    with session_factory() as session:
        with pytest.raises(RequestRefused):
            add_relying_party(session, name="Shop", client_id="shop", now=START, change=wanted)
        assert find_registration(session, "shop") is None
