"""What a watcher of a receiver sees, and the reason that is given for silence."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from agent.positioning.profiles import profile
from agent.positioning.reporting import Reporting
from agent.positioning.tracker import Tracker
from agent.positioning.watching import Watching, per_second
from drivers.base import About, Fix

T, WALL = 1000.0, 1_800_000_000.0


class Receiver:
    def __init__(self) -> None:
        self.rejected = Counter({"bad checksum": 2})
        self.about = About("/dev/ttyACM0", "u-blox", 9600, ("no GSV",), 14, Counter(RMC=3))

    def fixes(self) -> AsyncIterator[Fix]:
        raise NotImplementedError


def fix(n: int, **changes: object) -> Fix:
    plain = Fix(T + n, 3, 31.0 + n * 4.5e-5, 121.0, 5.0, 0.0, None, 0.8, 11, WALL + n)
    return replace(plain, **changes)  # type: ignore[arg-type]


def after(fixes: list[Fix], *, moving_s: float = 15.0) -> Watching:
    """The daemon's policies over these fixes, watched."""
    wanted = profile("seed", moving_s=moving_s)
    watching, tracker, reporting = Watching(wanted), Tracker(), Reporting(wanted)
    watching.receiver = Receiver()
    for one in fixes:
        watching.fix = one
        estimate = tracker.react(one)
        watching.dropped = dict(tracker.rejected)
        if estimate is not None:
            watching.estimate = estimate
            if (report := reporting.react(estimate)) is not None:
                watching.told(report)
    return watching


def test_everything_that_is_known_is_seen() -> None:
    view = after([fix(n) for n in range(4)]).view(T + 3.5, WALL + 3.5)
    assert (view.mode, view.fix_age_s, view.used, view.in_view) == ("3D", 0.5, 11, 14)
    assert (view.where, view.model, view.baud, view.asked) == (
        "/dev/ttyACM0",
        "u-blox",
        9600,
        ["no GSV"],
    )
    assert view.rejected == {"bad checksum": 2}
    assert view.last_reason is not None
    assert view.off_m is not None
    assert view.t == WALL + 3.5


@pytest.mark.parametrize(
    ("watching", "why"),
    [
        (Watching(profile("seed")), "there is no receiver"),
        (after([]), "nothing has come from the receiver yet"),
        (after([fix(0, mode=1, lat=None, lon=None)]), "the receiver has no position"),
        (after([fix(0), *(fix(n, lat=0.0, lon=0.0) for n in (1, 2, 3))]), "not believed"),
        (after([fix(0)]), "sent now: wake"),
        (after([fix(n) for n in range(9)]), "m off; next at 10 m or in"),
    ],
)
def test_silence_has_a_reason(watching: Watching, why: str) -> None:
    assert why in watching.view(T + 3, WALL).why


def test_without_a_heartbeat_no_time_is_promised() -> None:
    why = after([fix(n) for n in range(9)], moving_s=0).view(T + 9, WALL).why
    assert why.endswith("next at 10 m")


def test_what_is_withheld_is_said_so_and_what_is_forgotten_is_gone() -> None:
    watching = after([fix(n) for n in range(4)])
    assert watching.view(T, WALL, "the rider is off duty").why == "the rider is off duty"
    watching.forget()
    view = watching.view(T + 4, WALL)
    assert (view.lat, view.lon, view.acc_m, view.last_reason) == (None, None, None, None)


def test_rates_are_those_between_two_views_of_one_receiver() -> None:
    watching = after([fix(0)])
    before = watching.view(T, WALL)
    assert isinstance(watching.receiver, Receiver)
    watching.receiver.about.heard.update(RMC=4, GGA=2)
    assert per_second(before, watching.view(T + 2, WALL + 2)) == {"GGA": 1.0, "RMC": 2.0}
    watching.receiver = Receiver()
    watching.receiver.about.heard.clear()
    assert per_second(before, watching.view(T + 3, WALL + 3)) == {}
    assert per_second(before, before) == {}
