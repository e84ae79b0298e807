"""How closely a rider is followed, by name; apart from what follows, because every device is told
the names and few follow anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from agent.positioning.privacy import IDLE_EVERY_S

IDLE = "idle"  # the profile of who is on duty without an order


@dataclass(frozen=True, slots=True)
class Profile:
    """What a rider's reports are worth. 0 s is no heartbeat."""

    name: str
    max_error_m: float
    moving_s: float
    still_s: float


PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        "seed": Profile("seed", max_error_m=10.0, moving_s=15.0, still_s=120.0),
        "economy": Profile("economy", max_error_m=30.0, moving_s=30.0, still_s=300.0),
        "distance50": Profile("distance50", max_error_m=50.0, moving_s=0.0, still_s=600.0),
        "live": Profile("live", max_error_m=1.0, moving_s=1.0, still_s=1.0),  # every fix
        # Blurred to a cell (privacy.py), which is coarser than these metres; the duty chooses it.
        IDLE: Profile(IDLE, max_error_m=30.0, moving_s=IDLE_EVERY_S, still_s=IDLE_EVERY_S),
    }
)
CHOOSABLE = tuple(name for name in PROFILES if name != IDLE)  # by configuration and command
BATTERY_LOW = 0.2  # of its charge: then a coarser picture for longer


def profile_for(base: Profile, *, battery: float | None, override: Profile | None) -> Profile:
    """The profile of the moment; `base` is the configured one.

    `battery`: charge from 0 to 1, None where nobody knows. `override`: what a command asked for; it
    stands until its time is over, also on a low battery, because somebody is looking. Whether
    anything exact may be told at all is not decided here; see privacy.py.
    """
    if override is not None:
        return override
    economy = PROFILES["economy"]
    if battery is None or battery > BATTERY_LOW or base.max_error_m >= economy.max_error_m:
        return base
    return economy


def profile(
    name: str,
    *,
    max_error_m: float | None = None,
    moving_s: float | None = None,
    still_s: float | None = None,
) -> Profile:
    """A named profile with what is set singly; KeyError when there is none of that name."""
    base = PROFILES[name]
    return replace(
        base,
        max_error_m=base.max_error_m if max_error_m is None else max_error_m,
        moving_s=base.moving_s if moving_s is None else moving_s,
        still_s=base.still_s if still_s is None else still_s,
    )
