from __future__ import annotations

import asyncio
import itertools
import sqlite3
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from agent.alerting import table
from agent.contract.events import AlertEvent
from agent.store import refuge
from agent.store.database import StoreError

OpenBench = Callable[..., AbstractAsyncContextManager[Any]]


def test_an_alert_sounds_until_it_is_acknowledged(open_bench: OpenBench) -> None:
    async def run() -> None:
        async with open_bench() as bench:
            detail = {"day_seq": 12}
            await bench.alerting.raise_alert("new_order", "new_order:o1", "o1", detail)
            await bench.until(lambda: len(bench.heard()) == 3, passing=0.5)
            assert bench.heard() == ["chime new_order 1 2"] * 3
            assert [play.volume for play in bench.player.plays] == [0.5] * 3
            starts = [play.t for play in bench.player.plays]
            assert all(8 <= b - a <= 10 for a, b in itertools.pairwise(starts))
            assert bench.signals.lights["alert"] == "blink"
            assert await bench.alerting.acknowledge({"new_order:o1"}, "page") == ["new_order:o1"]
            await bench.until(lambda: bench.signals.lights["alert"] == "off")
            await bench.clock.advance(60)
            assert len(bench.heard()) == 3
            assert bench.told() == [
                ("new_order:o1", "sounding"),
                ("new_order:o1", "acknowledged"),
            ]
            assert bench.recorder.bodies[-1] == AlertEvent(
                alert_id="new_order:o1",
                cause="new_order",
                state="acknowledged",
                by="page",
                order_id="o1",
            )
            assert bench.changes

    asyncio.run(run())


def test_acknowledging_cuts_the_sound_short(open_bench: OpenBench) -> None:
    async def run() -> None:
        async with open_bench() as bench:
            await bench.alerting.raise_alert("printer", "p")
            await bench.until(bench.heard)
            await bench.alerting.acknowledge(None, "panel")
            await bench.quiet()
            await bench.clock.advance(30)
            assert [play.complete for play in bench.player.plays] == [False]

    asyncio.run(run())


def test_acknowledging_another_alert_does_not_stop_the_sound(open_bench: OpenBench) -> None:
    async def run() -> None:
        async with open_bench() as bench:
            await bench.alerting.raise_alert("printer", "p")
            await bench.until(bench.heard)
            await bench.alerting.raise_alert("new_order", "o", "o7")
            assert await bench.alerting.acknowledge(None, "page", order_id="o7") == ["o"]
            await bench.quiet()
            await bench.until(lambda: bench.player.plays[0].complete, passing=0.2)
            assert [alert.alert_id for alert in await bench.alerting.open_alerts()] == ["p"]

    asyncio.run(run())


def test_acknowledging_twice_or_what_is_unknown_changes_nothing(open_bench: OpenBench) -> None:
    async def run() -> None:
        async with open_bench() as bench:
            await bench.alerting.raise_alert("new_order", "a")
            assert await bench.alerting.acknowledge({"a"}, "page") == ["a"]
            assert await bench.alerting.acknowledge({"a"}, "page") == []
            assert await bench.alerting.acknowledge({"b"}, "page") == []
            assert bench.told() == [("a", "sounding"), ("a", "acknowledged")]

    asyncio.run(run())


def test_raising_is_idempotent_even_after_the_answer(open_bench: OpenBench) -> None:
    async def run() -> None:
        async with open_bench(run=False) as bench:
            for _ in range(2):
                await bench.alerting.raise_alert("new_order", "a")
            await bench.alerting.acknowledge({"a"}, "page")
            await bench.alerting.raise_alert("new_order", "a")
            assert await bench.alerting.open_alerts() == []
            assert bench.told() == [("a", "sounding"), ("a", "acknowledged")]

    asyncio.run(run())


