"""One SQLite file, one writer thread.

Work arrives as functions over the connection. What waits at the same moment shares a commit, so a
rush costs one fsync and not a thousand; each function has its own savepoint and its own outcome. A
result is delivered only after the commit (WAL, synchronous=FULL), so it has survived a power cut.

A disk that refuses: first the reserve file is given up to make room; when that does not help, the
database moves into memory (see refuge) and back again, without being told.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import queue
import re
import shutil
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from agent.core.clock import Clock
from agent.core.health import Health
from agent.layers import ConfigError
from agent.store import refuge
from drivers.base import DriverError

log = logging.getLogger(__name__)
T = TypeVar("T")

APPLICATION_ID = 0x65646765  # "edge"; a file of another program is not ours to touch
GROUP_MAX = 200  # functions that share one commit
PAGE_BYTES = 1024  # of a new file; a commit writes whole pages, and few of ours hold more
FILL_BYTES = 4096
WAL_BYTES = 4 * 1024 * 1024  # then it is merged into the file, and cut back to this if it was more
RESERVE_BYTES = 4 * 1024 * 1024  # given back when the disk is full, so that orders still fit
LOCK_S = 5.0  # for another program that holds the database
USABLE_FROM = re.compile(r"^-- usable from: (\d+)$", re.MULTILINE)
HOME_S = 5.0  # between attempts to move from memory back to the disk

_SET_USABLE = """INSERT INTO meta VALUES ('usable_from', '{0}')
ON CONFLICT (key) DO UPDATE SET value = max(CAST(value AS INTEGER), {0})"""


class StoreError(DriverError):
    """The disk refused: full, read-only, gone. Nothing of the transaction is stored.

    It is a device like others: the supervisor runs the service again after a while.
    """


@dataclass(slots=True)
class _Work:
    run: Callable[[sqlite3.Connection], Any]
    write: bool
    done: asyncio.Future[Any]  # of the event loop; the thread only tells it what to answer
    alone: bool = False  # outside of any transaction


_Outcome = tuple[_Work, Any, BaseException | None]  # what it returned, or why not


class Database:
    """Open with `await open()`, close with `await close()`; in between `write()` and `read()`."""

    def __init__(self, path: Path, clock: Clock, health: Health) -> None:
        self.path = path
        self._clock = clock
        self._health = health
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._home_at = 0.0  # monotonic s of the next attempt to leave it
        self._memory: sqlite3.Connection | None = None  # in use while the disk refuses
        self._died: BaseException | None = None  # what ended the thread, if a bug did
        self._forgetful = False  # the disk does not know how the last life ended
        self.moved: Callable[[str], None] = lambda _epoch: None  # into memory; in the event loop
        self.committed: Callable[[], None] = lambda: None  # in the event loop, after each write
        # In the first transaction, where the disk does not know how the last life ended.
        self.lost: Callable[[sqlite3.Connection], None] = lambda _tx: None

    async def open(self) -> None:
        """Raises StoreError when the folder cannot be used.

        A file that is corrupt or another program's is set aside under a dated name, and said so.
        """
        self._loop = loop = asyncio.get_running_loop()
        connection, trouble = await loop.run_in_executor(None, self._connect_or_set_aside)
        if trouble is not None:
            self._health.set("store.set_aside", trouble, severity="critical")
        self._thread = threading.Thread(
            target=self._serve, args=(connection,), name="store", daemon=True
        )
        self._thread.start()
        if self._forgetful:
            await self.write(self.lost)
        await self._submit(self._say_home, write=True)

    async def close(self) -> None:
        if self._thread is not None:
            thread, self._thread = self._thread, None  # later callers are refused, not left waiting
            self._queue.put(None)
            await asyncio.get_running_loop().run_in_executor(None, thread.join)

    @property
    def in_memory(self) -> bool:
        """Whether the disk refuses, so that all of it is in memory."""
        return self._memory is not None

    async def write(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """`run(tx)` in a transaction; committed when this returns, undone when it raises."""
        result = await self._submit(run, write=True)
        self.committed()
        return result

    async def read(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """`run(connection)` between transactions; it must not write."""
        return await self._submit(run, write=False)

    def free_bytes(self) -> int | None:
        """What the disk has left; None while the database is in memory, or nobody can tell."""
        if self.in_memory:
            return None
        try:
            return shutil.disk_usage(self.path.parent).free
        except OSError:
            return None

    async def keep_reserve(self) -> None:
        """Put the reserve back once there is room again."""
        if not self._reserve().exists():
            await asyncio.get_running_loop().run_in_executor(None, self._fill_reserve)

    async def scrub(self) -> None:
        """Write the file anew without what was deleted from it, and empty its log.

        Where the disk has no room for a second copy, only the log is emptied.
        """
        await self._submit(_scrub, write=False, alone=True)

    async def _submit(
        self, run: Callable[[sqlite3.Connection], T], *, write: bool, alone: bool = False
    ) -> T:
        if self._thread is None:
            raise StoreError("the store is closed")
        work = _Work(run, write, self._loop.create_future(), alone)
        self._queue.put(work)
        if self._died is not None:
            raise RuntimeError("the store's thread has ended") from self._died
        result: T = await work.done
        return result

    # --- the thread -------------------------------------------------------------------------------

    def _serve(self, disk: sqlite3.Connection) -> None:
        group: list[_Work] | None = None
        try:
            with contextlib.closing(disk):
                while (group := self._next_group()) is not None:
                    self._commit(disk, [work for work in group if not work.alone])
                    for work in group:
                        if work.alone:
                            self._commit(disk, [work])
                    if self._memory is not None:
                        self._go_home(disk)
                if self._memory is not None and not self._go_home(disk, at_once=True):
                    log.error("the disk still refuses: what happened since is lost")
        except BaseException as error:
            self._died = error
            self._fail(group or [], error)
            raise

    def _fail(self, group: list[_Work], error: BaseException) -> None:
        """A bug ends the process: whoever waits must hear of it, not wait for ever."""
        while not self._queue.empty():
            if (work := self._queue.get()) is not None:
                group.append(work)
        self._answer([(work, None, error) for work in group])

    def _answer(self, outcomes: list[_Outcome]) -> None:
        """One call into the event loop for a whole group."""
        if outcomes:
            with contextlib.suppress(RuntimeError):  # it is closed: nobody waits any more
                self._loop.call_soon_threadsafe(_settle, outcomes)

    def _next_group(self) -> list[_Work] | None:
        """What waits, together; empty where it is time to look at the disk; None at the end."""
        try:
            work = self._queue.get(timeout=HOME_S if self._memory is not None else None)
        except queue.Empty:
            return []
        group: list[_Work] = []
        while work is not None:
            group.append(work)
            if len(group) == GROUP_MAX or self._queue.empty():
                return group
            work = self._queue.get()
        if group:
            self._queue.put(None)
        return group or None

    def _commit(self, disk: sqlite3.Connection, group: list[_Work]) -> None:
        connection = self._memory or disk
        outcomes: list[_Outcome]
        try:
            if any(work.write for work in group):
                connection.execute("BEGIN IMMEDIATE")
            outcomes = [(work, *_attempt(connection, work)) for work in group]
            if connection.in_transaction:
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            if refuge.is_disk(error) and self._make_room(disk, error):
                self._commit(disk, group)
                return
            if len(group) > 1:  # whoever can be served alone is
                for work in group:
                    self._commit(disk, [work])
                return
            problem: BaseException = error
            if refuge.is_disk(error):
                problem = StoreError(f"{self.path} cannot be written: {error}")
            outcomes = [(group[0], None, problem)]
        self._answer(outcomes)

    # --- a disk that refuses ----------------------------------------------------------------------

    def _make_room(self, disk: sqlite3.Connection, error: sqlite3.Error) -> bool:
        """Give up the reserve, or else move into memory; whether it is worth another attempt."""
        if self._memory is not None:
            return False
        if self._reserve().exists():
            with contextlib.suppress(OSError):
                self._reserve().unlink()
                return True
        epoch = refuge.new_epoch()
        self._memory = refuge.move_in(disk, epoch)
        if self._memory is None:
            return False
        refuge.mark_away(self._home())
        self._home_at = self._clock.monotonic() + HOME_S
        self._loop.call_soon_threadsafe(self._tell_moved, epoch, str(error))
        return True

    def _go_home(self, disk: sqlite3.Connection, *, at_once: bool = False) -> bool:
        now = self._clock.monotonic()
        if self._memory is None or (now < self._home_at and not at_once):
            return False
        self._home_at = now + HOME_S
        if not refuge.move_home(self._memory, disk):
            return False
        self._memory.close()
        self._memory = None
        refuge.mark_home(self._home())
        self._loop.call_soon_threadsafe(self._health.clear, "store.memory")
        return True

    def _tell_moved(self, epoch: str, error: str) -> None:
        locked = f"Another program holds it: end it (fuser -v {self.path} names it)"
        remedy = locked if "locked" in error else "Free some space or change the card"
        self._health.set(
            "store.memory",
            f"{self.path} cannot be written ({error}): everything is kept in memory only and would "
            f"be lost at a power cut. {remedy}; do not switch off.",
            severity="critical",
        )
        self.moved(epoch)

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
        marked = connection.execute("SELECT 1 FROM meta WHERE key = 'home'").fetchone()
        self._forgetful = trouble is not None or (bool(marked) and not self._home().exists())
        self._fill_reserve()
        return connection, trouble

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, isolation_level=None, check_same_thread=False, timeout=LOCK_S
        )
        try:
            connection.execute("PRAGMA locking_mode=NORMAL")
            found = connection.execute("PRAGMA application_id").fetchone()[0]
            tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
            if tables and found != APPLICATION_ID:
                raise sqlite3.DatabaseError("it belongs to another program")  # noqa: TRY301
            _refuse_newer(connection, self.path)
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise sqlite3.DatabaseError(verdict)  # noqa: TRY301
            connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
            connection.execute("PRAGMA journal_mode=WAL")
            (page,) = connection.execute("PRAGMA page_size").fetchone()
            connection.execute(f"PRAGMA wal_autocheckpoint={WAL_BYTES // page}")
            connection.execute(f"PRAGMA journal_size_limit={WAL_BYTES}")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA secure_delete=FAST")
            connection.execute("PRAGMA cache_size=-1024")
            migrate(connection)
            self._stretch_log(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _stretch_log(self, connection: sqlite3.Connection) -> None:
        """Zeros to the end that the log may reach: overwriting a file costs one write to the card.

        Making it longer costs the file system's journal as well. SQLite takes zeros for no frames;
        nobody else may add some meanwhile.
        """
        connection.execute("BEGIN IMMEDIATE")
        with (
            contextlib.suppress(OSError),
            self.path.with_name(self.path.name + "-wal").open("r+b", buffering=0) as log_,
        ):
            size = log_.seek(0, os.SEEK_END)
            if size < WAL_BYTES and self._has_room(WAL_BYTES):
                # A page at a time: newer kernels keep what was written at once as one piece, and
                # account for all of it whenever a little of it changes.
                for at in range(size, WAL_BYTES, FILL_BYTES):
                    log_.write(bytes(min(FILL_BYTES, WAL_BYTES - at)))
                os.fsync(log_.fileno())
        connection.execute("COMMIT")

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

    def _say_home(self, tx: sqlite3.Connection) -> None:
        """From now on the absence of the mark says something."""
        if self._memory is None and refuge.mark_home(self._home()):
            tx.execute("INSERT OR IGNORE INTO meta VALUES ('home', 'marked')")

    def _home(self) -> Path:
        return self.path.with_name(self.path.name + ".home")

    def _reserve(self) -> Path:
        return self.path.with_name(self.path.name + ".reserve")

    def _has_room(self, size: int) -> bool:
        return shutil.disk_usage(self.path.parent).free > 2 * size

    def _fill_reserve(self) -> None:
        reserve = self._reserve()
        if not reserve.exists():
            try:
                if self._has_room(RESERVE_BYTES):
                    with reserve.open("wb") as file:
                        os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
            except OSError:
                reserve.unlink(missing_ok=True)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema to the newest version; each numbered file is one transaction.

    A file that older agents can live with says so: `-- usable from: N`, the oldest schema of those.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    for number, script in _migrations():
        if number > version:
            found = USABLE_FROM.search(script)
            connection.executescript(
                f"BEGIN IMMEDIATE;\n{script}\n"
                f"{_SET_USABLE.format(found[1] if found else number)};\n"
                f"PRAGMA application_id={APPLICATION_ID};\nPRAGMA user_version={number};\nCOMMIT;"
            )


def _migrations() -> list[tuple[int, str]]:
    folder = Path(__file__).with_name("migrations")
    scripts = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(int(name[:4]), (folder / name).read_text(encoding="utf-8")) for name in scripts]


def _refuse_newer(connection: sqlite3.Connection, path: Path) -> None:
    """Raise ConfigError where a newer agent has changed the file beyond what this one knows."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    newest = _migrations()[-1][0]
    if version <= newest:
        return
    found = connection.execute("SELECT value FROM meta WHERE key = 'usable_from'").fetchone()
    if (int(found[0]) if found else version) > newest:
        problem = (
            f"{path} was written by a newer edge-agent (schema {version}; this one knows {newest})."
            " Nothing was changed. Install that version again; to go back for good, let it send"
            " what waits, then move the file aside"
        )
        raise ConfigError([problem])


def _scrub(connection: sqlite3.Connection) -> None:
    try:
        connection.execute("VACUUM")
    except sqlite3.OperationalError as error:
        log.info("the database could not be written anew: %s", error)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _settle(outcomes: list[_Outcome]) -> None:
    """In the event loop. Who was cancelled, or has been answered, hears nothing more."""
    for work, result, failure in outcomes:
        if work.done.done():
            continue
        if failure is None:
            work.done.set_result(result)
        else:
            work.done.set_exception(failure)


def _attempt(connection: sqlite3.Connection, work: _Work) -> tuple[Any, BaseException | None]:
    """Run one function; its own failure undoes only its own changes."""
    if not work.write:
        try:
            return work.run(connection), None
        except Exception as error:
            if isinstance(error, sqlite3.Error) and refuge.is_disk(error):
                raise
            return None, error
    connection.execute("SAVEPOINT work")
    try:
        result = work.run(connection)
    except Exception as error:
        if isinstance(error, sqlite3.Error) and refuge.is_disk(error):
            raise  # the disk, not the function: nobody's work of this group is stored
        connection.execute("ROLLBACK TO work")
        connection.execute("RELEASE work")
        return None, error
    connection.execute("RELEASE work")
    return result, None
