"""What a crowd of simulated devices keeps, so that a kill takes no more than it would from one.

Each has the rows that the agent's store has (commands, outbox); many share a file, because three
thousand databases would measure the file system. What a command does is a line appended to a file:
that is how one executed twice would be seen.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

SCHEMA = """
CREATE TABLE IF NOT EXISTS command (
    device TEXT NOT NULL, cmd_id TEXT NOT NULL, status TEXT NOT NULL, PRIMARY KEY (device, cmd_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox (
    device TEXT NOT NULL, seq INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (device, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS device (
    device TEXT PRIMARY KEY, seq INTEGER NOT NULL, bd_seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""


class Row(NamedTuple):
    device: str
    seq: int
    body: bytes


class Ledger:
    def __init__(self, folder: Path, name: str) -> None:
        self._connection = sqlite3.connect(folder / f"{name}.db", isolation_level=None)
        self._connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;")
        self._connection.executescript(SCHEMA)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._effects = os.open(folder / f"{name}.effects", flags, 0o600)

    def devices(self) -> dict[str, tuple[int, int]]:
        """Of each device its last seq and its last bd_seq."""
        rows = self._connection.execute("SELECT device, seq, bd_seq FROM device")
        return {device: (seq, bd_seq) for device, seq, bd_seq in rows}

    def open_commands(self) -> list[tuple[str, str, str]]:
        """(device, cmd_id, status) of those that have not ended."""
        sql = "SELECT device, cmd_id, status FROM command WHERE status IN ('accepted', 'running')"
        return list(self._connection.execute(sql))

    def known(self, device: str, cmd_id: str) -> bool:
        sql = "SELECT 1 FROM command WHERE device = ? AND cmd_id = ?"
        return self._connection.execute(sql, (device, cmd_id)).fetchone() is not None

    def waiting(self, device: str) -> list[Row]:
        sql = "SELECT device, seq, body FROM outbox WHERE device = ? ORDER BY seq"
        return [Row(*row) for row in self._connection.execute(sql, (device,))]

    def commit(
        self,
        commands: Sequence[tuple[str, str, str]],
        events: Sequence[Row],
        acked: Sequence[tuple[str, int]],
        births: Sequence[tuple[str, int]] = (),
    ) -> None:
        """One transaction: statuses, events, what the back end has, connections begun."""
        run = self._connection.executemany
        self._connection.execute("BEGIN")
        run("INSERT OR REPLACE INTO command (device, cmd_id, status) VALUES (?, ?, ?)", commands)
        run("INSERT INTO outbox VALUES (?, ?, ?)", events)
        run(
            "INSERT INTO device VALUES (?, ?, 0) ON CONFLICT DO UPDATE SET seq = excluded.seq",
            [(row.device, row.seq) for row in events],
        )
        run(
            "INSERT INTO device VALUES (?, 0, ?)"
            " ON CONFLICT DO UPDATE SET bd_seq = excluded.bd_seq",
            births,
        )
        run("DELETE FROM outbox WHERE device = ? AND seq <= ?", acked)
        self._connection.execute("COMMIT")

    def close(self) -> None:
        self._connection.close()
        os.close(self._effects)

    def effect(self, device: str, cmd_id: str) -> None:
        """The command does what it does; outside of any transaction, like paper."""
        os.write(self._effects, f"{device} {cmd_id}\n".encode())


def effects(folder: Path) -> list[str]:
    """Every effect there was, of all crowds."""
    return [
        line
        for path in sorted(folder.glob("*.effects"))
        for line in path.read_text("utf-8").splitlines()
    ]
