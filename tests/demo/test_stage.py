"""The stage without its actors: no agent runs, so every answer is the stage's own."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest

from agent.contract.errors import NotRunning
from agent.core.clock import SystemClock
from agent.demo import town
from agent.demo.cable import Cable
from agent.demo.devices import Device
from agent.demo.page import Page
from agent.demo.stage import Stage
from drivers.printer.virtual import VirtualPrinter

TICKET = b"\x1b@\x1c&" + "宫保鸡丁 x1\n".encode("gb18030") + b"%s v1\n\x1dVB\x00"


def make(tmp_path):
    clock = SystemClock()
    ids = {role: town.device_id(role) for role in ("shop", "rider")}
    devices = {
        role: Device(id_, role, town.FOLDER / f"{role}.toml", tmp_path, [], clock)
        for role, id_ in ids.items()
    }
    cables = {role: Cable(1, clock) for role in ids}
    ride = town.Ride(clock.wall())
    return Stage(clock, 1, devices, cables, VirtualPrinter(width_dots=384), ride.truth)


def put_out(stage, order_id):
    stage.printer.connect()
    stage.printer.receive(TICKET % order_id.encode())
    stage.printer_changed()


def test_an_order_counts_as_printed_when_its_paper_is_out(tmp_path):
    stage = make(tmp_path)
    stage.order()
    assert not stage.witness.all_printed()
    put_out(stage, stage.witness.orders[0])
    assert stage.witness.all_printed()
    frame = stage.witness.feed.since({})
    assert frame["orders"][-1]["printed"]
    assert "宫保鸡丁" in frame["tickets"][0]["plain"]


def test_a_silent_second_ticket_shows_in_the_counters(tmp_path):
    stage = make(tmp_path)
    stage.order()
    for _ in range(2):
        put_out(stage, stage.witness.orders[0])
    assert stage.status()["counters"]["printed_twice"] == 1


def test_without_agents_the_buttons_say_that_nobody_answers(tmp_path):
    stage = make(tmp_path)
    assert not stage.kill("shop")
    with pytest.raises(NotRunning):
        asyncio.run(stage.accept("demo-00001"))


def test_the_printer_without_paper_says_so(tmp_path):
    stage = make(tmp_path)
    stage.paper_out()
    assert stage.status()["printer"]["fault"] == "paper_out"
    stage.refill()
    assert stage.status()["printer"]["fault"] is None


@contextlib.asynccontextmanager
async def served(stage):
    page = Page(stage, town.drawn(), SystemClock(), 0)
    url = asyncio.get_running_loop().create_future()
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        task = group.create_task(page.run(url.set_result))
        yield int((await url).rstrip("/").rpartition(":")[2])
        task.cancel()


async def ask(port, head, body=b"", *, host=None, until=None):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [head, f"Host: {host or f'127.0.0.1:{port}'}", f"Content-Length: {len(body)}"]
    lines += ["Content-Type: application/json"] if body else []
    lines += [] if host else [f"Origin: http://127.0.0.1:{port}"]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    answer = await (reader.readuntil(until) if until else reader.read())
    writer.close()
    return answer


def test_the_page_is_served_with_a_strict_policy_and_to_loopback_names_only(tmp_path):
    async def run():
        async with served(make(tmp_path)) as port:
            index = await ask(port, "GET / HTTP/1.0")
            assert b"script-src 'self'" in index
            assert b"<title>edge-agent demo" in index
            assert b"421" in await ask(port, "GET / HTTP/1.0", host="evil.example")
            assert b"404" in await ask(port, "GET /nothing HTTP/1.0")
            assert b"audio/wav" in await ask(port, "GET /zh-new_order.wav HTTP/1.0")

    asyncio.run(run())


def test_buttons_press_what_they_say(tmp_path):
    async def run():
        stage = make(tmp_path)
        async with served(stage) as port:
            assert b'"ok":true' in await ask(port, "POST /api/do HTTP/1.0", b'{"do":"order"}')
            assert len(stage.witness.sent) == 1
            await ask(port, "POST /api/do HTTP/1.0", b'{"do":"cut"}')
            assert stage.is_cut
            for body in (b'{"do":"nonsense"}', b'{"do":"kill","role":"x"}', b"[]", b'{"do":"sos"}'):
                assert b'"ok":false' in await ask(port, "POST /api/do HTTP/1.0", body)

    asyncio.run(run())


def test_the_first_frame_holds_everything_and_the_next_only_what_changed(tmp_path):
    async def run():
        stage = make(tmp_path)
        stage.order(3)
        async with served(stage) as port:
            first = await ask(port, "GET /api/frames HTTP/1.0", until=b"\n\ndata: ")
        frame = json.loads(first.partition(b"data: ")[2].partition(b"\n\n")[0])
        assert frame["hello"]["town"]["streets"]
        assert [card["id"] for card in frame["orders"]] == stage.witness.orders
        assert frame["status"]["counters"]["lost"] == 0

    asyncio.run(run())
