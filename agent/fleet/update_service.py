"""The agent's part in an update: it leaves the request, proves itself in a new slot, and reports.

It has no right to change slots. The proof is that what a device is for works from this very
process: the store is open, nothing critical has come up that was not there before, and the back end
(or the broker, where PUBACK is all there is) has confirmed an event of this start.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from agent.contract.errors import Rejected
from agent.contract.events import Update
from agent.core.clock import Clock
from agent.core.recorder import Recorder
from agent.core.supervisor import Heartbeat
from agent.fleet.box import REQUEST, VERDICT, VERSION, Request, Verdict, leave, left
from agent.fleet.slots import Result, Slots, Trial
from agent.store.database import Database
from drivers.base import DriverError

T = TypeVar("T")

STEADY_S = 10.0  # without new trouble, before a release calls itself sound
LOOK_S = 1.0

_REPORTED = "SELECT value FROM meta WHERE key = 'update_reported'"
_REPORT = "INSERT OR REPLACE INTO meta VALUES ('update_reported', ?)"
_BEFORE = "SELECT value FROM meta WHERE key = 'update_troubles'"
_REMEMBER = "INSERT OR REPLACE INTO meta VALUES ('update_troubles', ?)"


class UpdateService:
    name = "update"

    def __init__(
        self,
        slots: Slots,
        box: Path,
        database: Database,
        clock: Clock,
        troubles: Callable[[], set[str]],
        recorder: Recorder,
        confirmed: Callable[[int], bool],
        announce: Callable[[], Awaitable[None]],
        prefix: Path | None = None,
    ) -> None:
        """`box`: where requests are left; `troubles()`: codes of what a release could be to blame
        for; `confirmed(seq)`: of the critical stream; `announce`: says `trying` anew; `prefix`: of
        this process's environment, which is a slot or is not."""
        self._slots = slots
        self._box = box
        self._database = database
        self._clock = clock
        self._troubles = troubles
        self._recorder = recorder
        self._confirmed = confirmed
        self._announce = announce
        self._slot = (prefix or Path(sys.prefix)).resolve().name
        self._asked = asyncio.Event()
        self.trying = False
        with contextlib.suppress(DriverError):  # `run` tells it
            self.trying = self._is_ours(self._trial())

    async def start(self, version: str) -> str:
        """Ask the updater for a release; the id that its events will bear."""
        if not VERSION.fullmatch(version):
            raise Rejected("invalid", f"{version!r} is no version")
        if not self._slots.link.is_symlink():
            raise Rejected("no_slots", "this agent is not installed in slots; update it by hand")
        if (waiting := self._waiting()) is not None:
            raise Rejected("busy", f"release {waiting.version} is on its way ({waiting.id})")
        request = Request(secrets.token_hex(8), version)
        troubles = msgspec.json.encode(sorted(self._troubles())).decode()

        def store(tx: sqlite3.Connection) -> None:
            tx.execute(_REMEMBER, (troubles,))
            self._recorder.put(
                tx, Update(request=request.id, version=version, slot=self._slot, state="requested")
            )

        await self._database.write(store)
        self._box.mkdir(exist_ok=True)
        leave(self._box / REQUEST, request)
        self._asked.set()
        return request.id

    def status(self) -> dict[str, Any]:
        waiting, trial, last = self._waiting(), self._trial(), self._result()
        return {
            "slot": self._slots.current(),
            "waiting": waiting and waiting.version,
            "trial": trial and trial.slot,
            "last": last and f"{last.version} {last.outcome} {last.reason}".strip(),
            "refused": sorted(self._read(self._slots.refused)),
        }

    async def run(self, heartbeat: Heartbeat) -> None:
        while True:
            await self._tell_result()
            trial = self._trial()
            if trial is not None and self._is_ours(trial):
                await self._prove(trial, heartbeat)
            while self._waiting() is not None or self._is_ours(self._trial()):
                await heartbeat.idle(self._clock.sleep(LOOK_S))
                await self._tell_result()
            await self._tell_result()
            self._asked.clear()
            await heartbeat.idle(self._asked.wait())

    async def _prove(self, trial: Trial, heartbeat: Heartbeat) -> None:
        """Return when the verdict is left, or the trial is over without one."""
        trying = Update(
            request=trial.request, version=trial.version, slot=trial.slot, state="trying"
        )
        seq = await self._recorder.record(trying)
        row = await self._database.read(lambda connection: connection.execute(_BEFORE).fetchone())
        before = set(msgspec.json.decode(row[0], type=list[str])) if row else set()
        steady_since = self._clock.monotonic()
        while self._trial() is not None:
            now = self._clock.monotonic()
            if self._troubles() - before:
                steady_since = now
            if now - steady_since >= STEADY_S and self._confirmed(seq):
                leave(self._box / VERDICT, Verdict(trial.request, trial.slot))
                return
            await heartbeat.idle(self._clock.sleep(LOOK_S))

    async def _tell_result(self) -> None:
        """Each end of an update becomes one event, whoever was running then."""
        result = self._result()
        if result is None or result.outcome == "interrupted":
            return
        known = f"{result.request} {result.outcome}"
        row = await self._database.read(lambda connection: connection.execute(_REPORTED).fetchone())
        if row is not None and row[0] == known:
            return

        def store(tx: sqlite3.Connection) -> None:
            tx.execute(_REPORT, (known,))
            self._recorder.put(tx, _told(result))

        await self._database.write(store)
        if self.trying and not self._is_ours(self._trial()):
            self.trying = False
            await self._announce()

    def _trial(self) -> Trial | None:
        return self._read(self._slots.trial)

    def _result(self) -> Result | None:
        return self._read(self._slots.result)

    def _read(self, what: Callable[[], T]) -> T:
        """The updater's files are its own: a damaged one must not take tickets down with it."""
        try:
            return what()
        except (OSError, ValueError, TypeError) as error:
            raise DriverError(f"what the updater left cannot be read: {error}") from error

    def _is_ours(self, trial: Trial | None) -> bool:
        return trial is not None and trial.slot == self._slot

    def _waiting(self) -> Request | None:
        return self._read(lambda: left(self._box / REQUEST, Request))


def _told(result: Result) -> Update:
    state = "failed" if result.outcome == "interrupted" else result.outcome
    return Update(
        request=result.request,
        version=result.version,
        slot=result.slot,
        state=state,
        reason=result.reason or None,
    )
