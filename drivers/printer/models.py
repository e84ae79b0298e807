"""What is known of printers by their names: bytes of paper and characters, from public sources.

The widths are those of escpos-printer-db, the data behind python-escpos
(github.com/receipt-print-hq/escpos-printer-db), by model name; where it names both 42 and 48
columns for a model the default of the maker stands. The names are those that printers give
themselves: USB product, IEEE 1284 `MDL`, mDNS `ty`, the answer to GS I 67.

The characters are what Epson's GS I 69 answers (ESC/POS reference; TM-J2000 and RP-U420
specifications): no answer, or another maker, and nothing is known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Model:
    width_mm: int
    columns: int
    dots: int
    cutter: bool


_80_48 = Model(80, 48, 576, cutter=True)
_80_42 = Model(80, 42, 512, cutter=True)
_58 = Model(58, 32, 384, cutter=False)

MODELS: dict[str, Model] = {
    "TM-T20II": _80_48,
    "TM-L90": _80_48,
    "TM-T88II": _80_42,
    "TM-T88III": _80_42,
    "TM-T88IV": _80_42,
    "TM-T88V": _80_42,
    "KR-306": _80_48,
    "RP-F10": _80_48,
    "NT-5890K": _58,
    "POS-5890": _58,
    "POS5890": _58,
    "ZJ-5870": _58,
    "Sunmi V2": _58,
}
# GS I 69, longest beginning first.
_LANGUAGES = (
    ("CHINA GB18030", "gb18030"),
    ("CHINA GB2312", "gbk"),
    ("TAIWAN BIG", "big5"),
    ("KANJI JAPANESE", "shift_jis"),
    ("KOREA", "euc_kr"),
)
_MAKER = re.compile(r"^(epson|seiko epson corp\.?|citizen|zjiang|netum)\s+", re.IGNORECASE)


def known(name: str) -> Model | None:
    """By a name as printers give it: with or without their maker before it."""
    wanted = _MAKER.sub("", name.strip()).casefold()
    for model, facts in MODELS.items():
        if wanted == model.casefold():
            return facts
    return None


def charset_of(language: str) -> str | None:
    """The charset that GS I 69 speaks of; None where it says nothing that is known."""
    for beginning, charset in _LANGUAGES:
        if language.strip().upper().startswith(beginning):
            return charset
    return None
