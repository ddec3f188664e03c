"""Coverage watches only those tests that cover the rooms of the gate (Makefile: COVERING).

To be watched costs a test half as much again, by all code that it runs. Modules are loaded while
coverage watches, as it counts their lines, before it looks away for the first time.
"""

import os
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Final

import pytest
from coverage import Coverage

_OF_PROCESSES: Final = "COVERAGE_PROCESS_CONFIG"
"""Tells a process that a test starts to watch itself."""


class Watch:
    """Looks away, and looks again."""

    def __init__(self, names: list[str]) -> None:
        """Watch tests of these files and folders."""
        self._paths = tuple(Path(name).absolute() for name in names)
        self._resting: list[Coverage] = []

    def load_rooms(self) -> None:
        """Load all modules of the gate, which the settings of coverage name."""
        for folder in Coverage().config.source_dirs:
            room = folder.replace("/", ".")
            for found in walk_packages([folder], f"{room}."):
                import_module(found.name)

    def look_at(self, item: pytest.Item) -> None:
        """Watch a test, or do not; processes that it starts are never watched."""
        if any(item.path.is_relative_to(path) for path in self._paths):
            self._look()
        else:
            self.look_away()
        os.environ.pop(_OF_PROCESSES, None)

    def look_away(self) -> None:
        """Watch nothing; one coverage may rest beneath another."""
        while watching := Coverage.current():
            watching.stop()
            self._resting.append(watching)

    def _look(self) -> None:
        while self._resting:
            watching = self._resting.pop()
            # All is loaded, and was seen.
            watching._warn_preimported_source = False
            watching.start()
