"""The configuration that the back end wishes: checked, kept, and in force after a quick restart.

What ties a device to its back end (`role`, `device`, `store`, `uplink`) cannot be wished from afar,
because a mistake there would cut the device off for good; how soon it comes back to it can.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from agent.contract.commands import MAX_BYTES, Desired, Reported
from agent.contract.errors import Rejected
from agent.contract.events import ConfigEvent
from agent.contract.wire import decode, encode
from agent.core.recorder import Recorder
from agent.store.inbox import Incoming

LOCAL = ("role", "device", "store", "uplink")
HARMLESS = frozenset({"uplink.reconnect_window_s"})  # of these sections

_GET = "SELECT value FROM meta WHERE key = 'desired'"
_PUT = "INSERT OR REPLACE INTO meta VALUES ('desired', ?)"
_DELETE = "DELETE FROM meta WHERE key = 'desired'"


class DesiredConfig:
    def __init__(
        self,
        recorder: Recorder,
        problems: Callable[[dict[str, Any]], list[str]],
        restart: Callable[[], None],
        report: Callable[[], None],
        in_force: Desired | None,
    ) -> None:
        """`problems(settings)` checks them over the local file; `restart` puts them in force;
        `report` publishes `reported()` anew."""
        self._recorder = recorder
        self._problems = problems
        self._restart = restart
        self._report = report
        self._in_force = in_force
        self._refused: ConfigEvent | None = None  # the last one, while nothing better came

    def handle(self, tx: sqlite3.Connection, message: Incoming) -> Callable[[], None]:
        if message.address.rest != ("desired",):
            return lambda: None
        if not message.payload:
            tx.execute(_DELETE)
            return self._restart if self._in_force is not None else lambda: None
        desired = decode(message.payload, Desired, max_bytes=MAX_BYTES)
        if self._in_force is not None and desired.version <= self._in_force.version:
            return lambda: None
        tied = _tied(desired.settings)
        problems = [f"{key}: is set on the device only" for key in tied]
        problems += [] if tied else self._problems(desired.settings)
        if problems:
            raise Rejected("invalid", "; ".join(problems))
        tx.execute(_PUT, (encode(desired).decode(),))
        self._recorder.put(tx, ConfigEvent(version=desired.version, applied=True))
        return self._restart

    def refuse(
        self, tx: sqlite3.Connection, message: Incoming, rejected: Rejected
    ) -> Callable[[], None]:
        version = None
        with contextlib.suppress(Rejected):  # then no version can be read; the error says the rest
            version = decode(message.payload, Desired, max_bytes=MAX_BYTES).version
        refused = ConfigEvent(version=version, applied=False, error=str(rejected)[:2000])
        self._recorder.put(tx, refused)

        def tell() -> None:
            self._refused = refused
            self._report()

        return tell

    def reported(self) -> Reported:
        """What was wished last and whether it was applied, with the settings in force."""
        desired, refused = self._in_force or Desired(version=0), self._refused
        if refused is not None:
            return Reported(refused.version, applied=False, settings=desired.settings,
                            error=refused.error)  # fmt: skip
        return Reported(desired.version, applied=True, settings=desired.settings)


def _tied(settings: dict[str, Any]) -> list[str]:
    """What may be set on the device only."""
    return [key for key in LOCAL if key in settings and not _harmless(key, settings[key])]


def _harmless(section: str, within: object) -> bool:
    if not isinstance(within, dict) or not within:
        return False
    return all(f"{section}.{name}" in HARMLESS for name in within)


def stored(path: Path) -> Desired | None:
    """What an earlier run kept, read before the store is opened; None when there is nothing."""
    if not path.exists():
        return None
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            row = connection.execute(_GET).fetchone()
        finally:
            connection.close()
    except sqlite3.DatabaseError:
        return None  # opening the store will say what is wrong with the file
    return msgspec.json.decode(row[0], type=Desired) if row else None
