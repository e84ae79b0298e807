"""Who drives a roll-out may change; what devices are now decides, not what was heard of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.contract.errors import Rejected
from agent.contract.events import Update
from agent.contract.presence import Presence
from agent.core.clock import ManualClock
from agent.operators import rollout_file
from agent.operators.fleet import Fleet, Outcome
from agent.operators.rollout import Rollout, plan
from agent.operators.rollout_file import Task
from agent.operators.rollout_service import RolloutService
from agent.uplink.link import LinkSettings

IDS = [f"sh-{n}" for n in range(20)]


def presence(agent: str, state: Any = "online", *, trying: bool = False) -> Presence:
    return Presence(state, 1, "boot", agent, "shop", "site", 0, "epoch", trying=trying)


class Played(Fleet):
    """A fleet without a broker: what is asked is answered by `react(device)`."""

    def play(self, react: Callable[[str, str], None]) -> Played:
        self.react = react
        self.asked: list[str] = []
        return self

    async def command(
        self, device: str, name: str, params: dict[str, Any], *, expiry_s: int
    ) -> Outcome:
        assert (name, params) == ("update.start", {"version": "1.1"})
        outcome = Outcome(device, f"cmd-{device}", "succeeded", None, {"request": f"r-{device}"})
        self.outcomes[outcome.cmd_id] = outcome
        self.asked.append(device)
        self.react(device, f"r-{device}")
        return outcome

    def becomes(self, device: str, agent: str, state: Any = "online") -> None:
        self.devices[device] = presence(agent, state)

    def ends(self, device: str, request: str, state: Any) -> None:
        update = Update(request=request, version="1.1", slot="s", state=state, reason="it was bad")
        self.updates[request] = (device, update)


def fleet() -> Played:
    made = Played(LinkSettings("mqtt://nowhere", "operator"), ManualClock())
    made.devices = {device: presence("1.0") for device in IDS}
    return made


def drive(path: Path, played: Played, for_s: float = 400.0) -> Rollout | None:
    """The roll-out when it ended, None when it has not within that time."""

    async def whole() -> Rollout | None:
        running = asyncio.ensure_future(RolloutService(path, played, lambda _: None).run())
        end = played.clock.monotonic() + for_s
        while not running.done() and played.clock.monotonic() < end:
            await played.clock.advance(1.0)
            await asyncio.sleep(0)
        if running.done():
            return running.result()
        running.cancel()
        await asyncio.wait([running])
        return None

    return asyncio.run(whole())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.rollout"
    made = plan(
        "1.1", dict.fromkeys(IDS, "shop"), ManualClock().wall(),
        rings=(0.1, 1.0), soak_s=20, patience_s=60,
    )  # fmt: skip
    rollout_file.write(path, Task("1.1", update="1.1"), made)
    return path


def test_a_good_release_reaches_everybody(path: Path) -> None:
    played = fleet()
    played.play(lambda device, _: played.becomes(device, "1.1"))
    done = drive(path, played)
    assert done is not None
    assert done.phase == "done"
    assert sorted(played.asked) == sorted(IDS)


def test_a_release_that_is_taken_back_stops_in_the_first_ring(path: Path) -> None:
    played = fleet()
    played.play(lambda device, request: played.ends(device, request, "rolled_back"))
    done = drive(path, played)
    assert done is not None
    assert (done.phase, len(played.asked)) == ("aborted", 2)
    assert {m.reason for m in done.bad().values()} == {"rolled_back: it was bad"}


def test_a_device_on_trial_has_not_succeeded(path: Path) -> None:
    played = fleet()

    def react(device: str, _: str) -> None:
        played.devices[device] = presence("1.1", trying=True)

    played.play(react)
    done = drive(path, played)
    assert done is not None
    assert done.phase == "aborted"
    assert {m.progress for m in done.bad().values()} == {"missing"}


@pytest.mark.parametrize("after", [("1.0", "online"), ("1.1", "lost")])
def test_what_goes_back_or_away_in_the_soak_stops_it(path: Path, after: tuple[str, str]) -> None:
    played = fleet()

    def react(device: str, _: str) -> None:
        played.becomes(device, "1.1")

    played.play(react)
    assert drive(path, played, for_s=8) is None
    assert len(played.asked) == 2
    played.becomes(played.asked[0], *after)
    done = drive(path, played)
    assert done is not None
    assert (done.phase, len(played.asked)) == ("aborted", 2)


def test_another_operator_takes_over_and_asks_nobody_twice(path: Path) -> None:
    first = fleet()
    first.play(lambda device, _: first.becomes(device, "1.1"))
    assert drive(path, first, for_s=8) is None
    second = fleet()
    second.devices |= first.devices
    second.play(lambda device, _: second.becomes(device, "1.1"))
    done = drive(path, second)
    assert done is not None
    assert done.phase == "done"
    assert sorted(first.asked + second.asked) == sorted(IDS)


def test_a_pause_set_by_anybody_holds_it(path: Path) -> None:
    rollout_file.mark(path, paused=True)
    played = fleet()
    played.play(lambda device, _: played.becomes(device, "1.1"))
    assert drive(path, played) is None
    assert played.asked == []
    rollout_file.mark(path, paused=False)
    done = drive(path, played)
    assert done is not None
    assert done.phase == "done"


def test_two_cannot_drive_at_once(path: Path) -> None:
    with (
        rollout_file.driven(path),
        pytest.raises(Rejected, match="another process"),
        rollout_file.driven(path),
    ):
        pass


@pytest.mark.parametrize("content", ["", "{}", "[1]"])
def test_a_file_that_is_none_is_refused(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(Rejected, match="no roll-out"):
        rollout_file.read(path)
