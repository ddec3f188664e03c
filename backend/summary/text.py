"""What comes out: words for the phone's screen, and for its lock screen."""

from typing import Literal, final
from zoneinfo import ZoneInfo

import msgspec

Language = Literal["ru", "en"]


@final
class Reader(msgspec.Struct, frozen=True, kw_only=True):
    """For whom a text is written: in which language, and by which clock."""

    lang: Language
    zone: ZoneInfo


@final
class Text(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Exactly the ``text`` member of an ask (docs/phone-protocol.md 2)."""

    lang: Language
    title: str
    lines: tuple[str, ...]


@final
class PushText(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a locked screen may show: nothing of the transaction (T-28)."""

    title: str
    body: str
