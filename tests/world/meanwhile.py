"""Something happens between the SAM's answer and the commit that keeps it."""

from collections.abc import Callable
from typing import Any


class Meanwhile:
    """The SAM; something happens while it works."""

    def __init__(self, sam: Any, happens: Callable[[], object]) -> None:  # noqa: ANN401  # a Sam
        """Keep whom to ask, and what happens then."""
        self._sam = sam
        self._happens = happens

    def approve_by_code(self, request: Any) -> Any:  # noqa: ANN401  # the SAM's structs
        """As the SAM; then it happens."""
        approved = self._sam.approve_by_code(request)
        self._happens()
        return approved

    def amend(self, request: Any) -> Any:  # noqa: ANN401  # the SAM's structs
        """As the SAM; then it happens."""
        done = self._sam.amend(request)
        self._happens()
        return done
