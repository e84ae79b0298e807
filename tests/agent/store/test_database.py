"""The store: transactions of many callers, files that cannot be used, a disk that is full."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from agent.core.clock import ManualClock
from agent.core.health import Health
from agent.store import refuge
from agent.store.database import HOME_S, Database, StoreError
from tests.support import disk_that_takes

META = "INSERT INTO meta VALUES (?, ?)"


def run(path: Path, story: Callable[[Database, Health], Awaitable[None]]) -> None:
    async def tell() -> None:
        clock = ManualClock()
        health = Health(clock)
        database = Database(path, clock, health)
        await database.open()
        try:
            await story(database, health)
        finally:
            await database.close()

    asyncio.run(tell())


def test_callers_that_share_a_commit_fail_alone(tmp_path: Path) -> None:
    async def story(database: Database, _health: Health) -> None:
        def bad(tx: sqlite3.Connection) -> None:
            tx.execute(META, ("bad", "x"))
            raise ValueError("no")

        outcomes = await asyncio.gather(
            database.write(lambda tx: tx.execute(META, ("a", "1"))),
            database.write(bad),
            database.write(lambda tx: tx.execute(META, ("b", "2"))),
            return_exceptions=True,
        )
        assert isinstance(outcomes[1], ValueError)
        keys = await database.read(lambda c: c.execute("SELECT key FROM meta").fetchall())
        assert keys == [("a",), ("b",)]

    run(tmp_path / "a.db", story)


@pytest.mark.parametrize("content", [b"not a database at all, but long enough to be read" * 50])
def test_a_file_that_is_no_database_is_set_aside_and_said_so(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "agent.db"
    path.write_bytes(content)

    async def story(database: Database, health: Health) -> None:
        await database.write(lambda tx: tx.execute(META, ("a", "1")))
        (aside,) = tmp_path.glob("agent.db.*.aside")
        assert aside.read_bytes() == content
        assert [c.code for c in health.conditions()] == ["store.set_aside"]

    run(path, story)


def test_another_programs_database_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()

    async def story(_database: Database, health: Health) -> None:
        (aside,) = tmp_path.glob("agent.db.*.aside")
        with sqlite3.connect(aside) as kept:
            assert kept.execute("SELECT count(*) FROM theirs").fetchone() == (0,)
        kept.close()
        assert [c.code for c in health.conditions()] == ["store.set_aside"]

    run(path, story)


def test_a_damaged_database_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"

    async def fill(database: Database, _health: Health) -> None:
        def many(tx: sqlite3.Connection) -> None:
            tx.executemany(META, [(f"k{n}", "v" * 200) for n in range(2000)])

        await database.write(many)

    run(path, fill)
    data = bytearray(path.read_bytes())
    data[8192:60000] = b"\xa5" * (60000 - 8192)
    path.write_bytes(data)

    async def story(database: Database, health: Health) -> None:
        assert list(tmp_path.glob("agent.db.*.aside"))
        assert [c.code for c in health.conditions()] == ["store.set_aside"]
        await database.write(lambda tx: tx.execute(META, ("a", "1")))

    run(path, story)


def large(tx: sqlite3.Connection) -> None:
    tx.executemany(META, [(f"k{n}", "v" * 1000) for n in range(5000)])


def epoch(connection: sqlite3.Connection) -> str:
    row = connection.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
    return str(row[0])


def test_a_disk_that_refuses_is_left_for_memory_and_come_back_to(tmp_path: Path) -> None:
    path = tmp_path / "a.db"

    async def tell() -> None:
        clock = ManualClock()
        health = Health(clock)
        database = Database(path, clock, health)
        moved: list[str] = []
        database.moved = moved.append
        await database.open()
        await database.write(lambda tx: tx.execute(META, ("epoch", "first")))
        with disk_that_takes(1024 * 1024):
            await database.write(large)
            assert not path.with_name("a.db.reserve").exists()
            assert [c.code for c in health.conditions()] == ["store.memory"]
            assert await database.read(epoch) == moved[0] != "first"
            clock.jump(clock.monotonic() + HOME_S)
            await database.read(epoch)
            assert [c.code for c in health.conditions()] == ["store.memory"], "no room yet"
        clock.jump(clock.monotonic() + HOME_S)
        await database.read(epoch)
        await database.read(epoch)
        assert list(health.conditions()) == []
        await database.close()
        with contextlib.closing(sqlite3.connect(path)) as disk:
            assert disk.execute("SELECT count(*) FROM meta").fetchone() == (5001,)
            assert epoch(disk) == moved[0]

    asyncio.run(tell())


def test_what_does_not_fit_into_memory_is_a_store_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refuge, "LIMIT_BYTES", 0)

    async def story(database: Database, _health: Health) -> None:
        with disk_that_takes(1024 * 1024):
            with pytest.raises(StoreError, match="cannot be written"):
                await database.write(large)
            (count,) = await database.read(
                lambda c: c.execute("SELECT count(*) FROM meta").fetchone()
            )
            assert count == 0
        await database.write(lambda tx: tx.execute(META, ("after", "1")))

    run(tmp_path / "a.db", story)


def test_a_mistake_in_a_statement_is_no_fault_of_the_disk(tmp_path: Path) -> None:
    async def story(database: Database, health: Health) -> None:
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            await database.write(lambda tx: tx.execute("INSERT INTO nonsense VALUES (1)"))
        await database.write(lambda tx: tx.execute(META, ("after", "1")))
        assert list(health.conditions()) == []

    run(tmp_path / "a.db", story)


def test_a_folder_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    async def story() -> None:
        clock = ManualClock()
        database = Database(tmp_path / "file" / "x" / "agent.db", clock, Health(clock))
        with pytest.raises(StoreError):
            await database.open()

    asyncio.run(story())


def test_a_closed_store_refuses_and_leaves_nobody_waiting(tmp_path: Path) -> None:
    async def story(database: Database, _health: Health) -> None:
        closing = asyncio.ensure_future(database.close())
        await asyncio.sleep(0)
        with pytest.raises(StoreError, match="closed"):
            await database.read(lambda _: None)
        await closing

    run(tmp_path / "a.db", story)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_bug_in_the_thread_reaches_all_who_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_: object) -> bool:
        raise AssertionError("a bug")

    async def story(database: Database, _health: Health) -> None:
        monkeypatch.setattr(database, "_make_room", bug)
        with disk_that_takes(0):
            first = database.write(lambda tx: tx.execute(META, ("a", "1")))
            outcomes = await asyncio.gather(first, database.read(epoch), return_exceptions=True)
        assert any(isinstance(outcome, AssertionError) for outcome in outcomes)
        assert all(isinstance(outcome, Exception) for outcome in outcomes)
        with pytest.raises(RuntimeError, match="has ended"):
            await database.read(lambda _: None)

    run(tmp_path / "a.db", story)


def test_a_file_that_is_damaged_meanwhile_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.db"

    async def tell() -> None:
        clock = ManualClock()
        database = Database(path, clock, Health(clock))
        await database.open()
        with disk_that_takes(0):
            await database.write(lambda tx: tx.execute(META, ("a", "1")))
        for file in (path, path.with_name("a.db-wal")):
            file.write_bytes(b"\xa5" * 8192)
        clock.jump(clock.monotonic() + HOME_S)
        await database.read(lambda _: None)
        await database.write(lambda tx: tx.execute(META, ("b", "2")))
        assert not database.in_memory
        await database.close()
        with contextlib.closing(sqlite3.connect(path)) as disk:
            assert disk.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert disk.execute("SELECT key FROM meta").fetchall() == [("a",), ("b",)]

    asyncio.run(tell())
