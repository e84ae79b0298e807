"""The audit chain: what was taken away, changed or put in is found, and where."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.contract.events import Audit
from agent.core.clock import ManualClock
from agent.core.health import Health
from agent.core.supervisor import Heartbeat
from agent.fleet import audit
from agent.fleet.audit import Chain, Entry, Head
from agent.fleet.audit_service import AuditService
from agent.fleet.guard import Guard
from agent.store.database import Database
from agent.store.outbox import Outbox
from tests.support import until

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def entries(count: int = 5, detail: dict[str, Any] | None = None) -> list[Entry]:
    head, made = Head(), []
    for number in range(1, count + 1):
        body = Audit(action=f"act.{number}", by="cli", detail=detail or {"n": number})
        body = audit.link("sh-1", body, 1000 + number, head)
        assert body.n is not None
        assert body.hash is not None
        head = Head(body.n, body.hash)
        made.append(Entry("e1", number * 3, json.loads(msgspec.json.encode(body))))
    return made


def changed(entry: Entry, **what: Any) -> Entry:
    return entry._replace(body=entry.body | what)


def test_a_whole_chain_holds() -> None:
    found = audit.verify("sh-1", entries())
    assert (found.breaks, found.entries, found.head.n) == ([], 5, 5)


@pytest.mark.parametrize(
    ("spoil", "where", "what"),
    [
        (lambda e: [*e[:2], *e[3:]], (12, 4), "numbers 3 to 3 are missing"),
        (lambda e: e[1:], (6, 2), "begins at number 2"),
        (lambda e: [*e[:2], changed(e[2], by="nobody"), *e[3:]], (9, 3), "was changed"),
        (lambda e: [*e[:2], changed(e[2], detail={}), *e[3:]], (9, 3), "was changed"),
        (lambda e: [*e[:2], changed(e[2], at=1), *e[3:]], (9, 3), "was changed"),
        (lambda e: [*e[:2], changed(e[2], hash="0" * 64), *e[3:]], (12, 4), "does not follow"),
        (lambda e: [*e[:2], changed(e[2], n=None), *e[3:]], (9, None), "no part of a chain"),
        (lambda e: [*e, entries(1, {"x": 1})[0]], (3, 1), "begins anew after number 5"),
        (lambda e: [*e[:3], e[4], e[3]], (15, 5), "numbers 4 to 4 are missing"),
    ],
)
def test_a_break_is_named_by_its_place(
    spoil: Callable[[list[Entry]], list[Entry]], where: tuple[int, int | None], what: str
) -> None:
    found = audit.verify("sh-1", spoil(entries()))
    assert any((b.seq, b.n) == where and what in b.what for b in found.breaks), found.breaks


def test_an_entry_of_another_device_does_not_fit() -> None:
    assert len(audit.verify("sh-2", entries()).breaks) == 5


def test_who_rewrites_all_of_it_ends_with_another_head() -> None:
    kept = audit.verify("sh-1", entries()).head
    forged = entries(5, {"n": "forged"})
    assert audit.verify("sh-1", forged).breaks == []
    assert not audit.passes(forged, kept)
    assert audit.passes(entries(9), kept)


def test_what_a_device_sent_twice_is_no_break() -> None:
    made = entries()
    again = [entry._replace(epoch="e2") for entry in made[3:]]
    assert audit.verify("sh-1", [*made, *again]).breaks == []


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_how_a_store_writes_json_does_not_matter(detail: dict[str, Any]) -> None:
    body = json.loads(json.dumps({"action": "a", "by": "b", "n": 1, "at": 2, "prev": ""}))
    written = json.loads(json.dumps(detail, indent=1, sort_keys=True, ensure_ascii=True))
    first = audit.digest("d", body | {"detail": detail})
    assert first == audit.digest("d", body | {"detail": written})


def test_numbers_count_by_their_value() -> None:
    def of(value: Any) -> str:
        return audit.digest("d", {"action": "a", "by": "b", "detail": {"v": value}})

    assert of(10) == of(10.0)
    assert of(1e22) == of(10**22)
    assert len({of(v) for v in (1, 1.5, True, "1", None, -1)}) == 6


class Device:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "agent.db"
        self.clock = ManualClock()
        self.settings: dict[str, Any] = {"alert.repeat_s": 8}
        self.outbox: Outbox

    async def live(self, story: Callable[[], Awaitable[None]]) -> None:
        """One life of the agent."""
        health = Health(self.clock)
        database = Database(self.path, self.clock, health)
        await database.open()
        self.outbox = Outbox(database, self.clock, health, max_mb=100)
        await self.outbox.open()
        self.guard = Guard(self.folder / "agent.db.audit")
        service = AuditService(
            Chain("sh-1", self.guard), database, self.clock, self.outbox, self.settings
        )
        await service.open()
        task = asyncio.ensure_future(service.run(Heartbeat("audit", self.clock, health)))
        try:
            await story()
        finally:
            task.cancel()
            await asyncio.wait([task])
            await self.outbox.close()
            await database.close()

    async def did(self, action: str = "act") -> None:
        await self.outbox.record(Audit(action=action, by="cli"))

    async def kept(self, n: int) -> None:
        """Until the head with this number lies beside the database."""
        for _ in range(500):
            await self.clock.advance(2)
            if str(self.guard.read()).startswith(f"{n}:"):
                return
            await asyncio.sleep(0.01)
        raise AssertionError(self.guard.read())

    def entries(self) -> list[Entry]:
        connection = sqlite3.connect(self.path)
        rows = connection.execute(
            "SELECT seq, body FROM critical WHERE kind = 'audit' ORDER BY seq"
        ).fetchall()
        connection.close()
        return [Entry("e1", seq, json.loads(body)) for seq, body in rows]


def test_the_chain_goes_on_across_restarts_and_says_what_changed(tmp_path: Path) -> None:
    device = Device(tmp_path)

    async def story() -> None:
        await device.did()
        await device.did()
        await device.kept(2 if "alert.x" not in device.settings else 5)

    asyncio.run(device.live(story))
    device.settings = {"alert.repeat_s": 9, "alert.x": 1}
    asyncio.run(device.live(story))
    made = device.entries()
    assert audit.verify("sh-1", made).breaks == []
    assert [e.body["action"] for e in made] == ["act", "act", "config.changed", "act", "act"]
    assert made[2].body["detail"] == {"keys": ["alert.repeat_s", "alert.x"], "count": 2}


def test_a_new_database_continues_the_chain_and_says_so(tmp_path: Path) -> None:
    device = Device(tmp_path)
    before: list[Entry] = []

    async def first() -> None:
        await device.did()
        await device.did()
        await device.kept(2)

    asyncio.run(device.live(first))
    before = device.entries()
    for path in tmp_path.glob("agent.db*"):
        if path.name != "agent.db.audit":
            path.unlink()

    async def second() -> None:
        await device.did()

    asyncio.run(device.live(second))
    after = [entry._replace(epoch="e2") for entry in device.entries()]
    assert [e.body["action"] for e in after] == ["audit.resumed", "act"]
    assert audit.verify("sh-1", [*before, *after]).breaks == []


def test_an_older_copy_of_the_database_is_noticed(tmp_path: Path) -> None:
    device = Device(tmp_path)

    async def one() -> None:
        await device.did()
        await device.kept(1)

    async def two() -> None:
        await device.did("hidden")
        await device.kept(2)

    asyncio.run(device.live(one))
    copy = device.path.read_bytes()
    asyncio.run(device.live(two))
    sent = device.entries()
    for path in tmp_path.glob("agent.db*"):
        if path.name != "agent.db.audit":
            path.unlink()
    device.path.write_bytes(copy)

    async def three() -> None:
        await until(lambda: True)

    asyncio.run(device.live(three))
    newest = device.entries()[-1]
    assert newest.body["action"] == "audit.resumed"
    assert newest.body["detail"] == {"database": 1, "beside": 2}
    assert audit.verify("sh-1", [*sent, newest]).breaks == []
    missing = audit.verify("sh-1", device.entries()).breaks
    assert [b.what for b in missing] == ["numbers 2 to 2 are missing"]
