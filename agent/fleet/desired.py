"""The configuration that the back end wishes: checked whole, kept, in force after a quick restart.

What ties a device to its back end (LOCAL) cannot be wished from afar: a mistake there would cut the
device off for good, or let in whoever wishes it. How soon it comes back can be. The rest is tried,
and taken back by itself; see trial.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from agent.contract.commands import MAX_BYTES, Desired, Reported
from agent.contract.errors import Rejected
from agent.contract.events import Audit, ConfigEvent
from agent.contract.wire import decode, encode
from agent.core.clock import Clock
from agent.core.health import Health
from agent.core.recorder import Recorder
from agent.core.supervisor import Heartbeat
from agent.fleet.authority import OPEN_HOUSE, Authority
from agent.fleet.trial import Standing, Trial
from agent.store.database import Database
from agent.store.inbox import Incoming
from agent.store.lock import only_one
from drivers.base import DriverError

LOCAL = ("role", "device", "store", "uplink", "update", "fleet")
HARMLESS = frozenset({"uplink.reconnect_window_s"})  # of these sections
CONDITION = "config.rolled_back"
LOCK_S = 5.0

_GET = "SELECT key, value FROM meta WHERE key IN ('desired', 'desired_trial')"
_PUT = "INSERT OR REPLACE INTO meta VALUES (?, ?)"
_DELETE = "DELETE FROM meta WHERE key = 'desired'"


class DesiredConfig:
    """Takes wishes, and watches over the one that is on trial."""

    name = "desired"

    def __init__(
        self,
        database: Database,
        clock: Clock,
        health: Health,
        recorder: Recorder,
        problems: Callable[[dict[str, Any]], list[str]],
        restart: Callable[[], None],
        report: Callable[[], None],
        reached: Callable[[], str | None],
        standing: Standing,
        *,
        authority: Authority = OPEN_HOUSE,
        overridden: Sequence[str] = (),
        left_out: str = "",
    ) -> None:
        """`problems(settings)` checks them over the local file; `restart` puts them in force;
        `report` publishes `reported()` anew; `reached()` is None while the broker is reached, else
        why it is not. `overridden`: what is wished and set otherwise on the device; `left_out`:
        why all of it is, where it does not fit the device's own file any more."""
        self._database = database
        self._clock = clock
        self._health = health
        self._recorder = recorder
        self._problems = problems
        self._restart = restart
        self._report = report
        self._reached = reached
        self._authority = authority
        self._overridden = list(overridden)
        self._standing = standing  # as the database has it
        self._left_out = left_out
        self._running = None if left_out else standing.in_force  # until the next start
        self._news = asyncio.Event()
        verdict = standing.verdict
        if verdict is not None and verdict.state == "rolled_back":
            self._health.set(
                CONDITION,
                f"configuration {verdict.version} was taken back: {verdict.error}. The one before"
                " is in force; send a higher version",
            )

    # --- the inbox's handlers, in the store's thread ----------------------------------------------

    def handle(self, tx: sqlite3.Connection, message: Incoming) -> Callable[[], None]:
        if message.address.rest != ("desired",):
            return lambda: None
        standing = _load(tx)
        if not message.payload:
            if self._authority.required:
                raise Rejected("unsigned", "an empty one is not signed: sign one without settings")
            return self._keep(tx, standing.take_back(), restart=standing.in_force is not None)
        wish = self._authority.wish(tx, message.payload)
        if not standing.is_news(wish.version):
            return lambda: None
        tied = _tied(wish.settings)
        problems = [f"{key}: is set on the device only" for key in tied]
        problems += [] if tied else self._problems(wish.settings)
        if problems:
            raise Rejected("invalid", "; ".join(problems))
        detail = {"version": wish.version}
        self._recorder.put(tx, Audit(action="config.wished", by="config", detail=detail))
        if self._reached() is not None:
            return self._keep(tx, standing.wait(wish))
        return self._keep(tx, self._applied(standing, wish), restart=True)

    def _applied(self, standing: Standing, wish: Desired) -> Standing:
        return standing.apply(wish, self._clock.boot_id, self._clock.monotonic())

    def _keep(
        self, tx: sqlite3.Connection, standing: Standing, *, restart: bool = False
    ) -> Callable[[], None]:
        _save(tx, standing)

        def after() -> None:
            self._standing = standing
            self._report()
            if restart:
                self._restart()

        return after

    def refuse(
        self, tx: sqlite3.Connection, message: Incoming, rejected: Rejected
    ) -> Callable[[], None]:
        version = None
        with contextlib.suppress(Rejected):  # then no version can be read; the error says the rest
            version = decode(message.payload, Desired, max_bytes=MAX_BYTES).version
        error = str(rejected)[:2000]
        refused = ConfigEvent(version=version, applied=False, error=error, state="refused")
        self._recorder.put(tx, refused)
        return self._keep(tx, _load(tx).refuse(version, error))

    # --- the service ------------------------------------------------------------------------------

    def look(self) -> None:
        """The broker was reached."""
        self._news.set()

    async def run(self, heartbeat: Heartbeat) -> None:
        await self._database.write(self._tell)
        while True:
            self._news.clear()
            now = self._clock.monotonic()
            if self._reached() is None:
                await self._now_reached()
            if (left := self._left_s(now)) is not None and left <= 0:
                await self._conclude(now)
            await heartbeat.idle(self._wait(self._left_s(now)))

    async def _now_reached(self) -> None:
        """The broker: what waited is applied, what is on trial has done one half of it."""
        if (wish := self._standing.waiting) is not None:
            await self._change(lambda it: self._applied(it, wish))
            self._restart()
        elif (trial := self._trial()) is not None and not trial.reached:
            await self._change(lambda it: it.reach())
            await self._in_force(trial.version)

    async def _conclude(self, now: float) -> None:
        why_not = self._reached() or "only later"
        after = await self._change(lambda it: it.conclude(now, why_not))
        if after.in_force != self._running:
            self._restart()

    def _trial(self) -> Trial | None:
        """Of what runs; what was wished since is for the next process."""
        return self._standing.trial if self._standing.in_force == self._running else None

    def _left_s(self, now: float) -> float | None:
        trial = self._trial()
        return None if trial is None else self._standing.left_s(trial, now)

    async def _wait(self, left_s: float | None) -> None:
        """For news, or until the trial's time is over."""
        if left_s is None:
            await self._news.wait()
            return
        tasks = {
            asyncio.ensure_future(self._news.wait()),
            asyncio.ensure_future(self._clock.sleep(max(0.0, left_s))),
        }
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _change(self, change: Callable[[Standing], Standing]) -> Standing:
        def write(tx: sqlite3.Connection) -> Standing:
            standing = change(_load(tx))
            _save(tx, standing)
            return standing

        self._standing = await self._database.write(write)
        return self._standing

    async def _in_force(self, version: int) -> None:
        detail = {"version": version}
        await self._recorder.record(Audit(action="config.applied", by="config", detail=detail))
        await self._recorder.record(ConfigEvent(version=version, applied=True, state="in_force"))
        self._report()

    def _tell(self, tx: sqlite3.Connection) -> None:
        """What an earlier process took back, and could not say."""
        standing = _load(tx)
        if standing.told or standing.verdict is None:
            return
        version, error = standing.verdict.version, standing.verdict.error
        detail = {"version": version, "error": error}
        self._recorder.put(tx, Audit(action="config.rolled_back", by="config", detail=detail))
        self._recorder.put(
            tx, ConfigEvent(version=version, applied=False, error=error, state="rolled_back")
        )
        _save(tx, msgspec.structs.replace(standing, told=True))

    def reported(self) -> Reported:
        """What was wished last and what became of it, with the settings in force."""
        running = self._running or Desired(version=0)
        common: dict[str, Any] = {
            "settings": running.settings,
            "in_force": running.version,
            "overridden": self._overridden,
        }
        verdict, waiting, trial = (
            self._standing.verdict, self._standing.waiting, self._standing.trial,
        )  # fmt: skip
        if self._left_out and self._standing.in_force is not None:
            version = self._standing.in_force.version
            return Reported(version, applied=False, error=self._left_out, state="refused", **common)
        if verdict is not None:
            return Reported(
                verdict.version, applied=False, error=verdict.error, state=verdict.state, **common
            )
        if waiting is not None:
            return Reported(waiting.version, applied=False, state="waiting", **common)
        if trial is not None and self._running != self._standing.in_force:
            return Reported(trial.version, applied=False, state="trying", **common)
        return Reported(running.version, applied=True, state="in_force", **common)


