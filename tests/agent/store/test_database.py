"""The store: transactions of many callers, files that cannot be used, a disk that is full."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from agent.core.clock import ManualClock
from agent.core.health import Health
from agent.layers import ConfigError
from agent.store import refuge
from agent.store.database import HOME_S, WAL_BYTES, Database, StoreError, migrate
from tests.support import disk_that_takes

META = "INSERT INTO meta VALUES (?, ?)"
LARGE = "SELECT count(*) FROM meta WHERE key LIKE 'k%' AND length(value) = 1000"


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
        assert set(keys) & {("a",), ("b",), ("bad",)} == {("a",), ("b",)}

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
            assert disk.execute(LARGE).fetchone() == (5000,)
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
            assert await database.read(lambda c: c.execute(LARGE).fetchone()) == (0,)
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
            keys = disk.execute("SELECT key FROM meta WHERE key IN ('a', 'b')").fetchall()
            assert keys == [("a",), ("b",)]

    asyncio.run(tell())


def test_a_lock_of_another_program_is_left_for_memory_and_nobody_waits_for_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.store.database.LOCK_S", 0.1)
    path = tmp_path / "a.db"

    async def tell() -> None:
        clock = ManualClock()
        health = Health(clock)
        database = Database(path, clock, health)
        await database.open()
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await database.write(lambda tx: tx.execute(META, ("a", "1")))
            assert database.in_memory
            assert "Another program holds it" in next(iter(health.conditions())).text
            for key in ("b", "c"):  # each tries to go home, and does not wait there
                clock.jump(clock.monotonic() + HOME_S)
                writing = database.write(lambda tx, k=key: tx.execute(META, (k, "1")))
                await asyncio.wait_for(writing, 10)
            await asyncio.wait_for(database.read(lambda _: None), 10)
            assert database.in_memory
            other.execute("ROLLBACK")
        clock.jump(clock.monotonic() + HOME_S)
        await database.read(lambda _: None)
        await database.read(lambda _: None)
        assert not database.in_memory
        await database.close()
        with contextlib.closing(sqlite3.connect(path)) as disk:
            keys = disk.execute("SELECT key FROM meta WHERE key IN ('a', 'b', 'c')").fetchall()
            assert keys == [("a",), ("b",), ("c",)]

    asyncio.run(tell())


def test_moving_into_memory_does_not_wait_for_a_lock_either() -> None:
    class Locked:
        """A connection whose every step finds the database locked."""

        def execute(self, _sql: str) -> Locked:
            return self

        def fetchone(self) -> tuple[int]:
            return (1,)

        def backup(self, _target: object, *, progress: Callable[[int, int, int], None]) -> None:
            while True:
                progress(sqlite3.SQLITE_BUSY, 1, 1)

    disk: Any = Locked()
    assert refuge.move_in(disk, "epoch") is None


def schema(path: Path, version: int, usable_from: int | None) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as newer:
        newer.execute(f"PRAGMA user_version = {version}")
        newer.execute("DELETE FROM meta WHERE key = 'usable_from'")
        if usable_from is not None:
            newer.execute(META, ("usable_from", str(usable_from)))


@pytest.mark.parametrize("usable_from", [None, 99])
def test_a_file_of_a_newer_agent_is_refused_in_clear_words_and_left_as_it_is(
    tmp_path: Path, usable_from: int | None
) -> None:
    path = tmp_path / "a.db"
    run(path, lambda *_: asyncio.sleep(0))
    schema(path, 99, usable_from)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="written by a newer edge-agent"):
        run(path, lambda *_: asyncio.sleep(0))
    assert path.read_bytes() == before
    assert not list(tmp_path.glob("*.aside"))


def test_a_file_of_a_newer_agent_that_only_added_something_is_used(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    run(path, lambda *_: asyncio.sleep(0))
    schema(path, 99, 1)

    async def story(database: Database, health: Health) -> None:
        await database.write(lambda tx: tx.execute(META, ("a", "1")))
        assert not health.conditions()

    run(path, story)
    with contextlib.closing(sqlite3.connect(path)) as disk:
        assert disk.execute("PRAGMA user_version").fetchone() == (99,)


def test_the_oldest_schema_that_may_use_a_file_never_falls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = [(1, "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;")]
    monkeypatch.setattr("agent.store.database._migrations", lambda: steps)
    with contextlib.closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as disk:
        for script, expected in (
            ("CREATE TABLE a (x);", "2"),  # says nothing: older agents may not use it
            ("-- usable from: 2\nCREATE TABLE b (x);", "2"),
            ("DROP TABLE a;", "4"),
            ("-- usable from: 1\nCREATE TABLE c (x);", "4"),
        ):
            steps.append((len(steps) + 1, script))
            migrate(disk)
            found = disk.execute("SELECT value FROM meta WHERE key = 'usable_from'").fetchone()
            assert found == (expected,)


def test_a_life_that_ends_in_memory_is_known_to_the_next(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    lost: list[str] = []

    async def life(name: str, *, refuses: bool, cut: bool) -> None:
        clock = ManualClock()
        database = Database(path, clock, Health(clock))
        database.lost = lambda _tx: lost.append(name)
        await database.open()
        with disk_that_takes(0) if refuses else contextlib.nullcontext():
            await database.write(lambda tx: tx.execute("REPLACE INTO meta VALUES ('a', '1')"))
            assert database.in_memory == refuses
        if cut:
            for part in tmp_path.glob("a.db*"):
                shutil.copy(part, tmp_path / f"cut-{part.name}")
        await database.close()
        if cut:  # what the power cut has left
            for part in tmp_path.glob("a.db*"):
                part.unlink()
            for part in tmp_path.glob("cut-*"):
                part.rename(tmp_path / part.name.removeprefix("cut-"))

    async def tell() -> None:
        await life("first", refuses=False, cut=False)
        await life("cut on the disk", refuses=False, cut=True)
        await life("back home", refuses=True, cut=False)
        await life("cut in memory", refuses=True, cut=True)
        assert lost == []
        await life("after it", refuses=False, cut=True)
        await life("and on", refuses=False, cut=False)
        assert lost == ["after it"]

    asyncio.run(tell())


def test_the_log_does_not_grow_and_zeros_in_it_are_no_frames(tmp_path: Path) -> None:
    path, copy = tmp_path / "agent.db", tmp_path / "copy.db"
    log_file = path.with_name("agent.db-wal")

    async def story(database: Database, _health: Health) -> None:
        assert log_file.stat().st_size == WAL_BYTES
        for n in range(50):
            await database.write(lambda tx, n=n: tx.execute(META, (f"k{n}", "x" * 1000)))
        assert log_file.stat().st_size == WAL_BYTES
        shutil.copy(path, copy)  # as after a power cut
        shutil.copy(log_file, copy.with_name("copy.db-wal"))

    for _ in range(2):  # a new file, and one that was there
        run(path, story)
        with contextlib.closing(sqlite3.connect(copy)) as recovered:
            assert recovered.execute(LARGE).fetchone() == (50,)
            assert recovered.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("DELETE FROM meta WHERE key LIKE 'k%'")
            connection.commit()
        for part in tmp_path.glob("copy.db*"):
            part.unlink()


def test_a_full_disk_gets_no_zeros(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=WAL_BYTES)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)

    async def story(database: Database, _health: Health) -> None:
        await database.write(lambda tx: tx.execute(META, ("a", "1")))
        assert (tmp_path / "agent.db-wal").stat().st_size < WAL_BYTES

    run(tmp_path / "agent.db", story)
