"""One SQLite file, one connection, one writer thread.

Work arrives as functions over the connection. What waits at the same moment shares a commit, so a
rush costs one fsync and not a thousand; each function has its own savepoint and its own outcome. A
result is delivered only after the commit (WAL, synchronous=FULL), so it has survived a power cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import shutil
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from agent.core.clock import Clock
from agent.core.health import Health
from drivers.base import DriverError

log = logging.getLogger(__name__)
T = TypeVar("T")

APPLICATION_ID = 0x65646765  # "edge"; a file of another program is not ours to touch
GROUP_MAX = 200  # functions that share one commit
RESERVE_BYTES = 4 * 1024 * 1024  # given back when the disk is full, so that orders still fit


class StoreError(DriverError):
    """The disk refused: full, read-only, gone. Nothing of the transaction is stored.

    It is a device like others: the supervisor runs the service again after a while.
    """


@dataclass(slots=True)
class _Work:
    run: Callable[[sqlite3.Connection], Any]
    write: bool
    done: Future[Any]


class Database:
    """Open with `await open()`, close with `await close()`; in between `write()` and `read()`."""

    def __init__(self, path: Path, clock: Clock, health: Health) -> None:
        self.path = path
        self._clock = clock
        self._health = health
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self.committed: Callable[[], None] = lambda: None  # in the event loop, after each write

    async def open(self) -> None:
        """Raises StoreError when the folder cannot be used.

        A file that is corrupt or another program's is set aside under a dated name, and said so.
        """
        loop = asyncio.get_running_loop()
        connection, trouble = await loop.run_in_executor(None, self._connect_or_set_aside)
        if trouble is not None:
            self._health.set("store.set_aside", trouble, severity="critical")
        self._thread = threading.Thread(
            target=self._serve, args=(connection,), name="store", daemon=True
        )
        self._thread.start()

    async def close(self) -> None:
        if self._thread is not None:
            self._queue.put(None)
            await asyncio.get_running_loop().run_in_executor(None, self._thread.join)
            self._thread = None

    async def write(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """`run(tx)` in a transaction; committed when this returns, undone when it raises."""
        result = await self._submit(run, write=True)
        self.committed()
        return result

    async def read(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """`run(connection)` between transactions; it must not write."""
        return await self._submit(run, write=False)

    async def keep_reserve(self) -> None:
        """Put the reserve back once there is room again."""
        if not self._reserve().exists():
            await asyncio.get_running_loop().run_in_executor(None, self._fill_reserve)

    async def _submit(self, run: Callable[[sqlite3.Connection], T], *, write: bool) -> T:
        if self._thread is None:
            raise StoreError("the store is closed")
        work = _Work(run, write, Future())
        self._queue.put(work)
        return await asyncio.wrap_future(work.done)

    # --- the thread -------------------------------------------------------------------------------

    def _serve(self, connection: sqlite3.Connection) -> None:
        with contextlib.closing(connection):
            while (work := self._queue.get()) is not None:
                group = [work]
                while len(group) < GROUP_MAX and not self._queue.empty():
                    more = self._queue.get()
                    if more is None:
                        self._queue.put(None)
                        break
                    group.append(more)
                self._commit(connection, group)

    def _commit(self, connection: sqlite3.Connection, group: list[_Work]) -> None:
        outcomes: list[tuple[_Work, Any, BaseException | None]]
        try:
            if any(work.write for work in group):
                connection.execute("BEGIN IMMEDIATE")
            outcomes = [(work, *_attempt(connection, work)) for work in group]
            if connection.in_transaction:
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            if len(group) > 1:  # whoever can be served alone is
                for work in group:
                    self._commit(connection, [work])
                return
            outcomes = [(group[0], None, self._explain(error))]
        for work, result, problem_ in outcomes:
            if work.done.set_running_or_notify_cancel():
                if problem_ is None:
                    work.done.set_result(result)
                else:
                    work.done.set_exception(problem_)

    def _explain(self, error: sqlite3.Error) -> StoreError:
        full = "full" in str(error)
        if full:
            self._reserve().unlink(missing_ok=True)
        return StoreError(f"{self.path} cannot be written: {error}")

    # --- opening ----------------------------------------------------------------------------------

    def _connect_or_set_aside(self) -> tuple[sqlite3.Connection, str | None]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{self.path.parent} cannot be made: {error.strerror}") from error
        trouble = None
        try:
            connection = self._connect()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise StoreError(f"{self.path} cannot be opened: {error}") from error
            trouble = self._set_aside(str(error))
            connection = self._connect()
        self._fill_reserve()
        return connection, trouble

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, isolation_level=None, check_same_thread=False, timeout=5.0
        )
        try:
            connection.execute("PRAGMA locking_mode=NORMAL")
            found = connection.execute("PRAGMA application_id").fetchone()[0]
            tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
            if tables and found != APPLICATION_ID:
                raise sqlite3.DatabaseError("it belongs to another program")  # noqa: TRY301
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise sqlite3.DatabaseError(verdict)  # noqa: TRY301
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA secure_delete=FAST")
            connection.execute("PRAGMA cache_size=-1024")
            migrate(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_aside(self, why: str) -> str:
        stamp = datetime.fromtimestamp(self._clock.wall(), UTC).strftime("%Y%m%d-%H%M%S")
        aside = self.path.with_name(f"{self.path.name}.{stamp}.aside")
        for suffix in ("", "-wal", "-shm"):
            part = self.path.with_name(self.path.name + suffix)
            if part.exists():
                part.rename(aside.with_name(aside.name + suffix))
        return (
            f"the database could not be used ({why}); it was set aside as {aside} and a new one "
            "begun. Nothing was deleted: keep the file and call support."
        )

    def _reserve(self) -> Path:
        return self.path.with_name(self.path.name + ".reserve")

    def _fill_reserve(self) -> None:
        reserve = self._reserve()
        if not reserve.exists():
            try:
                if shutil.disk_usage(self.path.parent).free > 2 * RESERVE_BYTES:
                    reserve.write_bytes(b"\0" * RESERVE_BYTES)
            except OSError:
                reserve.unlink(missing_ok=True)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema to the newest version; each numbered file is one transaction."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    folder = resources.files("agent.store") / "migrations"
    for script in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if not script.name.endswith(".sql") or int(script.name[:4]) <= version:
            continue
        number = int(script.name[:4])
        connection.executescript(
            f"BEGIN IMMEDIATE;\n{script.read_text(encoding='utf-8')}\n"
            f"PRAGMA application_id={APPLICATION_ID};\nPRAGMA user_version={number};\nCOMMIT;"
        )


def _attempt(connection: sqlite3.Connection, work: _Work) -> tuple[Any, BaseException | None]:
    """Run one function; its own failure undoes only its own changes."""
    if not work.write:
        try:
            return work.run(connection), None
        except sqlite3.Error:
            raise
        except Exception as error:  # noqa: BLE001 - handed to the caller, who asked for it
            return None, error
    connection.execute("SAVEPOINT work")
    try:
        result = work.run(connection)
    except sqlite3.OperationalError:
        raise  # the disk, not the function: nobody's work of this group is stored
    except Exception as error:  # noqa: BLE001 - handed to the caller, who asked for it
        connection.execute("ROLLBACK TO work")
        connection.execute("RELEASE work")
        return None, error
    connection.execute("RELEASE work")
    return result, None
