"""Settings: no secret has a default, no switch turns a check off, a typing error is refused."""

from pathlib import Path

import pytest

from backend.errors import SettingsInvalid
from backend.settings import Environment, HsmKind, Settings, SmsGatewayKind, read_settings

PKCS11 = {
    "CELLKEY_HSM": "pkcs11",
    "CELLKEY_PKCS11_MODULE": "/usr/lib/softhsm/libsofthsm2.so",
    "CELLKEY_PKCS11_PIN_FILE": "/run/secrets/pin",
}


def test_without_settings_it_is_the_embedded_default_under_one_folder() -> None:
    settings = read_settings({"PATH": "/bin"})

    assert settings.environment is Environment.DEVELOPMENT
    assert settings.hsm is HsmKind.SOFTWARE
    assert settings.sam_socket is None
    assert settings.database == f"sqlite:///{Path('var/cellkey.sqlite3').absolute()}"


def test_every_file_lies_in_the_data_folder_unless_it_is_named() -> None:
    settings = read_settings({"CELLKEY_DATA_DIR": "/srv/cellkey"})
    files = (
        settings.public_keys_path,
        settings.root_certificate_path,
        settings.software_vault_path,
        settings.worker_key_path,
        settings.worker_public_key_path,
        settings.vapid_key_path,
    )

    assert {file.parent for file in files} == {Path("/srv/cellkey")}
    assert len(set(files)) == len(files)


@pytest.mark.parametrize("name", ["worker_key", "worker_public_key", "vapid_key"])
def test_a_named_file_is_the_one_that_is_used(name: str) -> None:
    settings = read_settings({f"CELLKEY_{name.upper()}_FILE": "/run/secrets/key"})

    assert getattr(settings, f"{name}_path") == Path("/run/secrets/key")


def test_a_named_database_is_the_one_that_is_used() -> None:
    url = "postgresql+psycopg://cellkey@/cellkey?host=/run/postgresql"

    assert read_settings({"CELLKEY_DATABASE_URL": url}).database == url


def test_a_time_zone_is_one_of_the_iana() -> None:
    assert read_settings({"CELLKEY_TIME_ZONE": "Asia/Omsk"}).time_zone == "Asia/Omsk"
    for wrong in ("Omsk", "asia/omsk", "../UTC", ""):
        with pytest.raises(SettingsInvalid, match="CELLKEY_TIME_ZONE"):
            read_settings({"CELLKEY_TIME_ZONE": wrong})


def test_an_address_to_wait_at_needs_a_database_that_tells_changes() -> None:
    url = {"CELLKEY_WAIT_URL": "https://wait.example.org"}
    postgresql = {"CELLKEY_DATABASE_URL": "postgresql+psycopg://cellkey@/cellkey"}

    assert read_settings(url | postgresql).wait_url == "https://wait.example.org"
    with pytest.raises(SettingsInvalid, match="needs PostgreSQL"):
        read_settings(url)
    with pytest.raises(SettingsInvalid, match="CELLKEY_WAIT_URL must be https"):
        read_settings(postgresql | {"CELLKEY_WAIT_URL": "http://wait.example.org"})


def test_lists_are_read_as_json() -> None:
    settings = read_settings(
        {"CELLKEY_SAM_PEERS": "[33, 1000]", "CELLKEY_PUSH_HOSTS": '["push.example.org"]'}
    )

    assert settings.sam_peers == (33, 1000)
    assert settings.push_hosts == ("push.example.org",)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CELLKEY_DATABSE_URL", "sqlite://"),  # a typing error
        ("CELLKEY_ENVIRONMENT", "test"),
        ("CELLKEY_HSM", "none"),
        ("CELLKEY_SAM_PEERS", "33"),
        ("CELLKEY_SAM_PEERS", "[33"),
        ("CELLKEY_SAM_PEERS", '["root"]'),
        ("CELLKEY_TRANSACTION_SECONDS", "0"),
        ("CELLKEY_TRANSACTION_SECONDS", "five"),
        ("CELLKEY_USE_SECONDS", "601"),
        ("CELLKEY_FIRST_APPROVAL_SECONDS", "86401"),
        ("CELLKEY_MULTISIGN", "10001"),
        ("CELLKEY_PENDING_PER_SIGNER", "0"),
        ("CELLKEY_PENDING_PER_SIGNER", "21"),
        ("CELLKEY_REQUESTS_PER_MINUTE", "0"),
        ("CELLKEY_REQUESTS_PER_MINUTE", "-1"),
        ("CELLKEY_REQUESTS_PER_MINUTE", "none"),
        ("CELLKEY_REQUESTS_PER_MINUTE", "600001"),
        ("CELLKEY_PUSHES_PER_TEN_MINUTES", "0"),
        ("CELLKEY_PUSHES_PER_TEN_MINUTES", "61"),
        ("CELLKEY_CALLS_PER_MINUTE", "59"),
        ("CELLKEY_TOKENS_PER_MINUTE", "0"),
        ("CELLKEY_AUTHORIZATIONS_PER_MINUTE", "5"),
        ("CELLKEY_PHONE_CALLS_PER_MINUTE", "29"),
        ("CELLKEY_FAILURES_PER_MINUTE", "0"),
        ("CELLKEY_PROXIES", "6"),
        ("CELLKEY_SMS_GATEWAY", "modem"),
        ("CELLKEY_SMS_USER", "two words"),
        ("CELLKEY_SMS_SENDER", "a name that is too long"),
        ("CELLKEY_SMS_SENDER", "+7999000112233445"),
        ("CELLKEY_SMS_PREFIXES", '[""]'),
        ("CELLKEY_SMS_PREFIXES", '["79"]'),
        ("CELLKEY_SMS_PARTS_PER_NUMBER", "2"),
        ("CELLKEY_SMS_PARTS_PER_NEIGHBOURHOOD", "0"),
        ("CELLKEY_SMS_PARTS_PER_RELYING_PARTY", "-1"),
        ("CELLKEY_SMS_PARTS_PER_DAY", "none"),
    ],
)
def test_an_unknown_name_or_a_value_that_does_not_fit_is_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsInvalid):
        read_settings({name: value})


