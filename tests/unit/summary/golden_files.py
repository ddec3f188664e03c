"""Writes what signers read: ``python -m tests.unit.summary.golden_files``.

From each ``golden/*.json`` that is a request come its texts and, where the kind is asked by SMS,
its SMS, in both languages; from each kind its schema. Read the difference before you commit it: it
is what signers will read. ``test_golden.py`` compares.
"""

import json
from collections.abc import Iterator
from typing import Final

from backend.summary.catalogue import KINDS
from backend.summary.render import push_text, sms_pairing_code
from backend.summary.schema import json_schema
from tests.unit.summary.requests import GOLDEN, golden, rendered, sms

REQUESTS: Final = sorted(path.stem for path in GOLDEN.glob("*.json") if "schema" not in path.name)
LANGUAGES: Final = ("ru", "en")


def files() -> dict[str, str]:
    """Every golden file but the requests, by its name."""
    return dict((*_texts(), *_fixed(), *_schemas()))


def _texts() -> Iterator[tuple[str, str]]:
    for name in REQUESTS:
        request = golden(name)
        for lang in LANGUAGES:
            text = rendered(request, lang)
            yield f"{name}.{lang}.txt", "\n".join((text.title, "", *text.lines, ""))
            if KINDS[request["fields"]["type"]].sms:
                yield f"{name}.{lang}.sms.txt", sms(request, lang) + "\n"


def _fixed() -> Iterator[tuple[str, str]]:
    for lang in LANGUAGES:
        code = sms_pairing_code(
            lang=lang, ca_name="Cellkey Demo CA", twelve="ABCD2345WXYZ", code="00123456"
        )
        yield f"sms_pairing_code.{lang}.txt", code + "\n"
        push = push_text(lang)
        yield f"push.{lang}.txt", f"{push.title}\n\n{push.body}\n"


def _schemas() -> Iterator[tuple[str, str]]:
    for kind in sorted(KINDS):
        text = json.dumps(json_schema(kind), ensure_ascii=False, indent=2)
        yield f"{kind}.schema.json", text + "\n"


if __name__ == "__main__":
    for file_name, content in files().items():
        (GOLDEN / file_name).write_text(content, encoding="utf-8")
