"""The ten minutes of README.md: its own commands, from an empty folder to a verified signature."""

from pathlib import Path

import pytest

from tests.world.page_reader import ROOT, blocks, follow

README = (ROOT / "README.md").read_text()


@pytest.mark.sms
def test_the_ten_minutes_of_the_readme_end_with_verified_ok(tmp_path: Path) -> None:
    script = "\n".join(blocks(README))
    assert script.count("cellkey ") >= 5

    done = follow(script, tmp_path, README__md=README)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "Verified OK"