def test_nobody_answers_and_the_alert_escalates_once_louder_and_with_the_buzzer(
    open_bench: OpenBench,
) -> None:
    async def run() -> None:
        async with open_bench() as bench:
            await bench.alerting.raise_alert("new_order", "a")
            await bench.until(lambda: bench.signals.buzzing, passing=0.25)
            assert 90 <= bench.clock.monotonic() - 1000 <= 94
            assert bench.heard()[-1] == "siren new_order"
            assert bench.player.plays[-1].volume == 1.0
            await bench.until(lambda: not bench.signals.buzzing, passing=0.25)
            await bench.until(lambda: len(bench.heard()) >= 16, passing=0.5)
            assert bench.told() == [("a", "sounding"), ("a", "escalated")]
            await bench.alerting.acknowledge({"a"}, "page")
            await bench.until(lambda: not bench.signals.buzzing)

    asyncio.run(run())


def test_an_order_that_is_over_ends_its_alerts_but_not_the_one_that_says_so(
    open_bench: OpenBench,
) -> None:
    async def run() -> None:
        async with open_bench() as bench:
            bell = bench.alerting

            def arrive(tx: sqlite3.Connection) -> None:
                bell.raise_in(tx, "new_order", "new_order:o1", "o1")
                bell.raise_in(tx, "new_order", "new_order:o2", "o2")

            def cancel(tx: sqlite3.Connection) -> None:
                bell.expire_in(tx, "o1")
                bell.raise_in(tx, "cancelled", "cancelled:o1:2", "o1")
                bell.expire_in(tx, "o1")

            await bench.database.write(arrive)
            bell.wake()
            await bench.until(bench.heard)
            await bench.database.write(cancel)
            bell.wake()
            await bench.until(lambda: "chime cancelled" in bench.heard(), passing=0.2)
            open_ = {alert.alert_id for alert in await bell.open_alerts()}
            assert open_ == {"new_order:o2", "cancelled:o1:2"}
            assert ("new_order:o1", "expired") in bench.told()

    asyncio.run(run())


def test_an_alert_that_ends_while_it_sounds_is_cut_short(open_bench: OpenBench) -> None:
    async def run() -> None:
        async with open_bench() as bench:
            await bench.alerting.raise_alert("new_order", "a", "o1")
            await bench.until(bench.heard)
            await bench.database.write(lambda tx: bench.alerting.settle_in(tx, "o1", "backend"))
            bench.alerting.wake()
            await bench.until(lambda: bench.signals.lights["alert"] == "off")
            assert not bench.player.plays[0].complete
            assert bench.told()[-1] == ("a", "acknowledged")

    asyncio.run(run())


def test_a_cause_that_is_gone_ends_its_alert(open_bench: OpenBench) -> None:
    async def run() -> None:
        async with open_bench(run=False) as bench:
            await bench.alerting.raise_alert("printer", "printer:kitchen")
            await bench.alerting.end_alert("printer:kitchen")
            assert await bench.alerting.open_alerts() == []
            assert bench.told()[-1] == ("printer:kitchen", "expired")

    asyncio.run(run())


def test_what_its_transaction_undoes_never_sounds(open_bench: OpenBench) -> None:
    async def run() -> None:
        async with open_bench() as bench:

            def fail(tx: sqlite3.Connection) -> None:
                bench.alerting.raise_in(tx, "new_order", "a")
                raise ValueError

            with pytest.raises(ValueError):
                await bench.database.write(fail)
            bench.alerting.wake()
            await bench.quiet()
            await bench.clock.advance(10)
            assert bench.heard() == []

    asyncio.run(run())


def test_open_alerts_sound_again_after_a_restart(open_bench: OpenBench) -> None:
    async def run() -> None:
        async with open_bench(run=False) as bench:
            await bench.alerting.raise_alert("new_order", "a", "o1", {"day_seq": 3})
        async with open_bench() as bench:
            await bench.until(bench.heard)
            assert bench.heard() == ["chime new_order 3"]

    asyncio.run(run())


# --- a loudspeaker that fails ---------------------------------------------------------------------


