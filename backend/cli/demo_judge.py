"""Step 10 of `cellkey demo`: `pdfsig` of poppler, which is not our code, has the last word.

It is given an NSS database that trusts the installation's root certificate and nothing else. The
demo prints what it says, word by word, and fails where it does not say both sentences.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from backend.cli.demo_installation import Stage
from backend.cli.demo_processes import StepFailed
from backend.virtual_phone.screen import frame

PROGRAMS: Final = ("pdfsig", "certutil")
INSTALL: Final = "apt-get install poppler-utils libnss3-tools"
SENTENCES: Final = ("Signature is Valid.", "Certificate is Trusted.")
TRUST: Final = "CT,C,C"
"""Certifies servers and clients, e-mail (as which pdfsig takes a signer), code."""
SECONDS: Final = 60


def check_programs() -> None:
    """Find the judge before anything begins.

    Raises:
        StepFailed: it is not installed.
    """
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        raise StepFailed(f"not installed: {', '.join(missing)}", todo=f"Install: {INSTALL}")


def judge(stage: Stage, pdf: Path) -> None:
    """Step 10: let pdfsig check the PDF.

    Raises:
        StepFailed: it does not call the signature valid and the certificate trusted.
    """
    tell, words = stage.tell, stage.tell.words
    tell.step(words.steps.judge)
    tell.line(words.judge_trusts)
    with tell.working(words.judging):
        said = verdict(pdf, root=stage.data / "root.pem", database=stage.folder / "nss")
    tell.framed(words.screens.judge, frame([said.splitlines()], width=72))
    for sentence in SENTENCES:
        if sentence not in said:
            raise StepFailed(f"pdfsig does not say {sentence!r} of {pdf}")
    tell.succeed(words.valid)


def verdict(pdf: Path, *, root: Path, database: Path) -> str:
    """Ask pdfsig about a PDF; it trusts ``root`` alone.

    Raises:
        StepFailed: a program failed.
    """
    database.mkdir(mode=0o700, exist_ok=True)
    place = f"sql:{database}"
    _run("certutil", "-N", "-d", place, "--empty-password")
    _run("certutil", "-A", "-d", place, "-n", "root", "-t", TRUST, "-i", str(root))
    return _run("pdfsig", "-nssdir", place, str(pdf))


def _run(program: str, *arguments: str) -> str:
    found = shutil.which(program) or program
    done = subprocess.run(  # noqa: S603  # found on the PATH; the arguments are ours
        [found, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | {"LC_ALL": "C.UTF-8"},
        timeout=SECONDS,
        check=False,
    )
    said = done.stdout.decode("utf-8", errors="replace").strip()
    if done.returncode:
        raise StepFailed(f"{program} failed: {said}")
    return said
