"""What a command does not load, nobody waits for: at a counter, or in a script."""

import subprocess
import sys

LOADED = """
import sys
from importlib import import_module
from backend.cli.main import COMMANDS
for name in sys.argv[1:]:
    import_module(COMMANDS[name].module)
print("\\n".join(sys.modules))
"""
WEB = {"flask", "jinja2", "marshmallow", "werkzeug"}


def test_operators_commands_load_no_web_framework() -> None:
    loaded = modules_of("signer", "relying-party", "transaction", "db", "hsm", "doctor")

    assert "backend.services" in loaded
    assert not loaded & WEB


def test_a_virtual_phone_loads_no_database() -> None:
    loaded = modules_of("phone")

    assert "backend.virtual_phone" in loaded
    assert not loaded & (WEB | {"sqlalchemy", "psycopg", "backend.model"})


def modules_of(*commands: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *commands], check=True, capture_output=True, text=True
    )
    return set(done.stdout.split())
