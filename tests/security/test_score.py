"""docs/security.md: the tests that its table names exist, and its sum is right."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
ROW = re.compile(r"^\| (\d+) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
TEST = re.compile(r"`([\w/]+\.py)::(\w+)`")


class Check(NamedTuple):
    number: int
    how: str
    tests: list[tuple[str, str]]


def checks() -> list[Check]:
    return [Check(int(n), how, TEST.findall(tests)) for n, _, how, tests in ROW.findall(PAGE)]


def test_all_thirty_are_there_once() -> None:
    assert [check.number for check in checks()] == list(range(1, 31))


def test_every_test_that_is_named_exists() -> None:
    missing = [
        f"{path}::{name}"
        for check in checks()
        for path, name in check.tests
        if name not in named_in(ROOT / "tests" / path)
    ]
    assert missing == []


def named_in(path: Path) -> set[str]:
    if not path.exists():
        return set()
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_what_has_no_test_is_called_open_and_the_sum_says_how_many() -> None:
    open_ = [check.number for check in checks() if not check.tests]
    assert [check.number for check in checks() if check.how == "**open**"] == open_
    assert f"{30 - len(open_)} of 30 have one" in PAGE