@pytest.mark.parametrize(
    "given",
    [
        {"CELLKEY_CLIENT_CERTIFICATE_HEADER": "X-Client-Cert"},
        {"CELLKEY_TRUSTED_PROXIES": '["10.0.0.1"]'},
    ],
)
def test_a_header_with_certificates_is_believed_of_named_proxies_alone(
    given: dict[str, str],
) -> None:
    with pytest.raises(SettingsInvalid, match="TRUSTED_PROXIES"):
        read_settings(given)


def test_texts_are_shown_on_a_console_while_trying_out_and_sent_by_nobody_in_production() -> None:
    production = {"CELLKEY_ENVIRONMENT": "production"} | PKCS11

    assert read_settings({}).sms is SmsGatewayKind.CONSOLE
    assert read_settings({}).sends_sms
    assert not read_settings({"CELLKEY_SMS_GATEWAY": "off"}).sends_sms
    assert read_settings(production).sms is SmsGatewayKind.OFF
    assert not read_settings(production).sends_sms
    assert read_settings(production | {"CELLKEY_SMS_GATEWAY": "smpp"}).sends_sms


def test_production_refuses_the_console_as_gateway() -> None:
    with pytest.raises(SettingsInvalid, match="CELLKEY_SMS_GATEWAY"):
        read_settings(
            {"CELLKEY_ENVIRONMENT": "production", "CELLKEY_SMS_GATEWAY": "console"} | PKCS11
        )


def test_prefixes_of_numbers_are_a_list() -> None:
    settings = read_settings({"CELLKEY_SMS_PREFIXES": '["+79", "+375"]'})

    assert settings.sms_prefixes == ("+79", "+375")


def test_production_refuses_software_cells() -> None:
    with pytest.raises(SettingsInvalid, match="production needs"):
        read_settings({"CELLKEY_ENVIRONMENT": "production"})

    assert read_settings({"CELLKEY_ENVIRONMENT": "production"} | PKCS11).hsm is HsmKind.PKCS11


@pytest.mark.parametrize("missing", ["CELLKEY_PKCS11_MODULE", "CELLKEY_PKCS11_PIN_FILE"])
def test_an_hsm_needs_its_module_and_its_pin(missing: str) -> None:
    with pytest.raises(SettingsInvalid, match=missing):
        read_settings({name: value for name, value in PKCS11.items() if name != missing})


def test_where_the_sam_has_its_socket_only_its_own_process_names_the_token() -> None:
    production = {"CELLKEY_ENVIRONMENT": "production", "CELLKEY_HSM": "pkcs11"}

    settings = read_settings(production | {"CELLKEY_SAM_SOCKET": "/run/cellkey/sam.sock"})

    assert settings.pkcs11_pin_file is None


@pytest.mark.parametrize("name", ["AUTHORIZATION_SERVER_URL", "MOBILE_API_URL", "APP_URL"])
@pytest.mark.parametrize(
    "url", ["http://sign.example.org", "http://10.0.0.1", "sign.example.org", "ftp://localhost", ""]
)
def test_csc_12_an_address_without_tls_outside_this_machine_is_refused(name: str, url: str) -> None:
    """CSC-12."""
    with pytest.raises(SettingsInvalid, match=name):
        read_settings({f"CELLKEY_{name}": url})


@pytest.mark.parametrize(
    "url",
    ["https://sign.example.org", "http://127.0.0.1:8600", "http://[::1]:1", "http://localhost"],
)
def test_tls_or_loopback_is_taken(url: str) -> None:
    assert read_settings({"CELLKEY_APP_URL": url}).app_url == url


def test_no_setting_holds_a_secret_itself() -> None:
    """Whatever is named like a secret must be the path of a file."""
    for field in Settings.__struct_fields__:
        if any(word in field.split("_") for word in ("pin", "key", "password", "secret")):
            assert field.endswith("_file"), field


def test_a_colour_on_which_white_letters_are_not_read_is_refused() -> None:
    """WCAG 2.2, 1.4.3."""
    assert read_settings({"CELLKEY_APP_COLOR": "#767676"}).app_color == "#767676"
    for color in ("#777777", "#ffffff"):
        with pytest.raises(SettingsInvalid, match="APP_COLOR"):
            read_settings({"CELLKEY_APP_COLOR": color})
    for color in ("1e4078", "#1e407", "#1E4078", "red"):
        with pytest.raises(SettingsInvalid):
            read_settings({"CELLKEY_APP_COLOR": color})


def test_amounts_that_a_code_may_approve_are_a_list_of_currency_and_value() -> None:
    given = read_settings({"CELLKEY_CODE_AMOUNTS": '["RUB 1.00", "JPY 500"]'})
    assert given.code_amounts == ("RUB 1.00", "JPY 500")
    assert read_settings({"CELLKEY_CODE_AMOUNTS": "[]"}).code_amounts == ()
    for wrong in ('["RUB"]', '["RUB -1"]', '["rub 1.00"]', '["RUB 1 "]', '["RUB 01"]', '"RUB 1"'):
        with pytest.raises(SettingsInvalid):
            read_settings({"CELLKEY_CODE_AMOUNTS": wrong})
