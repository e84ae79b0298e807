"""A rider's whereabouts from outside: the receiver's file, the broker, the bytes on the card."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.gps.talker import Talker, epoch
from tests.support import Mosquitto, wait
from tests.system.foreign import ForeignBackEnd, order
from tests.system.machines import HOUSE, Agent, Relay

pytestmark = pytest.mark.system

RIDER = "rd-1"
LAT = 31.2304567  # the rider goes to and fro along it
DIGITS = b"31.23045"


@pytest.fixture
def receiver() -> Iterator[Talker]:
    """On a serial line; ten metres to and fro, several times a minute, with rests."""
    steps = count()

    def say(_: int) -> bytes:
        n = next(steps)
        lon = 121.4737 + abs(n % 60 - 30) * 3e-5
        return epoch(time.time(), LAT, lon, 14.0, "90.0" if n % 60 > 30 else "270.0")

    talker = Talker(say=say)
    yield talker
    talker.unplug()


def config(receiver: Talker, *privacy: str) -> str:
    lines = "\n".join(privacy)
    return (
        f"role = 'rider'\n[position]\ndriver = 'serial'\nmax_error_m = 1\n"
        f"[position.serial]\ndevice = '{receiver.device}'\nbaud = 115200\n"
        f"[panel]\ndriver = 'simulated'\n[privacy]\n{lines}\n"
    )


def reads(rider: Agent, receiver: Talker) -> bool:
    """Whether the process has the receiver's file open."""
    assert rider.process is not None
    folder = Path(f"/proc/{rider.process.pid}/fd")
    return any(os.path.realpath(fd) == receiver.device for fd in folder.iterdir())


def cli(rider: Agent, *words: str) -> Any:
    command = [sys.executable, "-m", "agent", *words, "--config", str(rider.config), "--json"]
    done = subprocess.run(command, cwd=HOUSE, check=True, capture_output=True, timeout=30)
    return json.loads(done.stdout)


def state(rider: Agent) -> dict[str, Any]:
    found: dict[str, Any] = rider.ask("status")["rider"]
    return found


def test_no_consent_no_position_and_off_duty_no_receiver(
    agent: Callable[..., Agent], broker: Mosquitto, backend: ForeignBackEnd, receiver: Talker
) -> None:
    rider = agent(broker.port, config(receiver), device=RIDER).start().ready(online=True)
    assert state(rider)["consent"] == "missing"
    assert "privacy.consent" in wait(rider.health, "it says why it does not locate anybody")
    assert not reads(rider, receiver)
    assert not backend.of("position")
    wait(lambda: backend.states and backend.states[-1].get("duty") == "off", "it says off")

    assert cli(rider, "consent", "give", "--person", "r-7")["consent"] == "given"
    wait(lambda: backend.of("position"), f"it locates the rider; {rider.words()}")
    assert reads(rider, receiver)
    assert backend.of("audit", action="consent.give")[0].body["detail"]["person"] == "r-7"
    wait(lambda: backend.states[-1].get("duty") == "delivering", "and says so")

    backend.command(RIDER, "duty.set", "c1", {"duty": "off"})
    (off,) = wait(lambda: backend.of("audit", action="privacy.precision", by="command:c1"), "audit")
    assert (off.body["detail"]["from"], off.body["detail"]["to"]) == ("delivery", "off")
    wait(lambda: not reads(rider, receiver), "the receiver is closed")
    wait(lambda: backend.states[-1].get("duty") == "off", "and it says so")

    rider.kill()  # off duty outlives a power cut
    rider.start().ready(online=True)
    assert (state(rider)["duty"], state(rider)["consent"]) == ("off", "given")
    assert not reads(rider, receiver)
    assert all(position.t <= off.t for position in backend.of("position"))

    rider.ask("panel.press", button="sos", held_s=3.5)  # asks to be found
    wait(lambda: [p for p in backend.of("position") if p.t > off.t], "found though off duty")
    assert backend.verdict() == []


