"""While the link is down: what was recorded live, and what hindsight can put in its place; pure.

The live messages go on being recorded, so a power cut costs no more than it does online. Every
quarter of an hour that passes without a link they are replaced by a trace, which is better and
shorter; what is younger than that when the link is back, before anything is sent.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from agent.positioning.kalman import State
from agent.positioning.reporting import Report
from agent.positioning.trace import Trace
from agent.positioning.tracker import Estimate


@dataclass(slots=True)
class Chunk:
    """Some minutes without a link."""

    trace: Trace = field(default_factory=Trace)
    old: list[tuple[int, float]] = field(default_factory=list)  # seq and s of what was recorded


@dataclass(slots=True)
class Backlog:
    """`recorded` for each message about the newest estimate, then `add` that estimate."""

    _chunk: Chunk = field(default_factory=Chunk)

    def recorded(self, seq: int, report: Report) -> None:
        self._chunk.old.append((seq, report.t))
        if report.reason == "fence":
            self._chunk.trace.mark(report.t, "fence")

    def add(self, estimate: Estimate, state: State, *, waits: bool) -> Chunk | None:
        """What may be told anew now. `waits`: nothing that is recorded is being sent."""
        if not waits:
            self.clear()
            return None
        self._chunk.trace.add(estimate, state)
        return self.take() if self._chunk.trace.full else None

    def take(self) -> Chunk | None:
        """What waits so far; None when there is nothing of it to tell anew."""
        chunk, self._chunk = self._chunk, Chunk()
        return None if chunk.trace.empty or not chunk.old else chunk

    def clear(self) -> None:
        if self._chunk.old or not self._chunk.trace.empty:
            self._chunk = Chunk()
