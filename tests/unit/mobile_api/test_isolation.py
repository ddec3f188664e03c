"""The phones' process cannot sign: it does not even have the code (design, 3 and 10)."""

import subprocess
import sys

FORBIDDEN = (
    "backend.sam",
    "backend.hsm",
    "backend.pki",
    "backend.app",
    "backend.cli",
    "backend.credentials",
    "backend.csc",
    "backend.oauth",
    "backend.clerk",
    "backend.devices.envelope",
    "backend.devices.enrolment",
    "backend.signing.request",
    "backend.signing.release",
    "pkcs11",
)
LIST_MODULES = "import sys, mobile_api.app; print('\\n'.join(sys.modules))"


def test_a_process_of_the_mobile_api_loads_no_code_that_signs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIST_MODULES], check=True, capture_output=True, text=True
    )
    loaded = done.stdout.split()

    assert "mobile_api.transactions" in loaded
    assert not [
        name
        for name in loaded
        if any(name == room or name.startswith(f"{room}.") for room in FORBIDDEN)
    ]
