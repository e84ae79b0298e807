"""Run in a network namespace of its own: a broker behind a wire that loses every packet.

`python -m tests.agent.uplink.hole FOLDER DEAD_S` prints after how long the link said what.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

from agent.core.clock import SystemClock
from agent.uplink import dial
from agent.uplink.link import Link, LinkDown, LinkSettings
from tests.support import until

WIRE = """
mount -t tmpfs tmpfs /run
ip link set lo up
ip netns add far
ip link add v0 type veth peer name v1
ip link set v1 netns far
ip addr add 10.9.0.1/24 dev v0
ip link set v0 up
ip -n far addr add 10.9.0.2/24 dev v1
ip -n far link set v1 up
"""


def run(command: str) -> None:
    subprocess.run(command.split(), check=True)


async def story(folder: Path) -> None:
    config = folder / "m.conf"
    config.write_text("listener 1883 10.9.0.2\nallow_anonymous true\nuser root\n")
    command = ["ip", "netns", "exec", "far", "mosquitto", "-c", str(config)]
    broker = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    downs: list[str] = []
    link = Link(
        LinkSettings("mqtt://10.9.0.2", "d", keepalive_s=60, retry_max_s=0.5),
        SystemClock(),
        on_message=lambda _: None,
        on_up=lambda _: None,
        on_down=downs.append,
    )
    running = asyncio.ensure_future(link.run())
    try:
        await until(lambda: link.up)
        run("ip -n far route add blackhole 10.9.0.1/32")  # nothing comes back, no RST, no FIN
        downs.clear()
        began = time.monotonic()
        while not downs:
            try:
                link.publish("x", b"into the hole")
            except LinkDown:
                break
            await asyncio.sleep(0.1)
        await until(lambda: downs)
        print(f"{time.monotonic() - began:.1f} s: {downs[0]}")
        run("ip -n far route del blackhole 10.9.0.1/32")
        await until(lambda: link.up, "up again")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        broker.kill()
        broker.wait()


if __name__ == "__main__":
    for line in WIRE.strip().splitlines():
        run(line)
    dial.DEAD_S = float(sys.argv[2])
    asyncio.run(story(Path(sys.argv[1])))
