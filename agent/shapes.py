"""Plain data against a type, going on after each problem; msgspec stops at the first."""

from __future__ import annotations

from collections.abc import Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec

# What a pattern does not say of itself, by setting.
WHY = {
    "device.id": "; letters, digits, - and _, 64 at most. No dot: RabbitMQ makes two levels of the"
    " topic of it, and nothing would arrive",
}


def walk(value: Any, type_: Any, where: str) -> list[str]:
    """Every problem of plain data that shall be of a type, as lines `where.key: what is wrong`."""
    origin, args = get_origin(type_), get_args(type_)
    if origin is Annotated:
        inner = walk(value, args[0], where)
        return inner or _leaf(value, type_, where)
    if origin in (Union, UnionType) and type(None) in args and value is not None:
        rest = [arg for arg in args if arg is not type(None)]
        if len(rest) == 1:
            return walk(value, rest[0], where)
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct) and isinstance(value, dict):
        return _struct(value, type_, where)
    if origin is list and isinstance(value, list):
        lines = []
        for n, item in enumerate(value):
            label = item.get("name") or item.get("id") if isinstance(item, dict) else None
            lines += walk(item, args[0], f"{where}[{label or n + 1}]")
        return lines
    return _leaf(value, type_, where)


def _struct(value: dict[str, Any], type_: type[msgspec.Struct], where: str) -> list[str]:
    dot = f"{where}." if where else ""
    hints = get_type_hints(type_, include_extras=True)
    fields = {field.encode_name: field for field in msgspec.structs.fields(type_)}
    lines = []
    for key, item in value.items():
        if key in fields:
            lines += walk(item, hints[fields[key].name], f"{dot}{key}")
        else:
            lines.append(f"{dot}{key}: there is no such setting{hint(key, list(fields))}")
    return lines + [
        f"{dot}{name}: is missing"
        for name, field in fields.items()
        if field.required and name not in value
    ]


def _leaf(value: Any, type_: Any, where: str) -> list[str]:
    try:
        msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        more = WHY.get(where, "")
        choices = [arg for arg in get_args(type_) if isinstance(arg, str)]
        if choices and isinstance(value, str):
            more = f"{hint(value, choices)}; it can be {', '.join(choices)}"
        return [f"{where or 'configuration'}: {_plain(str(error))}, not {value!r}{more}"]
    return []


def _plain(message: str) -> str:
    return message.partition(" - at `")[0].replace("`", "").removesuffix(".")


def hint(word: str, known: Sequence[str]) -> str:
    """What was perhaps meant."""
    from difflib import get_close_matches  # for who made a mistake

    close = get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
