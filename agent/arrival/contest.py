"""Which of the places that are heard is the rider at? The one that leads the others for long.

    lead = min(margin + 4 dB, margin - margin of the loudest rival), from -4 dB up
    evidence += lead * seconds, never below 0; decided at 100 dB s, or beside a rival at 200

So a place is decided for after 12.5 s of a clear lead (of 8 or 16 dB, more counts for no more),
later when the lead is narrow, never when there is none: shadows stay while the rider stands, and
only who moves about hears other ones. Whoever was decided for holds out until their evidence, which
may reach three times as much, is used up: a neighbour who is louder for a moment is not believed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

NEARLY_DB = 4.0  # so far below enter_rssi nothing speaks for a place, nor against it
BEHIND_DB = -4.0
RIVAL_DB = -20.0  # a place so far below its enter_rssi is no rival
ALONE_DBS, BESIDE_DBS = 100.0, 200.0
CLEAR_S = 12.5
LEADS = 0.2  # of what decides
HELD = 3.0
STEP_S = 12.0  # what a single look may count for: a slow radio reports each 10.5 s


@dataclass(slots=True)
class _Claim:
    since: float  # when its evidence began
    evidence: float = 0.0  # dB s
    needed: float = ALONE_DBS
    decided: bool = False


@dataclass(slots=True)
class Contest:
    """Claims by place. `kin` are places that do not stand against each other."""

    _claims: dict[str, _Claim] = field(default_factory=dict)
    _t: float | None = None

    def keep(self, places: Collection[str]) -> None:
        """Nobody claims any other."""
        self._claims = {p: claim for p, claim in self._claims.items() if p in places}

    def look(self, now: float, margins: Mapping[str, float], rival: Callable[[str], float]) -> None:
        """`margins`: dB above enter_rssi by place, of those that are heard and possible;
        `rival(place)`: the greatest margin of its rivals, -inf without one."""
        step = 0.0 if self._t is None else min(now - self._t, STEP_S)
        self._t = now
        for place in margins:
            self._claims.setdefault(place, _Claim(now))
        for place, claim in list(self._claims.items()):
            margin, other = margins.get(place, -127.0), rival(place)
            claim.needed = BESIDE_DBS if other > RIVAL_DB else ALONE_DBS
            lead = min(margin + NEARLY_DB, margin - other, claim.needed / CLEAR_S)
            most = claim.needed * (HELD if claim.decided else 1.0)
            claim.evidence = min(claim.evidence + step * max(BEHIND_DB, lead), most)
            if claim.evidence <= 0:
                del self._claims[place]

    def decides(self, place: str, kin: Collection[str] = ()) -> bool:
        """Whether the rider is at this place, and from then on there until its evidence is used
        up."""
        claim = self._claims.get(place)
        if claim is None or claim.evidence < claim.needed or self.elsewhere(place, kin):
            return False
        claim.decided = True
        return True

    def leads(self, place: str, kin: Collection[str] = ()) -> float | None:
        """Since when it is likely enough to be said that the rider is near it and not near a rival;
        None when it is not."""
        claim = self._claims.get(place)
        if claim is None or self.elsewhere(place, kin):
            return None
        clear = claim.needed == ALONE_DBS or claim.evidence >= LEADS * claim.needed
        return claim.since if clear else None

    def elsewhere(self, place: str, kin: Collection[str] = ()) -> bool:
        """Whether another place was decided for."""
        return any(
            claim.decided and other != place and other not in kin
            for other, claim in self._claims.items()
        )
