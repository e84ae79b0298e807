"""Which texts of an answer are sentences of ours, and those in the reader's language. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from agent.words import Language, say

# By command; `*` is every one of a list. Answers that are a single text are sentences, too.
SENTENCES: dict[str, tuple[tuple[str, ...], ...]] = {
    "status": (("health", "*", "text"), ("link", "trouble")),
    "doctor": (("*", "text"),),
    "gps.view": (("why",),),
    "config.try": (("problems", "*"),),
}


def spoken(command: str, answer: Any, language: Language) -> Any:
    if language == "en":
        return answer
    if isinstance(answer, str):
        return say(answer, language)
    if command not in SENTENCES:
        return answer
    value = msgspec.to_builtins(answer)
    for path in SENTENCES[command]:
        value = _changed(value, path, lambda text: say(text, language))
    return value


def _changed(value: Any, path: tuple[str, ...], change: Callable[[str], str]) -> Any:
    if not path:
        return change(value) if isinstance(value, str) else value
    first, *rest = path
    if first == "*":
        return [_changed(one, tuple(rest), change) for one in value]
    if value is None or first not in value:
        return value
    return value | {first: _changed(value[first], tuple(rest), change)}
