"""Raises and cancels an SOS; the light says whether the back end has it."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Callable
from typing import Literal

import msgspec

from agent.alerting.service import AlertingService
from agent.alerting.signals import Signals
from agent.alerting.sos import Raised, Where, event
from agent.contract.wire import encode
from agent.core.changes import Changes
from agent.core.clock import Clock
from agent.core.recorder import Recorder
from agent.core.supervisor import Heartbeat
from agent.store.database import Database, StoreError

LOOK_S = 1.0  # for the back end's acknowledgement while the light blinks
SHORT_S = 0.1  # each second, while the back end does not have it
LONG_S = 1.0  # once, when it does
_GET = "SELECT value FROM meta WHERE key = 'sos'"
_PUT = "INSERT OR REPLACE INTO meta VALUES ('sos', ?)"
_DELETE = "DELETE FROM meta WHERE key = 'sos'"


class SosService:
    """One SOS at a time. It is an event and an alert at once, in one transaction."""

    name = "sos"

    def __init__(
        self,
        database: Database,
        clock: Clock,
        recorder: Recorder,
        alerting: AlertingService,
        signals: Signals,
        where: Callable[[], Where | None],
        confirmed: Callable[[int], bool],
        changed: Callable[[], None],
        *,
        datum: Literal["wgs84", "gcj02"] = "wgs84",
    ) -> None:
        """`where` gives the newest position, in `datum` and in any thread; `confirmed(seq)` whether
        the back end has that event of the stream `critical`; `changed` is called in the event loop
        after each commit."""
        self._database = database
        self._clock = clock
        self._recorder = recorder
        self._alerting = alerting
        self._signals = signals
        self._where = where
        self._confirmed = confirmed
        self._changed = changed
        self._datum = datum
        self._changes = Changes()

    async def raise_sos(self, by: str, *, t: float | None = None) -> str:
        """The id; that of the one which holds already, if any. `t` (monotonic s) is when it was
        asked for. StoreError when the disk refuses."""
        raised = await self._write(lambda tx: _read(tx) or self._raise_in(tx, by, t))
        assert raised is not None
        return raised.sos_id

    async def cancel(self, by: str, *, t: float | None = None) -> None:
        """Nothing happens when there is none."""

        def act(tx: sqlite3.Connection) -> None:
            raised = _read(tx)
            if raised is not None:
                self._cancel_in(tx, raised, by, t)

        await self._write(act)

    async def toggle(self, by: str, *, t: float | None = None) -> bool:
        """What holding the button does; whether there is an SOS now."""

        def act(tx: sqlite3.Connection) -> Raised | None:
            raised = _read(tx)
            if raised is None:
                return self._raise_in(tx, by, t)
            self._cancel_in(tx, raised, by, t)
            return None

        return await self._write(act) is not None

    async def raised(self) -> Raised | None:
        """The one that holds."""
        return await self._database.read(_read)

    async def run(self, heartbeat: Heartbeat) -> None:
        """Keeps the light `sos`, blinking until the back end has it, then on; and the buzzer:
        short each second until then, long once."""
        waited = False
        while True:
            seen = self._changes.version
            try:
                raised = await self.raised()
            except StoreError:  # the outbox tells people; the light stays as it is
                await heartbeat.idle(self._clock.sleep(LOOK_S))
                continue
            if raised is not None and not self._confirmed(raised.seq):
                self._signals.light("sos", "blink")
                waited = True
                await heartbeat.idle(self._beep(SHORT_S))
                await heartbeat.idle(self._clock.sleep(LOOK_S - SHORT_S))
            else:
                self._signals.light("sos", "on" if raised else "off")
                if raised is not None and waited:
                    await heartbeat.idle(self._beep(LONG_S))
                waited = False
                await heartbeat.idle(self._changes.wait(seen))

    async def _beep(self, seconds: float) -> None:
        self._signals.buzz(on=True, by=self.name)
        try:
            await self._clock.sleep(seconds)
        finally:
            self._signals.buzz(on=False, by=self.name)

    # --- inside a transaction (in the store's thread) ---------------------------------------------

    def _raise_in(self, tx: sqlite3.Connection, by: str, t: float | None) -> Raised:
        sos_id = uuid.uuid4().hex[:16]
        seq = self._tell(tx, "raised", sos_id, t)
        raised = Raised(sos_id, int(self._clock.wall() * 1000), by, seq)
        tx.execute(_PUT, (encode(raised).decode(),))
        self._alerting.raise_in(tx, "sos", f"sos:{sos_id}")
        return raised

    def _cancel_in(self, tx: sqlite3.Connection, raised: Raised, by: str, t: float | None) -> None:
        tx.execute(_DELETE)
        self._tell(tx, "cancelled", raised.sos_id, t)
        self._alerting.end_in(tx, f"sos:{raised.sos_id}", by)

    def _tell(
        self,
        tx: sqlite3.Connection,
        state: Literal["raised", "cancelled"],
        sos_id: str,
        t: float | None,
    ) -> int:
        now = self._clock.monotonic() if t is None else t
        where = self._where()
        fix_t = int(self._clock.wall_at(now if where is None else where.t) * 1000)
        body = event(state, sos_id, where, now=now, fix_t=fix_t, datum=self._datum)
        return self._recorder.put(tx, body, t=now)

    async def _write(self, run: Callable[[sqlite3.Connection], Raised | None]) -> Raised | None:
        result = await self._database.write(run)
        self._alerting.wake()
        self._changes.notify()
        self._changed()
        return result


def holds(connection: sqlite3.Connection) -> bool:
    """Whether there is an SOS."""
    return _read(connection) is not None


def _read(tx: sqlite3.Connection) -> Raised | None:
    row = tx.execute(_GET).fetchone()
    return msgspec.json.decode(row[0], type=Raised) if row else None
