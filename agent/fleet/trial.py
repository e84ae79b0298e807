"""How a wished configuration comes into force and stays, or goes again by itself; pure.

    wished -> (waiting) -> trying -> in force
                             |
                             +----> rolled back: for good, for that version

It is applied only while the broker is reached, so an outage that began before it is never held
against it: what is wished meanwhile waits. From then it has five minutes to reach the broker again.
They are counted by the machine's monotonic clock and survive restarts of the agent; another boot
counts them anew, because nobody knows how long it was off. Three starts in a row that did not end
in order within that time take it back as well, whether it reached the broker or not. An outage that
begins in these five minutes and outlasts them takes back a good one: it is told with what the link
said, and a higher version brings it again.
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import msgspec

from agent.contract.commands import Desired

T = TypeVar("T", bound=msgspec.Struct)

TRIAL_S = 300.0
CRASHES = 3
DROPPED_KEPT = 50


class Trial(msgspec.Struct, frozen=True):
    """What is in force, until it has proven itself."""

    version: int
    before: Desired | None  # to go back to
    boot: str
    since: float  # monotonic s of that boot
    starts: int = 0  # in a row that did not end in order
    reached: bool = False  # the broker, with it


class Verdict(msgspec.Struct, frozen=True):
    """Of the last wish that did not come into force."""

    version: int | None
    state: Literal["refused", "rolled_back"]
    error: str


class Standing(msgspec.Struct, frozen=True):
    in_force: Desired | None = None
    trial: Trial | None = None
    waiting: Desired | None = None  # good, to be applied when the broker is reached
    verdict: Verdict | None = None
    told: bool = True  # whether the back end was told the verdict
    dropped: tuple[int, ...] = ()  # versions that were taken back

    def is_news(self, version: int) -> bool:
        newest = max((d.version for d in (self.in_force, self.waiting) if d), default=None)
        return (newest is None or version > newest) and version not in self.dropped

    def wait(self, wish: Desired) -> Standing:
        return _but(self, waiting=wish)

    def apply(self, wish: Desired, boot: str, t: float) -> Standing:
        """In force from the next start on. What was on trial itself is nothing to go back to."""
        before = self.trial.before if self.trial else self.in_force
        trial = Trial(wish.version, before, boot, t)
        return _but(self, in_force=wish, trial=trial, waiting=None, verdict=None, told=True)

    def take_back(self) -> Standing:
        """The back end wishes nothing any more."""
        return Standing(dropped=self.dropped)

    def refuse(self, version: int | None, error: str) -> Standing:
        return _but(self, verdict=Verdict(version, "refused", error), told=True)

    def begin(self, boot: str, t: float) -> Standing:
        """A process starts with it."""
        trial = self.trial
        if trial is None or self.in_force is None or trial.version != self.in_force.version:
            return self if trial is None else _but(self, trial=None)
        if trial.boot != boot:
            trial = _but(trial, boot=boot, since=t)
        if self.left_s(trial, t) <= 0 and trial.reached:
            return _but(self, trial=None)
        if trial.starts >= CRASHES:
            return self.roll_back(f"the agent did not stay up with it, {CRASHES} times in a row")
        return _but(self, trial=_but(trial, starts=trial.starts + 1))

    def end(self) -> Standing:
        """The process ended in order."""
        return self if self.trial is None else _but(self, trial=_but(self.trial, starts=0))

    def reach(self) -> Standing:
        return self if self.trial is None else _but(self, trial=_but(self.trial, reached=True))

    def conclude(self, t: float, why_not: str) -> Standing:
        """When its time is over; `why_not`: what keeps the broker from being reached."""
        if self.trial is None or self.left_s(self.trial, t) > 0:
            return self
        if self.trial.reached:
            return _but(self, trial=None)
        return self.roll_back(f"the broker was not reached for {TRIAL_S:.0f} s with it: {why_not}")

    def roll_back(self, error: str) -> Standing:
        assert self.trial is not None
        version = self.trial.version
        return _but(
            self,
            in_force=self.trial.before,
            trial=None,
            verdict=Verdict(version, "rolled_back", error),
            told=False,
            dropped=(*self.dropped, version)[-DROPPED_KEPT:],
        )

    @staticmethod
    def left_s(trial: Trial, t: float) -> float:
        """Seconds of its trial that are left, in the boot that it names."""
        return trial.since + TRIAL_S - t


def _but(struct: T, **changes: Any) -> T:
    return msgspec.structs.replace(struct, **changes)
