"""Tests in JavaScript, run by Node's own runner."""

import subprocess
from pathlib import Path


def run_node_tests(tests: Path) -> None:
    """Run a file of tests, or a folder's; each must pass, and there must be some."""
    done = subprocess.run(
        ["node", "--test", tests.name + "/" * tests.is_dir()],
        cwd=tests.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# pass 0\n" not in done.stdout
