"""Which numbers of a stream are accounted for: the arithmetic behind every acknowledgement.

Pure. A number is accounted for when its event is stored or when something explains why it will not
come. Only the unbroken run from 1 may be acknowledged; what arrived beyond the first hole is kept
as runs, so that the work depends on the number of holes and not on the number of events.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple


class Span(NamedTuple):
    """The numbers `first .. last`, both included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of one (device, epoch, stream): 1 .. `contiguous`, and the runs beyond the first hole.

    The runs rise, do not overlap and do not touch. A part of them is enough to add to: those that
    overlap `window()` of what is added.
    """

    contiguous: int = 0
    ahead: tuple[Span, ...] = ()

    def add(self, accounted: Iterable[Span]) -> Coverage:
        """With these numbers accounted for as well, in whatever order and however often."""
        runs = [Span(0, self.contiguous)]
        for run in sorted((*self.ahead, *accounted)):
            first, last = runs[-1]
            if run.first > last + 1:
                runs.append(run)
            elif run.last > last:
                runs[-1] = Span(first, run.last)
        return Coverage(runs[0].last, tuple(runs[1:]))


def window(accounted: Iterable[Span]) -> Span:
    """All that these numbers can overlap or touch."""
    spans = list(accounted)
    return Span(min(span.first for span in spans) - 1, max(span.last for span in spans) + 1)
