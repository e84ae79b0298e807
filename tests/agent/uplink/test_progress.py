"""What of a stream was read and not sent yet."""

from __future__ import annotations

from agent.store.outbox import Row
from agent.uplink.service import BATCH_FROM, _Progress


def rows(first: int, count: int) -> list[Row]:
    return [
        Row(seq, "position", 0, "ntp", None, None, b"x" * 100)
        for seq in range(first, first + count)
    ]


def test_a_few_rows_go_at_once_and_one_by_one() -> None:
    progress = _Progress(cursor=0, moved=0.0, more=False)
    progress.read(rows(1, 3), max_bytes=8192)
    assert progress.ready(8192)
    assert not progress.backlog(8192)
    assert [row.seq for row in progress.take(1)] == [1]
    assert (progress.cursor, progress.ahead_bytes, progress.more) == (1, 200, False)


def test_the_end_of_a_full_read_waits_for_what_follows_it() -> None:
    progress = _Progress(cursor=0, moved=0.0, more=False)
    progress.read(rows(1, 45), max_bytes=4000)
    assert progress.more
    assert len(progress.take(4000)) == 40
    assert not progress.ready(4000)  # else a backlog would go in scraps between two reads
    progress.read(rows(46, 10), max_bytes=4000)
    assert progress.ready(4000)
    assert [row.seq for row in progress.take(4000)] == list(range(41, 56))
    assert not progress.ready(4000)


def test_many_rows_or_a_full_batch_are_a_backlog() -> None:
    many = _Progress(cursor=0, moved=0.0)
    many.read(rows(1, BATCH_FROM), max_bytes=32768)
    large = _Progress(cursor=0, moved=0.0)
    large.read(rows(1, 2), max_bytes=32768)
    assert many.backlog(32768)
    assert large.backlog(200)
    assert not large.backlog(32768)
