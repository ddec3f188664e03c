"""The app's protocol modules, by Node: docs/test-vectors.json, and what must be refused."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[4]


def test_the_modules_agree_with_the_vectors() -> None:
    done = subprocess.run(
        ["node", "--test", "tests/authenticator/"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# pass 0\n" not in done.stdout
