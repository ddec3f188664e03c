"""An SMS centre that is not ours: npm's `smpp`, driven by `smpp/centre.js`."""

import json
import queue
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "smpp"
EVENTS = (
    "answered",
    "bind",
    "closed",
    "delivered",
    "enquired",
    "listening",
    "submit",
    "throttled",
    "told",
    "unbind",
)
USER, PASSWORD = "cellkey", "passw0rd"


class Centre:
    """A running centre: what it got, and what it is told to do."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._said: dict[str, queue.Queue[dict[str, Any]]] = {
            event: queue.Queue() for event in EVENTS
        }
        self._submitted: list[dict[str, Any]] = []
        self._reading = threading.Thread(target=self._read)
        self._reading.start()
        self.port = self.wait_for("listening")["port"]

    @property
    def url(self) -> str:
        return f"smpp://127.0.0.1:{self.port}"

    def wait_for(self, event: str) -> dict[str, Any]:
        """Give the next event of that name."""
        return self._said[event].get(timeout=120)

    def wait_for_texts(self, count: int) -> list[dict[str, Any]]:
        """Give the next so many parts that were taken."""
        return [self.wait_for("submit") for _ in range(count)]

    def taken(self) -> list[dict[str, Any]]:
        """Give all parts that were taken until now."""
        return list(self._submitted)

    def tell(self, **told: object) -> None:
        """Change how it behaves: see `told` in `centre.js`; a later part has its own words."""
        self.order("tell", told=told)
        self.wait_for("told")

    def report(self, reference: str, state: str, *, message_state: int | None = None) -> None:
        """Report on a text, by text (SMPP 3.4, appendix B) and by optional members if given."""
        text = f"id:{reference} sub:001 dlvrd:001 stat:{state} err:00b text:Secret 1234"
        pdu: dict[str, object] = {"esm_class": 4, "short_message": text}
        if message_state is not None:
            pdu |= {"receipted_message_id": reference, "message_state": message_state}
        self.order("deliver", pdu=pdu)

    def order(self, order: str, **more: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"order": order, **more}) + "\n")
        self._process.stdin.flush()

    def join(self) -> None:
        self._reading.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            if said["event"] == "submit":
                self._submitted.append(said)
            self._said[said["event"]].put(said)


def together(parts: list[dict[str, Any]]) -> str:
    """Read parts as a phone does: in the order of their headers, of one reference."""
    headers = [bytes.fromhex(part["header"]) for part in parts]
    assert len({header[:-1] for header in headers}) == 1
    assert sorted(header[-1] for header in headers) == list(range(1, len(parts) + 1))
    assert {header[-2] for header in headers} == {len(parts)}
    ordered = sorted(zip(headers, parts, strict=True), key=lambda pair: pair[0])
    return "".join(part["message"] for _, part in ordered)


@contextmanager
def running_centre() -> Iterator[Centre]:
    """Run one until the block ends."""
    assert (FOLDER / "node_modules").exists(), "`make test` installs npm's smpp"
    with subprocess.Popen(
        ["node", "centre.js", USER, PASSWORD],
        cwd=FOLDER,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        centre = Centre(process)
        try:
            yield centre
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(120)
            centre.join()
