"""A rider without a network: what happened on the way arrives later, as it happened then."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable
from math import cos, radians
from pathlib import Path

import pytest

from tests.support import Mosquitto, wait
from tests.system.foreign import ForeignBackEnd
from tests.system.machines import HOUSE, Agent, Relay

pytestmark = pytest.mark.system

SHOP_LAT, SHOP_LON = 31.2304, 121.4737  # where the simulated beacons hang
SPEED, AWAY_M = 20.0, 140.0


def ride(file: Path) -> None:
    """Along the street to the shop, and standing there."""
    metre = 1 / (111_195 * cos(radians(SHOP_LAT)))
    lines = ["t,lat,lon"]
    for t in range(200):
        left = max(0.0, AWAY_M - SPEED * t)
        lines.append(f"{t},{SHOP_LAT},{SHOP_LON - left * metre:.7f}")
    file.write_text("\n".join(lines))


def config(track: Path, started_at: float) -> str:
    simulated = f"track = '{track}'\nstarted_at = {started_at}\nloop = false\n"
    return (
        "role = 'rider'\n"
        f"[position]\ndriver = 'simulated'\n[position.simulated]\n{simulated}"
        f"[[fence]]\nid = 'shop'\nlat = {SHOP_LAT}\nlon = {SHOP_LON}\nradius_m = 100\n"
        f"[beacons]\ndriver = 'simulated'\nplaces = '{HOUSE}/config/demo/places.toml'\n"
        f"[beacons.simulated]\n{simulated}"
        "[panel]\ndriver = 'simulated'\n"
    )


def kinds(rider: Agent) -> set[str]:
    """Kinds of events on its disk, seen with a tool that the agent knows nothing of."""
    with contextlib.closing(sqlite3.connect(f"file:{rider.store}?mode=ro", uri=True)) as found:
        return {kind for (kind,) in found.execute("SELECT kind FROM state")}


def test_sos_fence_and_arrival_of_a_ride_without_a_link(
    tmp_path: Path,
    agent: Callable[..., Agent],
    relay: Callable[..., Relay],
    broker: Mosquitto,
    backend: ForeignBackEnd,
) -> None:
    ride(tmp_path / "ride.csv")
    cable = relay(broker.port)
    rider = agent(cable.port, config(tmp_path / "ride.csv", time.time()), device="rd-1")
    rider.start().ready()
    wait(lambda: backend.of("position"), f"it rides; {rider.words()}")
    cable.pull()
    wait(lambda: not rider.ask("status")["link"]["up"], "the link is down")
    pressed = int(time.time() * 1000)
    rider.ask("panel.press", button="sos", held_s=3.5)
    wait(lambda: rider.ask("status")["sos"], "it is raised")
    raised = int(time.time() * 1000)
    wait(lambda: kinds(rider) >= {"fence", "arrival"}, "both are on its disk", 60)
    rider.kill()  # and the kit falls
    rider.start().ready()
    restored = int(time.time() * 1000)
    cable.restore()
    (sos,) = wait(lambda: backend.of("sos", state="raised"), f"SOS; {rider.words()}")
    assert pressed - 1000 <= sos.t <= raised + 1000
    assert sos.body["position"]
    fences = wait(lambda: backend.of("fence", event="enter"), "the fence")
    assert fences[0].t < restored
    wait(lambda: backend.of("arrival", place="shop-021"), "the arrival")
    assert backend.of("arrival", place="shop-021")[0].t < restored
    assert rider.ask("status")["sos"]["sos_id"] == sos.body["sos_id"]
    wait(lambda: not any(rider.ask("status")["link"]["backlog"].values()), "the outbox is empty")
    assert backend.verdict() == []
