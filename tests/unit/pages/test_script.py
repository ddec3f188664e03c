"""The script of the pages, by Node: how often a waiting page looks."""

import subprocess
from pathlib import Path

HERE = Path(__file__).parent


def test_a_waiting_page_looks_when_told_and_else_ever_less_often() -> None:
    done = subprocess.run(
        ["node", "--test", "looking.test.mjs"],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# pass 0\n" not in done.stdout
