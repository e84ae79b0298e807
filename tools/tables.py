"""The generated tables: settings, topics, events, drivers, commands; from the types themselves."""

from __future__ import annotations

import argparse
import inspect
import json
import re
from collections.abc import Iterator, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import NODEFAULT, UNSET, Meta

from agent.cli import parser
from agent.commands import AREAS
from agent.config import SECTIONS, Config
from agent.contract.events import BODIES, Event, Gap
from agent.contract.orders import Order
from agent.contract.presence import Presence
from agent.fleet.commands import CommandTable
from drivers.catalog import CATALOG, load
from tools.channels import CHANNELS

PLAIN = {str: "text", int: "integer", float: "number", bool: "true or false", Any: "anything"}
COMMENT = re.compile(r"^    (\w+): .*?  # (.+)$", re.MULTILINE)
EVERYWHERE = {"-h", "--config", "--set", "--lang"}  # options that every command has


def settings() -> str:
    """Every setting of every section."""
    parts = []
    for at, type_ in _sections(Config, ""):
        doc = inspect.cleandoc(type_.__doc__ or "")
        rows = [
            [f"`{field.encode_name}`", _type(hint), _default(field), _meaning(type_, field, hint)]
            for field, hint in _fields(type_)
            if not _is_section(hint)
        ]
        table = _table(["setting", "type", "default", "meaning"], rows)
        title = f"### `{at}`\n\n" if at else ""
        parts.append(f"{title}{doc}\n\n{table}" if at else f"{title}{table}")
    return "\n\n".join(parts)


def topics() -> str:
    rows = [[f"`{c.address}`", c.sender, "yes" if c.retained else "no", c.what] for c in CHANNELS]
    return _table(["topic", "who publishes", "retained", "payload"], rows)


def events() -> str:
    """Every kind with the fields of its body, and the envelope around it."""
    parts = [f"### The envelope\n\n{_struct(Event)}"]
    for kind, body in BODIES.items():
        stream = "of the stream with the hole" if body is Gap else f"stream `{body.STREAM}`"
        doc = _doc(body)
        parts.append(f"### `{kind}`, {stream}\n\n{doc}{_struct(body)}")
    return "\n\n".join(parts)


def order() -> str:
    return _tree(Order)


def presence() -> str:
    return _tree(Presence)


def drivers() -> str:
    return "\n\n".join(_drivers_of(kind) for kind in CATALOG)


def command_line() -> str:
    rows = [[f"`{usage}`", help_] for usage, help_ in _leaves(parser(), "edge-agent")]
    return _table(["command", "what it does"], rows)


def device_commands() -> str:
    table = CommandTable(None)  # type: ignore[arg-type]  # nothing is recorded here
    for area in AREAS:
        area.add_to(area.__new__(area), table)  # type: ignore[arg-type]  # only its names are used
    rows = []
    for entry in table.entries():
        params = "; ".join(
            f"`{field.encode_name}`{'' if field.required else '?'} {_type(hint)}"
            for field, hint in _fields(entry.params)
        )
        remote = "no"
        if entry.remote:
            dangerous = ", dangerous" if entry.dangerous else ""
            remote = f"{entry.scope}, {entry.nature}{dangerous}"
        rows.append([f"`{entry.name}`", entry.summary, params or "none", remote])
    return _table(["command", "what it does", "parameters", "over MQTT"], rows)


# --- of one thing ---------------------------------------------------------------------------------


def _drivers_of(kind: str) -> str:
    section = SECTIONS.get(kind)
    parts = [f"### {kind}\n\n" + _table(["name", "summary"], _summaries(kind))]
    for name in CATALOG[kind]:
        if section is None:
            continue  # a printer's settings stand in its section and its URI
        own = name in _names(_structs_in(get_type_hints(Config)[section]))
        at = f"[{section}.{name}]" if own else f"[{section}]"
        type_ = load(kind, name).settings
        if msgspec.structs.fields(type_):
            parts.append(f"`{at}`\n\n{_doc(type_)}{_struct(type_, defaults=True)}")
    return "\n\n".join(parts)


def _summaries(kind: str) -> list[list[str]]:
    return [[f"`{name}`", load(kind, name).summary] for name in CATALOG[kind]]


def _tree(type_: type[msgspec.Struct]) -> str:
    """A message and the messages in it."""
    seen, parts = [type_], [_struct(type_)]
    for outer in seen:
        for _, hint in _fields(outer):
            for inner in _structs_in(hint):
                if inner not in seen:
                    seen.append(inner)
                    parts.append(f"`{inner.__name__}`\n\n{_struct(inner)}")
    return "\n\n".join(parts)


