"""What a process must not load, it cannot run."""

import subprocess
import sys


def test_the_process_that_holds_who_waits_loads_nothing_that_signs_opens_or_reads() -> None:
    code = (
        "import sys, backend.cli.wait\n"
        "rooms = ('sam', 'hsm', 'pki', 'signing', 'signers', 'devices', 'credentials', 'csc',"
        " 'oauth', 'access', 'delivery', 'clerk', 'app', 'virtual_phone')\n"
        "names = tuple(f'backend.{room}' for room in rooms) + ('pkcs11', 'mobile_api')\n"
        "print([name for name in sys.modules if name.startswith(names)])\n"
    )
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert output.stdout.decode().strip() == "[]"