def test_idle_riders_are_a_cell_until_an_order_comes(
    agent: Callable[..., Agent], broker: Mosquitto, backend: ForeignBackEnd, receiver: Talker
) -> None:
    settings = ("consent = 'elsewhere'", "duty = 'idle'")
    rider = agent(broker.port, config(receiver, *settings), device=RIDER).start()
    (cell,) = wait(lambda: backend.of("position"), f"the first one; {rider.words()}")
    assert (cell.body["precision"], cell.body["speed"], cell.body["course"]) == ("cell", None, None)
    assert cell.body["acc"] == 550
    assert abs(cell.body["lat"] - LAT) < 0.02

    backend.order(RIDER, order(1, status="delivering"))
    wait(lambda: len(exact(backend)) > 3, "who delivers is located exactly")
    backend.order(RIDER, order(1, version=2, status="completed"))
    audits = wait(
        lambda: [a for a in backend.of("audit", by="orders") if a.body["detail"]["to"] == "idle"],
        f"the order's end is one of precision; {rider.words()}",
    )
    wait(lambda: backend.of("position")[-1].body.get("precision") == "cell", "the next is a cell")
    wait(lambda: backend.states[-1].get("duty") == "idle", "it says so")
    rider.stop()
    assert all(position.t <= audits[0].t for position in exact(backend))
    assert backend.verdict() == []


def exact(backend: ForeignBackEnd) -> list[Any]:
    return [p for p in backend.of("position") if p.body.get("precision", "exact") == "exact"]


def test_who_takes_consent_back_leaves_nothing_in_the_queue(
    agent: Callable[..., Agent],
    relay: Callable[..., Relay],
    broker: Mosquitto,
    backend: ForeignBackEnd,
    receiver: Talker,
) -> None:
    cable = relay(broker.port)
    rider = (
        agent(cable.port, config(receiver, "consent = 'required'"), device=RIDER).start().ready()
    )
    rider.ask("consent.give", person="r-7", notice="1")
    wait(lambda: backend.of("position"), f"it rides; {rider.words()}")
    cable.pull()
    wait(lambda: not rider.ask("status")["link"]["up"], "the link is down")
    wait(lambda: rider.ask("status")["link"]["backlog"]["telemetry"] > 4, "a backlog grows")
    wait(lambda: DIGITS in on_card(rider), "and gets onto the card")
    taken = rider.ask("consent.withdraw")
    assert taken["forgotten"] > 4
    withdrawn_ms = int(time.time() * 1000)
    assert DIGITS not in on_card(rider)
    wait(lambda: not reads(rider, receiver), "the receiver is closed")

    rider.kill()
    rider.start().ready()
    assert DIGITS not in on_card(rider)
    heard = len(backend.of("position"))
    cable.restore()
    wait(lambda: backend.of("gap", reason="purged"), f"the hole is explained; {rider.words()}")
    wait(lambda: not any(rider.ask("status")["link"]["backlog"].values()), "the outbox is empty")
    gaps = backend.of("gap", reason="purged")
    assert sum(gap.body["to"] - gap.body["from"] + 1 for gap in gaps) > 2  # some were under way
    assert len(backend.of("position")) == heard
    assert backend.of("audit", action="consent.withdraw")[0].t <= withdrawn_ms
    assert state(rider)["consent"] == "withdrawn"
    assert not [holes for book in backend.stream("telemetry") if (holes := book.holes())]


def on_card(rider: Agent) -> bytes:
    return b"".join(file.read_bytes() for file in rider.store.parent.glob("agent.db*"))


def test_a_ride_without_a_link_is_told_in_hindsight_once_it_is_back(
    agent: Callable[..., Agent],
    relay: Callable[..., Relay],
    broker: Mosquitto,
    backend: ForeignBackEnd,
    receiver: Talker,
) -> None:
    cable = relay(broker.port)
    settings = config(receiver, "consent = 'elsewhere'")
    rider = agent(cable.port, settings, device=RIDER).start().ready()
    wait(lambda: backend.of("position"), f"it rides; {rider.words()}")
    cable.pull()
    wait(lambda: not rider.ask("status")["link"]["up"], "the link is down")
    wait(lambda: rider.ask("status")["link"]["backlog"]["telemetry"] > 6, "a backlog grows")
    cable.restore()
    wait(lambda: backend.of("position", reason="trace"), f"smoothed; {rider.words()}")
    wait(lambda: not any(rider.ask("status")["link"]["backlog"].values()), "all of it is there")
    rider.stop()
    assert backend.verdict() == []
    assert not [holes for book in backend.stream("telemetry") if (holes := book.holes())]