def _names(types: Sequence[type[msgspec.Struct]]) -> set[str]:
    return {field.encode_name for type_ in types for field in msgspec.structs.fields(type_)}


def _struct(type_: type[msgspec.Struct], *, defaults: bool = False) -> str:
    rows = []
    for field, hint in _fields(type_):
        name = f"`{field.encode_name}`" + ("" if field.required or defaults else "?")
        null = " or null" if field.required and NoneType in get_args(hint) else ""
        row = [name, _type(hint) + null]
        rows.append([*row, *([_default(field)] if defaults else []), _meaning(type_, field, hint)])
    return _table(["field", "type", *(["default"] if defaults else []), ""], rows)


def _leaves(at: argparse.ArgumentParser, path: str, help_: str = "") -> Iterator[tuple[str, str]]:
    """Each command that does something, with its arguments."""
    usage = path
    for action in at._actions:  # noqa: SLF001 - argparse has no public way to look into a parser
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for said in action._choices_actions:  # noqa: SLF001
                child = action.choices[said.dest]
                yield from _leaves(child, f"{path} {said.dest}", said.help or "")
            return
        if not EVERYWHERE & set(action.option_strings):
            usage += f" {_argument(action)}"
    yield usage, help_


def _argument(action: argparse.Action) -> str:
    word = "{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.metavar
    word = str(word or action.dest.upper())
    if not action.option_strings:
        return f"[{word}]" if action.nargs == "?" else word
    text = action.option_strings[-1] + ("" if action.nargs == 0 else f" {word}")
    return text if action.required else f"[{text}]"


# --- types as people read them --------------------------------------------------------------------


def _sections(type_: type[msgspec.Struct], at: str) -> Iterator[tuple[str, type[msgspec.Struct]]]:
    yield at, type_
    for field, hint in _fields(type_):
        if _is_section(hint):
            name = f"{at}.{field.encode_name}".lstrip(".")
            many = get_origin(hint) is list
            for inner in _structs_in(hint):
                yield (f"[[{name}]]" if many else f"[{name}]"), inner


def _is_section(hint: Any) -> bool:
    return bool(_structs_in(hint))


def _structs_in(hint: Any) -> list[type[msgspec.Struct]]:
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return [hint]
    return [found for arg in get_args(hint) for found in _structs_in(arg)]


def _fields(type_: type[msgspec.Struct]) -> list[tuple[msgspec.structs.FieldInfo, Any]]:
    hints = get_type_hints(type_, include_extras=True)
    return [(field, hints[field.name]) for field in msgspec.structs.fields(type_)]


def _doc(type_: type) -> str:
    doc = inspect.cleandoc(type_.__dict__.get("__doc__") or "")
    return f"{' '.join(doc.split())}\n\n" if doc else ""


def _meaning(type_: type, field: msgspec.structs.FieldInfo, hint: Any) -> str:
    """The description in its type, else the comment behind it in the source."""
    for meta in getattr(hint, "__metadata__", ()):
        if isinstance(meta, Meta) and meta.description:
            return meta.description
    return dict(COMMENT.findall(inspect.getsource(type_))).get(field.name, "")


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    if field.default_factory is not NODEFAULT:
        return "none"
    value = field.default
    if value is None or value == "" or isinstance(value, tuple):
        return "none" if not value else "three beacons around one place"
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def _type(hint: Any) -> str:
    """A type in words: `integer 1 to 9`, `"shop" or "rider"`, `list of text`."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        limits = ", ".join(filter(None, map(_limits, args[1:])))
        if limits and get_origin(args[0]) is list:
            return f"list ({limits}) of {_type(get_args(args[0])[0])}"
        return f"{_type(args[0])} ({limits})" if limits else _type(args[0])
    if origin is Literal:
        return ", ".join(f"`{json.dumps(arg)}`" for arg in args)
    if origin in {Union, UnionType}:
        return " or ".join(_type(arg) for arg in args if arg not in {NoneType, type(UNSET)})
    if origin in {list, tuple}:
        return f"list of {_type(args[0])}"
    if origin is dict:
        return "table" if args[1] is Any else f"table of {_type(args[1])}"
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return f"`{hint.__name__}`"
    return "JSON" if hint is msgspec.Raw else PLAIN[hint]


def _limits(meta: Meta) -> str:
    words = []
    if meta.gt is not None:
        words.append(f"> {meta.gt:,}")
    if meta.ge is not None:
        words.append(f"{meta.ge:,} to {meta.le:,}" if meta.le is not None else f"≥ {meta.ge:,}")
    if meta.lt is not None:
        words.append(f"< {meta.lt:,}")
    if meta.max_length is not None:
        words.append(f"at most {meta.max_length}")
    return ", ".join(words)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    escaped = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped)
