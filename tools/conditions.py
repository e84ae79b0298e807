"""The health conditions that the code can raise, read from its source: code, severity, text.

What is put together at run time stands in braces.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

AGENT = Path(__file__).parents[1] / "agent"


class Condition(NamedTuple):
    code: str
    severity: str
    text: str


def conditions() -> list[Condition]:
    """Sorted by code; one that is raised with two texts is there twice."""
    return sorted({found for path in AGENT.rglob("*.py") for found in _in_module(path)})


def table() -> str:
    rows = ["| condition | severity | what it says |", "| --- | --- | --- |"]
    rows += [f"| `{c.code}` | {c.severity} | {c.text} |" for c in conditions()]
    return "\n".join(rows)


def _in_module(path: Path) -> Iterator[Condition]:
    tree = ast.parse(path.read_text("utf-8"))
    names = _assigned(tree)
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and _raises(call.func):
            words = {word.arg: word.value for word in call.keywords}
            severity = words.get("severity")
            yield Condition(
                _text(call.args[0], names),
                _text(severity, names) if severity else "warning",
                _text(call.args[1], names).replace("|", "\\|"),
            )


def _raises(called: ast.expr) -> bool:
    """`self._health.set`, `self.health.set`"""
    return (
        isinstance(called, ast.Attribute)
        and called.attr == "set"
        and isinstance(called.value, ast.Attribute)
        and called.value.attr.strip("_") == "health"
    )


def _assigned(tree: ast.AST) -> dict[str, ast.expr]:
    """name, or `self.name` -> the text assigned to it, where it is assigned one."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and _is_text(node.value):
            found[ast.unparse(node.targets[0])] = node.value
    return found


def _text(value: ast.expr, names: dict[str, ast.expr]) -> str:
    if isinstance(value, ast.Constant):
        return str(value.value)
    if isinstance(value, ast.JoinedStr):
        return "".join(_text(part, names) for part in value.values)
    if isinstance(value, ast.FormattedValue):
        return _text(value.value, names)
    written = ast.unparse(value)
    if written in names:
        return _text(names[written], names)
    return "{" + _word(value) + "}"


def _word(value: ast.expr) -> str:
    """`str(error)` as `error`, `self._max_bytes >> 20` as `max_bytes`, `service.name` as `name`."""
    if isinstance(value, ast.Call):
        return _word(value.args[0] if isinstance(value.func, ast.Name) else value.func)
    if isinstance(value, ast.BinOp):
        return _word(value.left)
    return ast.unparse(value).rpartition(".")[2].strip("_")


def _is_text(value: ast.expr) -> bool:
    return isinstance(value, ast.JoinedStr) or (
        isinstance(value, ast.Constant) and isinstance(value.value, str)
    )
