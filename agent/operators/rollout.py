"""A roll-out: which devices come when, and whether it goes on; pure.

    running --> soaking --> running (next ring) --> ... --> done
       |           |
       +-----------+--> aborted       too many failed, or are missing
    paused is a mark beside it: nothing new is asked for, what is under way is still counted

Rings are shares of the fleet. Within each stratum (role, site's city or whatever is given) devices
stand in the order of a hash of release and id: another release begins with other devices, and each
ring has its share of every stratum, at least one device.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

RINGS = (0.001, 0.01, 0.1, 0.5, 1.0)
ABORT_AT = 0.01  # of a ring's devices

Phase = Literal["running", "soaking", "done", "aborted"]
Progress = Literal["waiting", "asked", "succeeded", "failed", "missing"]
OVER: frozenset[Progress] = frozenset({"succeeded", "failed", "missing"})
BAD: frozenset[Progress] = frozenset({"failed", "missing"})


class Member(msgspec.Struct, omit_defaults=True):
    """A device of the roll-out."""

    ring: int
    progress: Progress = "waiting"
    since: float = 0.0  # unix s of that
    request: str = ""  # id of what was asked
    reason: str = ""


class Rollout(msgspec.Struct):
    """All that is known of one; the file that another operator takes over has this and no more."""

    release: str  # its name; seeds the order of devices
    rings: list[float]
    soak_s: float
    patience_s: float  # a device that was asked so long ago, without an end, is missing
    members: dict[str, Member]
    ring: int = 0
    phase: Phase = "running"
    since: float = 0.0  # unix s of the phase
    paused: bool = False
    reason: str = ""

    def within(self, ring: int) -> dict[str, Member]:
        return {id_: member for id_, member in self.members.items() if member.ring == ring}

    def bad(self) -> dict[str, Member]:
        return {id_: m for id_, m in self.members.items() if m.progress in BAD}

    def note(self, device: str, progress: Progress, now: float, reason: str = "") -> None:
        """What became of a device. The last word counts: one that was missing may come back."""
        member = self.members.get(device)
        if member is None or member.progress in ("waiting", progress) or self.phase == "aborted":
            return
        member.progress, member.since, member.reason = progress, now, reason

    def asked(self, device: str, request: str, now: float) -> None:
        member = self.members[device]
        member.progress, member.request, member.since = "asked", request, now

    def step(self, now: float) -> list[str]:
        """Move on as far as possible; the devices to be asked now."""
        if self.phase in ("done", "aborted"):
            return []
        ring = self.within(self.ring)
        for member in ring.values():
            if member.progress == "asked" and now - member.since >= self.patience_s:
                member.progress, member.since, member.reason = "missing", now, "no answer"
        bad = [id_ for id_, member in ring.items() if member.progress in BAD]
        if bad and len(bad) >= ABORT_AT * len(ring):
            self._turn("aborted", now)
            few = ", ".join(sorted(bad)[:5])
            self.reason = (
                f"{len(bad)} of {len(ring)} of ring {self.ring + 1} did not make it: {few}"
            )
            return []
        if self.paused:
            return []
        if self.phase == "soaking":
            return self._after_soak(now)
        if all(member.progress in OVER for member in ring.values()):
            self._turn("soaking", now)
            return self._after_soak(now)
        return [id_ for id_, member in ring.items() if member.progress == "waiting"]

    def _after_soak(self, now: float) -> list[str]:
        if self.ring + 1 == len(self.rings):
            self._turn("done", now)
            return []
        if now - self.since < self.soak_s:
            return []
        self.ring += 1
        self._turn("running", now)
        return self.step(now)

    def _turn(self, phase: Phase, now: float) -> None:
        self.phase, self.since = phase, now


def plan(
    release: str,
    strata: Mapping[str, str],
    now: float,
    *,
    rings: tuple[float, ...] = RINGS,
    soak_s: float = 600.0,
    patience_s: float = 900.0,
) -> Rollout:
    """`strata`: device -> the name of its stratum. ValueError for rings that do not rise to 1."""
    if (
        not rings
        or rings[-1] != 1.0
        or any(b <= a for a, b in zip((0.0, *rings), rings, strict=False))
    ):
        raise ValueError("rings are shares that rise, and the last one is 1")
    members: dict[str, Member] = {}
    for stratum in sorted(set(strata.values())):
        within = sorted((id_ for id_, s in strata.items() if s == stratum), key=_order(release))
        for place, id_ in enumerate(within):
            ring = next(
                n for n, share in enumerate(rings) if place < math.ceil(share * len(within))
            )
            members[id_] = Member(ring)
    return Rollout(release, list(rings), soak_s, patience_s, members, since=now)


def _order(release: str) -> Callable[[str], bytes]:
    return lambda id_: hashlib.sha256(f"{release}\n{id_}".encode()).digest()
