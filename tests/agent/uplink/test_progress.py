"""What of a stream was read and not sent yet."""

from __future__ import annotations

from agent.store.outbox import Row
from agent.store.packing import Pack
from agent.uplink.service import BATCH_FROM, _Progress


def rows(first: int, count: int) -> list[Row]:
    return [
        Row(seq, "position", 0, "ntp", None, None, b"x" * 100)
        for seq in range(first, first + count)
    ]


def test_a_few_rows_go_at_once_and_one_by_one() -> None:
    progress = _Progress(cursor=0, moved=0.0, more=False)
    progress.read(rows(1, 3), full=False)
    assert progress.ready(8192)
    assert not progress.backlog(8192)
    assert [row.seq for row in progress.take(1)] == [1]
    assert (progress.cursor, progress.ahead_bytes, progress.more) == (1, 200, False)


def test_the_end_of_a_full_read_waits_for_what_follows_it() -> None:
    progress = _Progress(cursor=0, moved=0.0, more=False)
    progress.read(rows(1, 45), full=True)
    assert progress.more
    assert len(progress.take(4000)) == 40
    assert not progress.ready(4000)  # else a backlog would go in scraps between two reads
    progress.read(rows(46, 10), full=False)
    assert progress.ready(4000)
    assert [row.seq for row in progress.take(4000)] == list(range(41, 56))
    assert not progress.ready(4000)


def test_many_rows_or_a_full_batch_are_a_backlog() -> None:
    many = _Progress(cursor=0, moved=0.0)
    many.read(rows(1, BATCH_FROM), full=False)
    large = _Progress(cursor=0, moved=0.0)
    large.read(rows(1, 2), full=False)
    assert many.backlog(32768)
    assert large.backlog(200)
    assert not large.backlog(32768)


def test_a_pack_goes_as_it_is_and_behind_the_rows_before_it() -> None:
    progress = _Progress(cursor=0, moved=0.0, more=False)
    progress.read(rows(1, 30), full=True)
    progress.read([Pack(70, 40, 4000, b"..."), Pack(75, 5, 500, b"...")], full=False)
    assert progress.take_pack() is None
    assert len(progress.take(1 << 20)) == 30
    assert progress.ready(1 << 20)
    assert progress.backlog(1 << 20)
    taken = [progress.take_pack(), progress.take_pack()]
    assert [pack and pack.seq for pack in taken] == [70, 75]
    assert (progress.cursor, progress.ahead_bytes) == (75, 0)
    assert not progress.ready(1)
    assert progress.take_pack() is None
