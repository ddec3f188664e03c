"""What a process must not load, it cannot run."""

import subprocess
import sys


def test_the_worker_loads_no_sam_and_phones_processes_load_no_sender() -> None:
    code = (
        "import sys\n"
        "def loaded(*names): return [name for name in sys.modules if name.startswith(names)]\n"
        "import backend.delivery.endpoints, backend.delivery.outbox\n"
        "import backend.delivery.subscriptions, backend.delivery.worker_keys\n"
        "print(loaded('pywebpush', 'aiohttp', 'requests'))\n"
        "import backend.cli.worker\n"
        "print(loaded('backend.sam', 'backend.hsm', 'pkcs11', 'flask', 'werkzeug'))\n"
    )
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert output.stdout.decode().splitlines() == ["[]", "[]"]


def test_who_does_the_clocks_work_loads_no_web_framework() -> None:
    """Worker, clerk and SAM are back the sooner after a crash."""
    code = (
        "import sys, backend.cli.clerk, backend.cli.sam\n"
        "print([name for name in sys.modules if name.startswith(('flask', 'jinja2'))])\n"
    )
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert output.stdout.decode().splitlines() == ["[]"]
