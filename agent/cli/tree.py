"""The command line as data, read off its parser: for completions and the man page."""
# ruff: noqa: SLF001 - a parser has no public way to be looked into

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field

FILES = ("F", "FILE", "PEM", "TRACK", "F.toml", "F.tar.gz", "F.png", "M.jsonl", "P.toml", "E.jsonl")
COMMON = ("--config", "--set", "--lang", "--help")  # what every command takes


@dataclass(frozen=True, slots=True)
class Argument:
    flags: tuple[str, ...]  # none: by its place
    word: str  # of its value; empty: it takes none
    choices: tuple[str, ...]
    help: str
    required: bool
    many: bool

    @property
    def is_file(self) -> bool:
        return self.word in FILES or self.word.endswith((".csv", ".json", ".toml", ".jsonl"))

    def usage(self) -> str:
        """As it is written: `[--limit ROWS]`, `ORDER`"""
        word = f"{{{','.join(self.choices)}}}" if self.choices else self.word
        text = " ".join(filter(None, (self.flags[-1] if self.flags else "", word)))
        text = f"{text} ..." if self.many else text
        return text if self.required else f"[{text}]"


@dataclass(frozen=True, slots=True)
class Node:
    path: tuple[str, ...]  # `("order", "accept")`; of the program itself nothing
    help: str
    arguments: tuple[Argument, ...]
    children: tuple[Node, ...] = field(default=())

    @property
    def options(self) -> list[Argument]:
        return [argument for argument in self.arguments if argument.flags]

    @property
    def places(self) -> list[Argument]:
        return [argument for argument in self.arguments if not argument.flags]

    def walk(self) -> Iterator[Node]:
        yield self
        for child in self.children:
            yield from child.walk()


def read(parser: argparse.ArgumentParser, path: tuple[str, ...] = (), help_: str = "") -> Node:
    """A parser has no public way to be looked into; these names are as old as argparse."""
    arguments, children = [], []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            said = {one.dest: one.help or "" for one in action._choices_actions}
            children += [
                read(child, (*path, name), said.get(name, ""))
                for name, child in action.choices.items()
                if name in said
            ]
        elif action.help != argparse.SUPPRESS:
            arguments.append(_argument(action))
    return Node(path, help_ or parser.description or "", tuple(arguments), tuple(children))


def _argument(action: argparse.Action) -> Argument:
    choices = tuple(map(str, action.choices or ()))
    word = "" if action.nargs == 0 else str(action.metavar or action.dest.upper())
    by_place = not action.option_strings
    return Argument(
        flags=tuple(sorted(action.option_strings, key=len)),
        word=word,
        choices=choices,
        help=action.help or "",
        required=action.required and not (by_place and action.nargs in ("?", "*")),
        many=isinstance(action, argparse._AppendAction) or action.nargs in ("*", "+"),
    )