def test_a_missing_loudspeaker_is_told_before_the_first_order(open_bench: OpenBench) -> None:
    async def run() -> None:
        async with open_bench(card=False) as bench:
            await bench.until(bench.conditions)
            assert "alerts are not heard: there is no sound device" in bench.conditions()["sound"]
            bench.no_card = False
            await bench.until(lambda: not bench.conditions(), passing=1.0)

    asyncio.run(run())


def test_without_sound_the_buzzer_calls_and_the_sound_comes_back_with_the_card(
    open_bench: OpenBench,
) -> None:
    async def run() -> None:
        async with open_bench() as bench:
            await bench.quiet()
            bench.player.unplugged = True
            await bench.alerting.raise_alert("new_order", "a")
            await bench.until(lambda: bench.signals.buzzing)
            assert "plug it in" in bench.conditions()["sound"]
            assert bench.signals.lights["alert"] == "blink"
            await bench.until(lambda: not bench.signals.buzzing, passing=0.2)
            await bench.until(lambda: bench.signals.buzzing, passing=0.2)
            bench.player.unplugged = False
            await bench.until(bench.heard, passing=0.2)
            assert "sound" not in bench.conditions()

    asyncio.run(run())


def test_a_broken_recording_of_the_shop_is_replaced_by_the_shipped_voice(
    open_bench: OpenBench, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "new_order.wav").write_bytes(b"ID3 this is an mp3")

    async def run() -> None:
        async with open_bench(own=own) as bench:
            await bench.alerting.raise_alert("new_order", "a")
            await bench.until(bench.conditions, passing=0.2)
            told = bench.conditions()
            assert bench.heard() == ["chime new_order"]
            assert "new_order.wav is not a PCM WAV file" in told["sound.prompts"]
            assert "sound" not in told
            (own / "new_order.wav").write_bytes((_SHIPPED / "en" / "new_order.wav").read_bytes())
            await bench.until(lambda: len(bench.heard()) == 2, passing=0.2)
            assert bench.player.plays[1].clips[1] == own / "new_order.wav"
            await bench.until(lambda: "sound.prompts" not in bench.conditions(), passing=0.2)

    asyncio.run(run())


_SHIPPED = Path(table.__file__).parents[1] / "alerting" / "prompts"


# --- a disk that refuses --------------------------------------------------------------------------


def test_while_the_disk_refuses_the_alert_still_sounds_and_escalates(
    open_bench: OpenBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refuge, "LIMIT_BYTES", 0)  # nor is there room in memory

    async def run() -> None:
        async with open_bench() as bench:
            await bench.alerting.raise_alert("new_order", "a")
            await bench.until(bench.heard)
            await bench.database.read(lambda tx: tx.execute("PRAGMA query_only = ON"))
            await bench.until(lambda: "siren new_order" in bench.heard(), passing=0.5)
            with pytest.raises(StoreError):
                await bench.alerting.acknowledge({"a"}, "page")
            await bench.until(lambda: "alerting" in bench.conditions(), passing=0.5)
            await bench.database.read(lambda tx: tx.execute("PRAGMA query_only = OFF"))
            await bench.until(lambda: ("a", "escalated") in bench.told(), passing=0.5)
            assert await bench.alerting.acknowledge({"a"}, "page") == ["a"]
            await bench.until(lambda: "alerting" not in bench.conditions(), passing=0.5)

    asyncio.run(run())


def test_closed_alerts_are_forgotten_after_a_week_and_open_ones_never(
    open_bench: OpenBench,
) -> None:
    def ids(tx: sqlite3.Connection) -> list[str]:
        return [row[0] for row in tx.execute("SELECT alert_id FROM alerts")]

    async def run() -> None:
        async with open_bench(run=False) as bench:
            bench.clock.set_wall(bench.clock.wall() - 8 * 86400)
            await bench.alerting.raise_alert("new_order", "closed")
            await bench.alerting.acknowledge({"closed"}, "page")
            await bench.alerting.raise_alert("printer", "open")
        async with open_bench() as bench:
            await bench.until(bench.heard)
            assert await bench.database.read(ids) == ["open"]

    asyncio.run(run())
