from __future__ import annotations

import asyncio
from importlib.util import find_spec
from pathlib import Path

import pytest

from agent.core.clock import SystemClock
from agent.demo.broker import NoBroker, find_mosquitto, run_broker
from agent.uplink.link import Link, LinkSettings

LISTEN = "0A"
LOOPBACK = "0100007F"  # 127.0.0.1 as /proc/net/tcp writes it


def listeners(port):
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    rows += [line.split() for line in Path("/proc/net/tcp6").read_text().splitlines()[1:]]
    return [row[1] for row in rows if row[3] == LISTEN and row[1].endswith(f":{port:04X}")]


@pytest.fixture(params=["mosquitto", "iotcore"])
def broker(request):
    there = find_mosquitto() if request.param == "mosquitto" else find_spec("iotcore")
    if not there:
        pytest.skip(f"no {request.param}")
    return request.param


def test_the_broker_speaks_mqtt_5_on_loopback_only(broker, tmp_path):
    async def run():
        clock, got = SystemClock(), asyncio.Event()
        async with run_broker(tmp_path, clock, prefer=broker) as running:
            assert running.name == broker
            assert [row.split(":")[0] for row in listeners(running.port)] == [LOOPBACK]
            settings = LinkSettings(f"mqtt://127.0.0.1:{running.port}", "a", ("edge/v1/#",))
            link = Link(
                settings,
                clock,
                on_message=lambda message: (link.acknowledge(message), got.set()),
                on_up=lambda _: link.publish("edge/v1/a/state", b"{}"),
                on_down=lambda _: None,
            )
            async with asyncio.timeout(20), asyncio.TaskGroup() as group:
                task = group.create_task(link.run())
                await got.wait()
                task.cancel()
        assert listeners(running.port) == []

    asyncio.run(run())


def test_a_broker_that_cannot_start_says_why(tmp_path, monkeypatch):
    broken = tmp_path / "mosquitto"
    broken.write_text("#!/bin/sh\necho no room >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    async def run():
        async with run_broker(tmp_path, SystemClock()):
            pass

    with pytest.raises(NoBroker, match="no room"):
        asyncio.run(run())