def _tied(settings: dict[str, Any]) -> list[str]:
    """What may be set on the device only."""
    return [key for key in LOCAL if key in settings and not _harmless(key, settings[key])]


def _harmless(section: str, within: object) -> bool:
    if not isinstance(within, dict) or not within:
        return False
    return all(f"{section}.{name}" in HARMLESS for name in within)


# --- of the database, also before there is an agent ----------------------------------------------


def stored(path: Path) -> Desired | None:
    """What is in force, for who only looks; None when there is nothing."""
    return _peek(path).in_force


def standing(path: Path) -> Standing:
    """All that is known of what was wished, for who only looks."""
    return _peek(path)


def begin(path: Path, clock: Clock) -> Standing:
    """As a new process finds it; counts the start of what is on trial."""
    return _alone(path, lambda it: it.begin(clock.boot_id, clock.monotonic()))


def leave_out(path: Path, error: str) -> Standing:
    """What is on trial does not fit the device's own file any more."""
    return _alone(path, lambda it: it.roll_back(error) if it.trial else it)


def end(path: Path) -> None:
    """The process ends in order."""
    _alone(path, lambda it: it.end())


def _alone(path: Path, change: Callable[[Standing], Standing]) -> Standing:
    """Changes it while no agent holds the store; what cannot be written is changed in memory."""
    before = _peek(path)
    after = change(before)
    if after != before:
        with contextlib.suppress(DriverError, sqlite3.DatabaseError), only_one(path):
            connection = _connect(path, "rw")
            try:
                connection.execute("BEGIN IMMEDIATE")
                _save(connection, after)
                connection.execute("COMMIT")
            finally:
                connection.close()
    return after


def _peek(path: Path) -> Standing:
    """Nothing where there is no usable database: opening the store will say what is wrong."""
    if not path.exists():
        return Standing()
    try:
        connection = _connect(path, "ro")
        try:
            return _load(connection)
        finally:
            connection.close()
    except sqlite3.DatabaseError:
        return Standing()


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    where = f"file:{path}?mode={mode}"
    return sqlite3.connect(where, uri=True, isolation_level=None, timeout=LOCK_S)


def _load(tx: sqlite3.Connection) -> Standing:
    found = dict(tx.execute(_GET).fetchall())
    in_force = msgspec.json.decode(found["desired"], type=Desired) if "desired" in found else None
    rest = found.get("desired_trial")
    standing = msgspec.json.decode(rest, type=Standing) if rest else Standing()
    return msgspec.structs.replace(standing, in_force=in_force)


def _save(tx: sqlite3.Connection, standing: Standing) -> None:
    """What is in force has a row of its own, which older agents know."""
    if standing.in_force is None:
        tx.execute(_DELETE)
    else:
        tx.execute(_PUT, ("desired", encode(standing.in_force).decode()))
    rest = encode(msgspec.structs.replace(standing, in_force=None)).decode()
    tx.execute(_PUT, ("desired_trial", rest))
