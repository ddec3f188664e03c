"""The quick start of docs/relying-party.md: its own commands, from nothing to signed PDF files."""

import re
from pathlib import Path

import pytest

from tests.world.page_reader import ROOT, blocks, follow
from tests.world.pdf_judges import GOOD, pyhanko_trusts
from tests.world.relying_party import make_pdf

PAGE = (ROOT / "docs/relying-party.md").read_text()
QUICK_START = PAGE.split("## Quick start", maxsplit=1)[1].split("\n## ")[0]


@pytest.mark.sms
def test_the_quick_start_ends_with_two_signed_pdf_files(tmp_path: Path) -> None:
    """One by curl, one by Python; pdfsig and pyHanko judge both, trusting our root alone."""
    script = "\n".join(blocks(QUICK_START))
    (program,) = blocks(QUICK_START, "python")
    (tmp_path / "contract.pdf").write_bytes(make_pdf("Contract 17"))
    assert script.count("cellkey ") >= 6
    assert script.count("pdfsig ") == 2

    done = follow(script, tmp_path, sign__py=program)

    assert done.returncode == 0, done.stderr
    for words in GOOD:
        assert done.stdout.count(words) == 2, done.stdout
    for name in ("signed.pdf", "signed-by-python.pdf"):
        assert pyhanko_trusts((tmp_path / name).read_bytes(), tmp_path / "var/root.pem")


def test_the_quick_start_has_no_command_that_is_not_run() -> None:
    """All but ``make serve``, whose lines the test takes from the Makefile."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```", QUICK_START, re.DOTALL | re.MULTILINE)

    assert [text for kind, text in fenced if kind not in {"sh", "python"}] == ["make serve\n"]
