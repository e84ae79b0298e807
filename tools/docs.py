"""Writes what the documents say about the code from the code itself.

`python tools/docs.py` rewrites the marked regions of docs/*.md

    <!-- generated: settings -->
    ...
    <!-- /generated -->

and the two schemas; `--check` only says which of them are out of date.
"""
# ruff: noqa: E402 - run as a script, the agent is found only after its folder was named

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from agent.cli.config import schema
from tools import asyncapi, conditions, schemas, tables

REGION = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- /generated -->)", re.DOTALL)

TABLES: Mapping[str, Callable[[], str]] = {
    "settings": tables.settings,
    "topics": tables.topics,
    "events": tables.events,
    "order": tables.order,
    "presence": tables.presence,
    "drivers": tables.drivers,
    "cli": tables.command_line,
    "commands": tables.device_commands,
    "conditions": conditions.table,
}


def fill(page: str) -> str:
    """The page with every marked region written anew; KeyError for a name that nobody writes."""
    return REGION.sub(lambda found: f"{found[1]}\n{TABLES[found[2]]()}\n\n{found[3]}", page)


def wanted() -> dict[Path, str]:
    """Every generated file with the content that it should have."""
    files = {page: fill(page.read_text("utf-8")) for page in sorted((ROOT / "docs").glob("*.md"))}
    files[ROOT / "config" / "edge.schema.json"] = schema() + "\n"
    files[ROOT / "docs" / "asyncapi.json"] = asyncapi.document() + "\n"
    for name, text in schemas.files().items():
        files[ROOT / "docs" / "schemas" / name] = text + "\n"
    return files


def stale() -> list[Path]:
    return [
        path
        for path, text in wanted().items()
        if not path.exists() or path.read_text("utf-8") != text
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the generated parts of the documents.")
    parser.add_argument("--check", action="store_true", help="fail when something is out of date")
    old = stale()
    if parser.parse_args().check:
        if old:
            names = ", ".join(str(path.relative_to(ROOT)) for path in old)
            sys.exit(f"out of date: {names}; run: python tools/docs.py")
        return
    files = wanted()
    for path in old:  # whole or not at all, should two run at once
        new = path.with_suffix(f".{os.getpid()}")
        new.write_text(files[path], "utf-8")
        new.replace(path)


if __name__ == "__main__":
    main()
