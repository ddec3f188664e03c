"""Writes docs/csc-conformance.md: ``python -m tests.conformance``."""

import sys

from tests.conformance.ids import claims, faults, requirements
from tests.conformance.page import PAGE, page

if __name__ == "__main__":
    asked, tested = requirements(), claims()
    PAGE.write_text(page(asked, tested), encoding="utf-8")
    sys.exit("\n".join(faults(asked, tested)))
