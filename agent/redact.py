"""Text that leaves the shop for a support engineer: what is nobody's business is taken out.

Secrets by their names and by their looks, people's phones, mails and addresses; positions stay as
an area of about a kilometre. Rather too much than too little. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "(hidden)"
PLACES = 2  # decimals of a degree that stay: 0.01 of latitude are 1.1 km

_NOT_TO_BE_TOLD = (
    r"password|passwd|passphrase|secret|token|pin|psk|api_?key|private(?:_key)?|credentials?"
    r"|authorization|cookie|csrf|otp|enrol\w*_code"
)
_PEOPLE = r"phone|mobile|tel|address|customer|recipient|person|e?mail|ssid|essid|note|tax_id"
_SECRET_KEY = re.compile(rf"(?i)(^|[._-])({_NOT_TO_BE_TOLD})($|[._-])")
# `name = value` in whatever notation: TOML, JSON, Python, an URL's query, a log's fields.
_NAME = r"(?i)(?<![a-z0-9])((?:[a-z0-9]{{1,40}}[._-]){{0,5}}(?:{})[\"']?\s*[:=]\s*)"
_QUOTED = r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'"
_NAMED = re.compile(
    _NAME.format(_NOT_TO_BE_TOLD) + rf"({_QUOTED}|(?:(?:bearer|basic)\s+)?[^\s,;&}}\])]+)"
)
_PERSONAL = re.compile(_NAME.format(_PEOPLE) + rf"({_QUOTED}|[^\n,;&}}\])]+)")
_PEM = re.compile(r"-----BEGIN [A-Z0-9 ]+-----.*?(?:-----END [A-Z0-9 ]+-----|\Z)", re.DOTALL)
_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9+/=._~-]{8,}")
_LONG = re.compile(r"(?<![A-Za-z0-9+/_=-])(?=[A-Za-z+/_-]*[0-9])[A-Za-z0-9+/_-]{32,}={0,2}")
_MAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}")
_PHONES = (
    re.compile(r"(?<![\d.])(?:\+?86[ -]?)?1[3-9]\d[ -]?\d{4}[ -]?\d{4}(?![\d.])"),
    re.compile(r"(?<![\d.])0\d{2,3}[ -]\d{7,8}(?![\d.])"),
    re.compile(r"\+\d[\d ().-]{6,18}\d"),
    re.compile(r"(?<![\d.])\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}(?![\d.])"),
)
_NMEA = re.compile(r"[$!](?=G|P|BD|A)[A-Z0-9]{4,8},[^\r\n\"']*")
_NMEA_DEGREES = re.compile(r"\b\d{4,5}\.\d{2,8},[NSEW]\b")
_DECIMAL = re.compile(r"(?<![\d.])-?\d{1,3}\.\d{3,}(?![\d.])")
_CHINESE_ADDRESS = re.compile(
    r"[\u4e00-\u9fff][\u4e00-\u9fffA-Za-z0-9-]{0,40}?"
    r"(?:大道|路|街|巷|弄|胡同|小区|花园|公寓|大厦|广场|村|[0-9A-Za-z一二三四五六七八九十]{1,6}(?:号|栋|幢|座|单元|室|楼|层))"
    r"[\u4e00-\u9fffA-Za-z0-9-]{0,60}"
)
_STREET = re.compile(
    r"\b\d{1,5}[A-Za-z]?(?: [A-Z][\w'.-]{0,30}){1,4} "
    r"(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Square|Boulevard|Blvd)\b\.?"
)
_MAC = re.compile(r"\b((?:[0-9A-Fa-f]{2}:){3})(?:[0-9A-Fa-f]{2}:){2}[0-9A-Fa-f]{2}\b")
TEXT_MAX = 4 * 1024 * 1024


def text(said: str) -> str:
    """The text with `(hidden)` where something stood that must not leave."""
    said = _PEM.sub(HIDDEN, said[:TEXT_MAX])
    said = _USERINFO.sub(HIDDEN + "@", said)
    said = _NAMED.sub(rf"\1{HIDDEN}", said)
    said = _BEARER.sub(HIDDEN, said)
    said = _MAIL.sub(HIDDEN, said)
    said = _NMEA.sub(_sentence, said)
    said = _NMEA_DEGREES.sub(HIDDEN, said)
    said = _MAC.sub(r"\1xx:xx:xx", said)
    for phone in _PHONES:
        said = phone.sub(HIDDEN, said)
    said = _CHINESE_ADDRESS.sub(HIDDEN, said)
    said = _STREET.sub(HIDDEN, said)
    said = _PERSONAL.sub(rf"\1{HIDDEN}", said)
    said = _LONG.sub(HIDDEN, said)
    return _DECIMAL.sub(_coarse, said)


def value(key: str, found: Any) -> Any:
    """A setting or a fact under a dotted key, as it may leave; tables and lists with their keys."""
    if isinstance(found, Mapping):
        return {str(k): value(f"{key}.{k}" if key else str(k), v) for k, v in found.items()}
    if isinstance(found, list | tuple):
        return [value(key, item) for item in found]
    if found is None or isinstance(found, bool):
        return found
    if _SECRET_KEY.search(key) and found != "":
        return HIDDEN
    if isinstance(found, float):
        return round(found, PLACES) if _is_fine(found) else found
    return text(found) if isinstance(found, str) else found


def _is_fine(number: float) -> bool:
    """Whether it could be a coordinate."""
    return abs(number) <= 180 and round(number, PLACES) != number


def _sentence(nmea: re.Match[str]) -> str:
    return f"{nmea[0].partition(',')[0]},{HIDDEN}"


def _coarse(number: re.Match[str]) -> str:
    return f"{float(number[0]):.{PLACES}f}"
