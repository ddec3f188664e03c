"""An authenticator app that shows the next code at each press of its button (RFC 4226)."""

from dataclasses import dataclass

from pyotp import HOTP


@dataclass(kw_only=True)
class CountingApp:
    """The app; what it shows it never shows again."""

    seed: str
    counter: int = 0

    def press(self) -> str:
        """Show the next code."""
        self.counter += 1
        return self.at(self.counter - 1)

    def at(self, counter: int) -> str:
        """Show the code of a counter; an app would not, who watched it can."""
        return HOTP(self.seed, digits=8).at(counter)
