"""Questions to a person at a terminal, however plain: checked at once, with what is wrong and what
to do. Answers that were given beforehand (flags, a file) are checked the same way and not asked.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from agent.cli import common
from agent.layers import ConfigError
from agent.words import Words

Check = Callable[[str], str | None]  # what is wrong with it, and what to do
YES = ("y", "yes", "是", "对", "好", "有", "听")
NO = ("n", "no", "否", "不", "没有")


class Stopped(Exception):
    """The person ended the questions: Ctrl-C, Ctrl-D."""


class Asker:
    """`given`: answers by key; `kept`: those of an earlier attempt, offered as defaults."""

    def __init__(
        self, words: Words, given: dict[str, Any], kept: dict[str, Any], *, unattended: bool
    ) -> None:
        self.words = words
        self.unattended = unattended
        self._given = given
        self._kept = kept

    def text(self, key: str, question: str, default: str = "", check: Check | None = None) -> str:
        """A line; empty takes the default. Optional ones have the default ""."""
        if key in self._given or self.unattended:
            return self._beforehand(key, default, check)
        default = str(self._kept.get(key, default) or "")
        while True:
            answer = self._line(question, f" [{default}]" if default else "") or default
            wrong = check(answer) if check is not None else None
            if wrong is None:
                return answer
            self.say(wrong)

    def choice(self, key: str, question: str, choices: Sequence[str], default: str = "") -> str:
        """One of the choices, by its name, its beginning or its number."""

        def check(answer: str) -> str | None:
            if _chosen(answer, choices) is None:
                return self.words.say("answer with one of: {choices}", choices=", ".join(choices))
            return None

        for number, choice in enumerate(choices, 1):
            if key not in self._given and not self.unattended:
                print(f"  {number}) {self.words.of(choice)}")
        return _chosen(self.text(key, question, default, check), choices) or default

    def yes(self, key: str, question: str, *, default: bool) -> bool:
        if key in self._given:
            return bool(self._given[key])
        if self.unattended:
            return default
        hint = self.words.say(" [Y/n]") if default else self.words.say(" [y/N]")
        while True:
            answer = self._line(question, hint).lower()
            if not answer:
                return default
            if answer.startswith(YES):
                return True
            if answer.startswith(NO):
                return False
            self.say(self.words.say("answer with y or n"))

    def secret(self, question: str) -> str:
        import getpass

        try:
            return getpass.getpass(f"{question}: ")
        except EOFError:
            raise Stopped from None

    def say(self, *lines: str) -> None:
        for line in lines:
            print(common.plain(line))

    def _line(self, question: str, hint: str) -> str:
        try:
            return input(f"{common.plain(question)}{common.plain(hint)}: ").strip()
        except EOFError:
            print()
            raise Stopped from None
        except UnicodeDecodeError:
            return ""

    def _beforehand(self, key: str, default: str, check: Check | None) -> str:
        answer = str(self._given.get(key, default))
        wrong = check(answer) if check is not None else None
        if wrong is not None:
            raise ConfigError([f"{key}: {wrong}"])
        return answer


def _chosen(answer: str, choices: Sequence[str]) -> str | None:
    if answer.isascii() and answer.isdigit():
        return choices[int(answer) - 1] if 0 < int(answer) <= len(choices) else None
    fitting = [choice for choice in choices if answer and choice.startswith(answer.lower())]
    return fitting[0] if len(fitting) == 1 else None


def at_terminal() -> bool:
    return sys.stdin.isatty()
