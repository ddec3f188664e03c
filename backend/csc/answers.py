"""What CSC calls answer of the service and of credentials (CSC API 11.1, 11.5)."""

import base64
from binascii import b2a_base64
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal

from backend.credentials.view import Credential
from backend.csc.algorithms import SIGN_OIDS, key_oids
from backend.settings import Settings
from backend.signing.authorization import PHONE, Authorization

APP: Final = "app"
"""Id of the one authentication object: the phone, out of band (CSC API 2.0, 8.3)."""
V2_METHODS: Final = (
    "info",
    "auth/login",
    "auth/revoke",
    "credentials/list",
    "credentials/info",
    "credentials/authorize",
    "credentials/authorizeCheck",
    "credentials/getChallenge",
    "credentials/extendTransaction",
    "signatures/signHash",
)
_NOT_IN_V1: Final = ("credentials/authorizeCheck", "credentials/getChallenge")
V1_METHODS: Final = tuple(method for method in V2_METHODS if method not in _NOT_IN_V1)

Certificates = Literal["none", "single", "chain"]


def service_info(settings: Settings, *, specs: str, methods: Sequence[str]) -> dict[str, Any]:
    """What both editions say of the service."""
    return {
        "specs": specs,
        "name": settings.ca_name,
        "logo": f"{settings.authorization_server_url}/csc/logo.png",
        "region": settings.region,
        "lang": "en",
        "description": "Signatures by keys in HSM cells that the signer's phone opens.",
        "authType": ["basic", "oauth2code", "oauth2client"],
        "oauth2": settings.authorization_server_url,
        "methods": list(methods),
    }


def service_info_v2(settings: Settings) -> dict[str, Any]:
    """``info`` of v2: with algorithms; of documents nothing is offered."""
    return service_info(settings, specs="2.2.0.0", methods=V2_METHODS) | {
        "asynchronousOperationMode": False,
        "validationInfo": False,
        "signAlgorithms": {"algos": list(SIGN_OIDS), "algoParams": [None] * len(SIGN_OIDS)},
        "signature_formats": {"formats": [], "envelope_properties": []},
        "conformance_levels": [],
        "supportsRar": True,
        "supportedHashTypes": ["dtbsr"],
    }


def credential_info(
    credential: Credential, *, certificates: Certificates, cert_info: bool
) -> dict[str, Any]:
    """The members that both editions share."""
    curve = credential.certificate.curve
    return {
        "description": credential.name,
        "key": {
            "status": "enabled" if credential.key_enabled else "disabled",
            "algo": list(key_oids(credential.algorithm)),
            "len": credential.certificate.key_bits,
        }
        | ({} if curve is None else {"curve": curve}),
        "cert": _certificate(credential, certificates=certificates, cert_info=cert_info),
        "SCAL": "2",
        "multisign": credential.multisign,
        "lang": credential.lang,
    }


def authentication(*, explicit: bool) -> dict[str, Any]:
    """v2: the phone, out of band; the relying party hands in nothing (CSC-134).

    ``objects`` is there in any case: some clients demand it.
    """
    if not explicit:
        return {"mode": "oauth2code", "objects": []}
    phone = {"type": "ChallengeResponseOOB", "id": APP, "label": "Phone"}
    return {"mode": "explicit", "expression": APP, "objects": [phone]}


def sad_of(found: Authorization) -> dict[str, Any]:
    """What the relying party collects by.

    CSC has no member for how the signer approved (CSC-71): ours stands there only where no phone
    did, so that a relying party may refuse the lower level.
    """
    told: dict[str, Any] = {"SAD": found.csc_sad, "expiresIn": found.expires_in}
    if found.method != PHONE:
        told["method"] = found.method
    return told


def signatures(values: Sequence[bytes]) -> dict[str, Any]:
    """``signHash``: in the order of the hashes."""
    return {"signatures": [b2a_base64(value, newline=False).decode("ascii") for value in values]}


def _certificate(
    credential: Credential, *, certificates: Certificates, cert_info: bool
) -> dict[str, Any]:
    facts = credential.certificate
    told: dict[str, Any] = {"status": "expired" if credential.expired else "valid"}
    if certificates != "none":
        chain = credential.chain if certificates == "chain" else credential.chain[:1]
        told["certificates"] = [_base64(der) for der in chain]
    if cert_info:
        told |= {
            "issuerDN": facts.issuer,
            "serialNumber": facts.serial_number,
            "subjectDN": facts.subject,
            "validFrom": _generalized(facts.valid_from),
            "validTo": _generalized(facts.valid_to),
        }
    return told


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _generalized(moment: datetime) -> str:
    return f"{moment:%Y%m%d%H%M%SZ}"
