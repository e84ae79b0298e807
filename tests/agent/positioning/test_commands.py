"""`position.profile` and `position.report`, as the back end asks for them."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agent.commands.whereabouts import SetProfile, WhereaboutsCommands
from agent.contract.errors import Rejected
from agent.core.clock import ManualClock
from agent.positioning.privacy import Mode
from agent.positioning.profiles import CHOOSABLE, PROFILES
from tests.agent.positioning.test_precision import Rider


def rooms(rider: Rider) -> WhereaboutsCommands:
    """With what the two commands reach."""
    duty = cast(Any, SimpleNamespace(mode=rider.mode))
    return WhereaboutsCommands(rider.clock, rider.service, duty, beacon=None)


def test_a_position_is_reported_when_it_is_asked_for() -> None:
    async def main() -> None:
        async with Rider().running() as rider:
            with pytest.raises(Rejected, match="no position yet"):
                await rooms(rider).report_position(None, "command:c1")
            await rider.clock.advance(40)
            before = rider.told("exact")
            found = await rooms(rider).report_position(None, "command:c2")
            (told,) = rider.told("exact")[len(before) :]
            assert found["age_s"] <= 1.0
            assert found["acc"] == told.acc

    asyncio.run(main())


@pytest.mark.parametrize("mode", ["idle", "off"])
def test_nobody_may_ask_for_a_rider_who_is_not_delivering(mode: Mode) -> None:
    async def main() -> None:
        async with Rider().running() as rider:
            await rider.clock.advance(20)
            rider.mode = mode
            told = len(rider.told("exact"))
            with pytest.raises(Rejected, match="may not be told exactly"):
                await rooms(rider).report_position(None, "command:c1")
            found = await rooms(rider).set_profile(SetProfile("live"), "command:c2")
            assert found["exactly"] is False
            await rider.clock.advance(300)
            assert len(rider.told("exact")) == told

    asyncio.run(main())


def test_a_profile_holds_for_its_minutes_and_says_that_a_restart_ends_it() -> None:
    async def main() -> None:
        async with Rider().running() as rider:
            await rider.clock.advance(5)
            found = await rooms(rider).set_profile(SetProfile("live", 0.5), "command:c1")
            assert found == {
                "profile": "live", "minutes": 0.5, "exactly": True, "survives_restart": False,
            }  # fmt: skip
            await rider.clock.advance(29)
            assert rider.told("exact")[-1].profile == "live"
            await rider.clock.advance(60)
            assert rider.told("exact")[-1].profile == "seed"

    asyncio.run(main())


def test_idle_is_a_profile_that_only_the_duty_chooses() -> None:
    async def main() -> None:
        assert PROFILES["idle"].max_error_m == 30.0
        assert set(CHOOSABLE) == set(PROFILES) - {"idle"}
        async with Rider().running() as rider:
            for name, words in (("idle", r"duty\.set"), ("fast", "seed, economy")):
                with pytest.raises(Rejected, match=words):
                    await rooms(rider).set_profile(SetProfile(name), "command:c1")

    asyncio.run(main())


def test_without_a_receiver_both_are_refused_in_words() -> None:
    async def main() -> None:
        none = WhereaboutsCommands(ManualClock(), None, None, None)
        with pytest.raises(Rejected, match=r"no \[position\]"):
            await none.report_position(None, "command:c1")
        with pytest.raises(Rejected, match=r"no \[position\]"):
            await none.set_profile(SetProfile("live"), "command:c2")

    asyncio.run(main())
