"""The sentences that the code can say to people, read from its source, with holes in braces.

Errors (`DriverError`, `Rejected`, ...), health conditions and findings, wherever their text stands
in the call itself or in what was assigned to a name in the same module; and what is said through a
catalogue (`words.say("...")`).
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
# What the demo says, and the tools of who runs the back end, is for other people.
ELSEWHERE = (
    *("agent/demo/", "agent/consumer/", "agent/operators/", "agent/swarm/", "agent/words/"),
    *("agent/fleet/ca", "agent/fleet/publishing", "agent/fleet/audit_source"),
    *("agent/cli/ca", "agent/cli/operate", "agent/cli/update"),
)
# called -> which argument is the text
TEXTS = {
    "DriverError": 0,
    "StoreError": 0,
    "Stuck": 0,
    "NotRunning": 0,
    "Rejected": 1,
    "Finding": 2,
    "Ended": 0,
}
DEEP = 4

Assigned = dict[str, list[ast.expr]]


class Text(NamedTuple):
    where: str  # path:line
    text: str


def texts() -> list[Text]:
    """Sorted by where they stand."""
    paths = [*(ROOT / "agent").rglob("*.py"), *(ROOT / "drivers").rglob("*.py")]
    return [
        text
        for path in sorted(paths)
        if not (where := path.relative_to(ROOT).as_posix()).startswith(ELSEWHERE)
        for text in _in_module(path, where)
    ]


def _in_module(path: Path, where: str) -> Iterator[Text]:
    tree = ast.parse(path.read_text("utf-8"))
    everywhere = _assigned(tree)
    top = {ast.unparse(node.targets[0]) for node in tree.body if isinstance(node, ast.Assign)}
    shared = {name: values for name, values in everywhere.items() if "." in name or name in top}
    done: set[ast.Call] = set()
    for scope in [*_functions(tree), tree]:
        assigned = shared | (everywhere if scope is tree else _assigned(scope))
        for node in ast.walk(scope):
            if isinstance(node, ast.Call) and node not in done and (said := _said(node)):
                done.add(node)
                for text in dict.fromkeys(_texts(said, assigned, DEEP)):
                    yield Text(f"{where}:{node.lineno}", text)


def _functions(tree: ast.AST) -> list[ast.AST]:
    """Those that hold no other first: a name means what its own function gave it."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return [node for node in ast.walk(tree) if isinstance(node, kinds)][::-1]


def _assigned(scope: ast.AST) -> Assigned:
    found: Assigned = defaultdict(list)
    for node in ast.walk(scope):
        if isinstance(node, ast.Assign):
            found[ast.unparse(node.targets[0])].append(node.value)
    return found


def _said(call: ast.Call) -> ast.expr | None:
    """The argument that holds the sentence."""
    name = ast.unparse(call.func)
    last = name.rpartition(".")[2]
    at = TEXTS.get(last)
    if last == "set" and name.removesuffix(".set").endswith("health"):
        at = 1
    elif last in ("_say", "_may", "_ask_for") or name.endswith("words.say"):
        return _literal(call)
    return call.args[at] if at is not None and len(call.args) > at else None


def _literal(call: ast.Call) -> ast.expr | None:
    """A sentence that is said through a catalogue is a constant."""
    first = call.args[0] if call.args else None
    return first if isinstance(first, ast.Constant) and isinstance(first.value, str) else None


def _texts(value: ast.expr, assigned: Assigned, deep: int) -> list[str]:
    """Each way in which it may read."""
    if isinstance(value, ast.Constant):
        return [] if value.value is None else [str(value.value)]
    if isinstance(value, ast.IfExp):
        return _texts(value.body, assigned, deep) + _texts(value.orelse, assigned, deep)
    if isinstance(value, ast.JoinedStr):
        parts = [_texts(part, assigned, deep) for part in value.values]
        return ["".join(way) for way in product(*parts)]
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
        parts = [_texts(side, assigned, deep) for side in (value.left, value.right)]
        return ["".join(way) for way in product(*parts)]
    if isinstance(value, ast.FormattedValue):
        value = value.value
    known = assigned.get(ast.unparse(value), []) if deep else []
    ways = [
        way
        for one in known
        if isinstance(one, ast.Constant | ast.JoinedStr | ast.IfExp | ast.BinOp)
        for way in _texts(one, assigned, deep - 1)
    ]
    return [way for way in ways if way] or ["{}"]
