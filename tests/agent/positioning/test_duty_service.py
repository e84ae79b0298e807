"""Consent, duty, orders and SOS over a real store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.contract.errors import Rejected
from agent.contract.events import Audit
from agent.core.changes import Changes
from agent.core.clock import ManualClock
from agent.core.health import Health
from agent.core.supervisor import Supervisor
from agent.positioning.duty_service import NO_CONSENT, DutyService, Rules
from agent.store.database import Database, StoreError
from agent.store.outbox import Outbox
from tests.support import until

REQUIRED = Rules(required=True, notice="2", start="delivering")
ELSEWHERE = Rules(required=False, notice="1", start="delivering")
SWITCHED = Rules(required=False, notice="1", start="idle")


class Bench:
    """A device whose process starts anew with each `running`."""

    def __init__(self, folder: Path, rules: Rules) -> None:
        self.path = folder / "agent.db"
        self.rules = rules
        self.live_orders = self.sos = False
        self.around = Changes()
        self.forgotten = 0
        self.changed = 0
        self.refuses = False

    async def run(self, story: Callable[[Bench], Awaitable[None]]) -> None:
        self.clock = ManualClock()
        self.health = Health(self.clock)
        self.database = Database(self.path, self.clock, self.health)
        await self.database.open()
        self.outbox = Outbox(self.database, self.clock, self.health, max_mb=50)
        await self.outbox.open()
        self.duty = DutyService(
            self.rules,
            self.database,
            self.clock,
            self.health,
            self.outbox,
            live_orders=lambda _: self.live_orders,
            sos=lambda _: self.sos,
            around=self.around,
            changed=self._changed,
            forget=self._forget,
        )
        assert self.duty.mode == "off"  # until the store was asked
        await self.duty.open()
        task = asyncio.ensure_future(Supervisor(self.clock, self.health).run([self.duty]))
        try:
            await story(self)
        finally:
            task.cancel()
            await asyncio.wait([task])
            await self.outbox.close()
            await self.database.close()

    async def _changed(self) -> None:
        self.changed += 1

    async def _forget(self) -> int:
        assert self.duty.mode == "off"  # first it stops, then it forgets
        self.forgotten += 1
        return 7

    def turn(self, *, live_orders: bool = False, sos: bool = False) -> None:
        self.live_orders, self.sos = live_orders, sos
        self.around.notify()

    async def audits(self) -> list[tuple[Any, Any, str]]:
        """From, to, by whom."""
        rows = await self.outbox.fetch("critical", 0, max_bytes=1 << 20)
        found = [msgspec.json.decode(row.body, type=Audit) for row in rows]
        return [(a.detail["from"], a.detail["to"], a.by) for a in found]

    async def audited(self, *last: tuple[str, str, str]) -> None:
        """These are the newest ones, sooner or later."""
        deadline = asyncio.get_running_loop().time() + 20
        while (await self.audits())[-len(last) :] != list(last):
            assert asyncio.get_running_loop().time() < deadline, await self.audits()


def play(folder: Path, rules: Rules, *stories: Callable[[Bench], Awaitable[None]]) -> None:
    bench = Bench(folder, rules)
    for story in stories:
        asyncio.run(bench.run(story))


def test_nothing_before_consent_and_everything_after_it(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        assert bench.duty.mode == "off"
        assert bench.duty.view()["consent"] == "missing"
        assert [c.code for c in bench.health.conditions()] == [NO_CONSENT]
        view = await bench.duty.give("rider-7", "2", "cli")
        assert bench.duty.mode == "delivery"
        assert view["consent"] == "given"
        assert view["record"] | {"t": 0} == {
            "given": True, "person": "rider-7", "notice": "2", "by": "cli", "t": 0,
        }  # fmt: skip
        assert not list(bench.health.conditions())
        assert await bench.audits() == [("off", "delivery", "cli")]

    play(tmp_path, REQUIRED, story)


def test_consent_to_another_text_than_that_in_force_is_none(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        with pytest.raises(Rejected) as caught:
            await bench.duty.give("rider-7", "1", "command:9")
        assert caught.value.code == "wrong_notice"
        assert bench.duty.mode == "off"
        assert await bench.audits() == []

    play(tmp_path, REQUIRED, story)


def test_a_new_text_asks_anew(tmp_path: Path) -> None:
    async def agrees(bench: Bench) -> None:
        await bench.duty.give("rider-7", "2", "cli")
        bench.rules = Rules(required=True, notice="3", start="delivering")

    async def later(bench: Bench) -> None:
        assert bench.duty.mode == "off"
        assert bench.duty.view()["consent"] == "missing"
        await bench.audited(("delivery", "off", "start"))

    play(tmp_path, REQUIRED, agrees, later)


def test_consent_and_duty_outlive_the_process_and_are_not_told_again(tmp_path: Path) -> None:
    async def first(bench: Bench) -> None:
        await bench.duty.give("rider-7", "2", "cli")
        await bench.duty.set_duty("idle", "page")
        assert len(await bench.audits()) == 2

    async def second(bench: Bench) -> None:
        assert bench.duty.mode == "idle"
        await bench.duty.set_duty("idle", "page")
        assert len(await bench.audits()) == 2
        secrets.append(bench.duty.secret)

    secrets: list[bytes] = []
    play(tmp_path, REQUIRED, first, second, second)
    assert len(set(secrets)) == 1
    assert len(secrets[0]) == 32


@pytest.mark.parametrize("rules", [REQUIRED, ELSEWHERE])
def test_who_takes_consent_back_is_not_located_any_more(tmp_path: Path, rules: Rules) -> None:
    """Also where the employer keeps consents: the rider says so here."""

    async def story(bench: Bench) -> None:
        if rules.required:
            await bench.duty.give("rider-7", "2", "cli")
        assert bench.duty.mode == "delivery"
        view = await bench.duty.withdraw("page")
        assert view["consent"] == "withdrawn"
        assert view["forgotten"] == 7
        assert bench.duty.mode == "off"
        assert (await bench.audits())[-1] == ("delivery", "off", "page")

    async def later(bench: Bench) -> None:
        assert bench.duty.mode == "off"
        await until(lambda: bench.forgotten == 2, "what a power cut may have left is forgotten too")
        assert [c.code for c in bench.health.conditions()] == [NO_CONSENT]

    play(tmp_path, rules, story, later)


def test_a_live_order_makes_an_idle_rider_deliver_until_its_end(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        assert bench.duty.mode == "idle"
        bench.turn(live_orders=True)
        await until(lambda: bench.duty.mode == "delivery")
        assert bench.duty.state == "delivering"
        assert bench.duty.view()["duty"] == "idle"
        bench.turn()
        await until(lambda: bench.duty.mode == "idle")
        await bench.audited(
            ("off", "idle", "start"), ("idle", "delivery", "orders"), ("delivery", "idle", "orders")
        )

    play(tmp_path, SWITCHED, story)


def test_an_order_does_not_call_who_is_off_duty_but_an_sos_does(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        await bench.duty.set_duty("off", "panel")
        bench.turn(live_orders=True)
        await bench.clock.advance(1)
        assert bench.duty.mode == "off"
        bench.turn(live_orders=True, sos=True)
        await until(lambda: bench.duty.mode == "delivery")
        bench.turn(live_orders=True)
        await until(lambda: bench.duty.mode == "off")
        await bench.audited(("off", "delivery", "sos"), ("delivery", "off", "sos"))

    play(tmp_path, ELSEWHERE, story)


@pytest.mark.parametrize(
    ("rules", "back"), [(ELSEWHERE, "delivery"), (Rules(False, "1", "off"), "idle")]
)
def test_the_button_takes_off_duty_and_back_on(tmp_path: Path, rules: Rules, back: str) -> None:
    async def story(bench: Bench) -> None:
        if rules.start == "off":
            assert bench.duty.mode == "off"
            await bench.duty.toggle("panel")
        assert bench.duty.mode == back
        await bench.duty.toggle("panel")
        assert bench.duty.mode == "off"
        await bench.duty.toggle("panel")
        assert bench.duty.mode == back

    play(tmp_path, rules, story)


def test_what_is_stricter_holds_though_the_disk_refuses_and_is_told_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(bench: Bench) -> None:
        await bench.audited(("off", "delivery", "start"))
        write = bench.database.write

        async def refuses(_run: Callable[..., Any]) -> Any:
            raise StoreError("the disk is full")

        monkeypatch.setattr(bench.database, "write", refuses)
        with pytest.raises(StoreError):
            await bench.duty.set_duty("off", "panel")
        assert bench.duty.mode == "off"
        with pytest.raises(StoreError):
            await bench.duty.set_duty("delivering", "panel")
        assert bench.duty.mode == "off"  # looser only once it is written
        monkeypatch.setattr(bench.database, "write", write)
        bench.around.notify()
        await bench.audited(("delivery", "off", "panel"))

    play(tmp_path, ELSEWHERE, story)
