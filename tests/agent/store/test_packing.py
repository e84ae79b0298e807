"""Packs: what SQLite puts together is what the events say one by one."""

from __future__ import annotations

from pathlib import Path

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.contract.events import Audit, ErrorEvent
from agent.contract.wire import NDJSON_ZLIB, decode_batch, encode_batch, encode_lines
from agent.store.packing import Pack
from tests.agent.store.test_outbox import ALL, Bench, position, run


async def one_by_one(bench: Bench, stream: str, after: int) -> bytes:
    rows = await bench.outbox.fetch(stream, after, max_bytes=ALL)
    return encode_lines(bench.outbox.event(stream, row, batched=True) for row in rows)


async def packs(bench: Bench, stream: str, after: int, **how: int) -> list[Pack]:
    return await bench.outbox.pack(stream, after, **{"max_bytes": 2000, "count": 1000, **how})


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(texts=st.lists(st.text(), min_size=1, max_size=60), max_bytes=st.integers(1, 5000))
def test_packs_are_the_same_bytes_as_the_events_one_by_one(
    tmp_path_factory, texts: list[str], max_bytes: int
) -> None:
    async def story(bench: Bench) -> None:
        for text in texts:
            await bench.outbox.record(ErrorEvent(source="test", text=text))
            await bench.outbox.record(Audit(action=text, by='"\\'))
        await bench.outbox.flush()
        for stream in ("telemetry", "critical"):
            found = await packs(bench, stream, 0, max_bytes=max_bytes)
            lines = b"\n".join(one.lines for one in found)
            assert lines == await one_by_one(bench, stream, 0)
            payload, content_type = encode_batch(lines)
            assert content_type == NDJSON_ZLIB
            events = list(decode_batch(payload, content_type))
            assert [event.seq for event in events] == list(range(1, len(texts) + 1))
            assert sum(one.rows for one in found) == len(texts)

    run(tmp_path_factory.mktemp("store"), story)


def test_packs_follow_each_other_and_begin_behind_what_is_acknowledged(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        for n in range(300):
            await bench.outbox.record(position(n))
        await bench.outbox.flush()
        bench.outbox.ack("telemetry", 100)
        first = await packs(bench, "telemetry", 0, count=2)
        assert len(first) == 2
        rest = await packs(bench, "telemetry", first[-1].seq)
        assert sum(one.rows for one in (*first, *rest)) == 200
        assert rest[-1].seq == 300
        assert await packs(bench, "telemetry", 300) == []

    run(tmp_path, story)


def test_large_events_after_small_ones_do_not_swell_a_pack(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        for n in range(400):
            await bench.outbox.record(ErrorEvent(source="test", text="x" * (9000 * (n >= 200))))
        await bench.outbox.flush()
        found = await packs(bench, "telemetry", 0, max_bytes=8192)
        assert max(one.size for one in found) <= 2 * 8192
        assert sum(one.rows for one in found) == 400

    run(tmp_path, story)


def test_events_whose_time_may_become_known_are_not_packed(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        bench.clock.tq = "none"
        await bench.outbox.record(position(1))
        await bench.outbox.flush()
        assert await packs(bench, "telemetry", 0) == []
        bench.clock.tq = "ntp"
        bench.clock.set_wall(1_800_000_000.0)
        await bench.database.write(bench.outbox._date)
        (packed,) = await packs(bench, "telemetry", 0)
        assert msgspec.json.decode(packed.lines)["tq"] == "ntp"

    run(tmp_path, story)


def test_a_pack_carries_the_epoch_of_its_rows(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        await bench.outbox.record(Audit(action="a", by="test"))
        epoch = bench.outbox.epoch
        bench.outbox.epoch = "of another database"
        (packed,) = await packs(bench, "critical", 0)
        assert msgspec.json.decode(packed.lines)["epoch"] == epoch

    run(tmp_path, story)
