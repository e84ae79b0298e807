"""What the agent says to people, in their language.

The code says everything in English; a catalogue a language (`zh.py`) holds each sentence with holes
beside its translation. A finished sentence finds its entry again, so conditions, errors and answers
of a running agent can be shown in another language by whoever shows them: the command line, the
page. What has no entry stays English. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Literal, NamedTuple

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")

TEXT_MAX = 4000  # characters; longer is no sentence of ours
DEEP = 4  # a condition quotes an error, which quotes what the system says
_HOLE = re.compile(r"\{(\w+)\}")
# Holes with sentences in them. The others hold names, paths and figures, which stay as they are:
# a printer may be called `ready`.
QUOTES = {
    *("action", "advice", "doing", "done", "error", "fault", "reason", "remedy", "reply"),
    *("stage", "text", "user", "what", "why"),
}


class Entry(NamedTuple):
    """A sentence between its holes, e.g. `("printer ", " is gone: ", "")`."""

    literals: tuple[str, ...]
    holes: tuple[str, ...]
    said: str  # with the same holes

    def weight(self) -> int:
        """The more of a sentence is ours, the surer it is meant."""
        return sum(map(len, self.literals))

    def ours(self) -> bool:
        """Not only punctuation between what others say."""
        return any(any(map(str.isalpha, literal)) for literal in self.literals)

    def match(self, text: str) -> dict[str, str] | None:
        """What stands in the holes. The leftmost way is taken, so this takes linear time."""
        first, *rest = self.literals
        if not text.startswith(first):
            return None
        if not rest:
            return {} if text == first else None
        last, at, found = rest.pop(), len(first), []
        if len(text) < at + len(last) or not text.endswith(last):
            return None
        for literal in rest:
            end = text.find(literal, at, len(text) - len(last))
            if end < 0:
                return None
            found.append(text[at:end])
            at = end + len(literal)
        found.append(text[at : len(text) - len(last)])
        return dict(zip(self.holes, found, strict=True))


class Words:
    """One language's catalogue: English sentence with holes -> sentence."""

    def __init__(self, catalogue: Mapping[str, str]) -> None:
        self.catalogue = catalogue
        self._entries = sorted(
            (
                Entry(tuple(parts[::2]), tuple(parts[1::2]), said)
                for parts, said in ((_HOLE.split(key), said) for key, said in catalogue.items())
            ),
            key=Entry.weight,
            reverse=True,
        )

    def of(self, text: str, deep: int = DEEP) -> str:
        """A finished English sentence in this language; as it is where there is no entry."""
        if len(text) > TEXT_MAX:
            return text
        for entry in self._entries:
            if (found := entry.match(text)) is None:
                continue
            told = {
                name: self.of(value, deep - 1) if deep and name in QUOTES else value
                for name, value in found.items()
            }
            if entry.ours() or told != found:
                return _filled(entry.said, told)
        return text

    def say(self, sentence: str, **values: object) -> str:
        """A sentence of the code with its values, which are not translated."""
        said = self.catalogue.get(sentence, sentence)
        return _filled(said, {name: str(value) for name, value in values.items()})


@cache
def words(language: Language) -> Words:
    """The catalogue of a language; English has none and needs none."""
    if language == "zh":
        from agent.words.zh import SAYINGS

        return Words(SAYINGS)
    return Words({})


def say(text: str, language: Language) -> str:
    """A finished English sentence, as of a condition or an error, in a language."""
    return words(language).of(text)


def _filled(said: str, values: Mapping[str, str]) -> str:
    """Not `str.format`: what stands in a hole may hold braces."""
    text = _HOLE.sub(lambda hole: values.get(hole[1], hole[0]), said)
    return text.replace("？。", "？")  # a question that was quoted
