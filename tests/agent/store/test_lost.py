"""What may have been printed in a life that the disk knows nothing of."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from agent.core.clock import ManualClock
from agent.store import lost
from agent.store.database import migrate

START = 1_800_000_000
MS = START * 1000


def begun(folder: Path, clock: ManualClock) -> sqlite3.Connection:
    tx = sqlite3.connect(folder / "a.db", isolation_level=None)
    migrate(tx)
    lost.begin(tx, clock)
    return tx


def test_without_such_a_life_nothing_is_in_doubt(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as tx:
        migrate(tx)
        assert not lost.in_doubt(tx, 0, ManualClock(wall=START))


@pytest.mark.parametrize(("quality", "slack"), [("ntp", 0), ("gps", 0), ("rtc", lost.SLACK_MS)])
def test_what_was_placed_before_the_start_is_in_doubt_and_later_orders_are_not(
    tmp_path: Path, quality: str, slack: int
) -> None:
    clock = ManualClock(wall=START)
    clock.tq = quality  # type: ignore[assignment]
    with closing(begun(tmp_path, clock)) as tx:
        assert lost.in_doubt(tx, MS - 1, clock)
        assert lost.in_doubt(tx, MS + slack, clock)
        assert not lost.in_doubt(tx, MS + slack + 1, clock)


def test_while_nobody_knows_the_time_everything_is_and_then_the_start_is_known(
    tmp_path: Path,
) -> None:
    clock = ManualClock(wall=0.0, monotonic=10.0)
    clock.tq = "none"
    with closing(begun(tmp_path, clock)) as tx:
        assert lost.in_doubt(tx, MS + 10**9, clock)
        clock.jump(3610.0)
        clock.set_wall(START + 3600)
        clock.tq = "ntp"
        assert lost.in_doubt(tx, MS, clock)
        assert not lost.in_doubt(tx, MS + 1, clock)


def test_another_boot_does_not_know_when_it_was(tmp_path: Path) -> None:
    clock = ManualClock(wall=0.0)
    clock.tq = "none"
    with closing(begun(tmp_path, clock)) as tx:
        later = ManualClock(wall=START)
        later.boot_id = "another"
        assert lost.in_doubt(tx, MS, later)
        assert not lost.in_doubt(tx, MS + 1, later)


def test_what_waits_on_the_disk_is_in_doubt_and_what_is_done_is_not(tmp_path: Path) -> None:
    job = (
        "INSERT INTO jobs (job_id, order_id, version, station, copy, kind, printer, home, state,"
        " attempt, doubts, evidence, priority, created, changed, ticket)"
        " VALUES (?, 'o', 1, '', 1, 'order', 'p', 'p', ?, 0, ?, 'none', 0, 0, 0, x'7b7d')"
    )
    before = [
        ("a", "queued", 0), ("b", "held", 0), ("c", "parked", 0),
        ("d", "in_doubt", 2), ("e", "printed", 0), ("f", "cancelled", 0),
    ]  # fmt: skip
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as tx:
        migrate(tx)
        tx.executemany(job, before)
        lost.begin(tx, ManualClock(wall=START))
        assert tx.execute("SELECT job_id, state, doubts FROM jobs ORDER BY 1").fetchall() == [
            ("a", "in_doubt", 1), ("b", "held", 1), ("c", "parked", 1),
            ("d", "in_doubt", 2), ("e", "printed", 0), ("f", "cancelled", 0),
        ]  # fmt: skip
