"""Which bytes a printer's own characters have, decided line by line.

A Chinese printer draws ASCII and the two-byte codes of its character ROM. What the ROM lacks
(emoji, Thai, rare hanzi: everything that would need a four-byte GB18030 code) has no bytes here:
such a line is sent as a picture. A two-byte character takes two columns, ASCII one; Unicode's East
Asian Width says the same of every GBK code, so columns can be counted before a charset is chosen.
"""

from __future__ import annotations

import re
import unicodedata

CODECS = {
    "gb18030": "gbk",  # ROMs of "GB18030" printers hold the two-byte part
    "gbk": "gbk",
    "big5": "big5",
    "shift_jis": "shift_jis",
    "euc_kr": "euc_kr",
    "utf8": "utf-8",  # the printer must have been set to it; its ROM is unknown to us
}

# The half-width signs that order data carry and two-byte charsets lack.
LOOKALIKES = str.maketrans(
    {"¥": "￥", "\u00a0": " ", "\u2022": "·", "\u2013": "—", "\u2212": "-", "€": "EUR "}
)
_CONTROL = "\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\u202a-\u202e\u2066-\u2069"
_CONTROLS = re.compile(f"[{_CONTROL}]+")
_TO_CLEAN = re.compile(f"[{_CONTROL}{''.join(map(chr, LOOKALIKES))}\ud800-\udfff]")


def clean(text: str) -> str:
    """Order text without anything a printer could take as a command, on one line.

    Control characters (C0 with ESC, GS and DLE, C1, line separators) become one space, those that
    turn the direction of writing likewise; lookalikes are replaced; lone surrogates vanish.
    """
    if text.isascii():
        return (text if text.isprintable() else _CONTROLS.sub(" ", text)).strip()
    if _TO_CLEAN.search(text):
        text = _CONTROLS.sub(" ", text.translate(LOOKALIKES))
        text = text.encode("utf-8", "ignore").decode("utf-8")
    return unicodedata.normalize("NFC", text).strip()


def encode(text: str, charset: str) -> bytes | None:
    """The bytes of `text`, or None when the charset lacks a character; controls are dropped."""
    if text.isascii():
        return (text if text.isprintable() else _CONTROLS.sub("", text)).encode("ascii")
    text = _CONTROLS.sub("", text)
    if text.isascii():
        return text.encode("ascii")
    codec = CODECS.get(charset)
    if codec is None:
        return None
    try:
        data = text.encode(codec)
    except UnicodeEncodeError:
        return None
    ascii_only = len(text.encode("ascii", "ignore"))
    if codec != "utf-8" and len(data) != 2 * len(text) - ascii_only:
        return None  # a single high byte: a half-width katakana, the euro of code page 936
    return data


def multibyte(charset: str) -> bool:
    """Whether the charset needs the printer's two-byte mode."""
    return CODECS.get(charset, "utf-8") != "utf-8"


def columns(text: str) -> int:
    """Columns that the text takes at normal width."""
    if text.isascii():
        return len(text)
    try:
        return len(text.encode("gbk"))  # a byte a column, see above; ten times as fast as counting
    except UnicodeEncodeError:
        return sum(_columns(ch) for ch in text)


def clusters(text: str) -> list[str]:
    """Characters with the marks that combine with them; each is drawn and wrapped as one."""
    found: list[str] = []
    for ch in text:
        if found and _columns(ch) == 0:
            found[-1] += ch
        else:
            found.append(ch)
    return found


def _columns(ch: str) -> int:
    if ch.isascii():
        return 1
    if unicodedata.category(ch) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(ch) in "WFA" else 1
