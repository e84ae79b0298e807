"""What an idle device costs: the whole shop agent and an idle ThingsBoard Gateway, side by side.

    .venv/bin/python bench/idle.py [--seconds 60]

Both are connected to a mosquitto of their own with a far end that confirms, and have nothing to do;
the agent has a virtual printer on a TCP port (in this process), which it asks for its state.
Wake-ups: voluntary switches.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import peers
from bench.common import HOUSE, Broker, Child, python, table

SETTLE_S = 15.0


def printer(on_paper: Callable[[], None] = lambda: None) -> int:
    """The virtual printer behind a port, in a thread; says when a paper is cut off."""
    from drivers.printer.simulated import serve
    from drivers.printer.virtual import VirtualPrinter

    ports: list[int] = []
    there = threading.Event()
    virtual = VirtualPrinter(width_dots=384)
    seen = 0

    def changed() -> None:
        nonlocal seen
        if len(virtual.paper) > seen:
            seen = len(virtual.paper)
            on_paper()

    virtual.listen(changed)

    async def attend() -> None:
        async with serve(virtual) as port:
            ports.append(port)
            there.set()
            await asyncio.Event().wait()

    threading.Thread(target=lambda: asyncio.run(attend()), daemon=True).start()
    there.wait(10)
    return ports[0]


def agent(folder: Path, port: int, printer_port: int) -> Child:
    """config/demo/shop.toml as it is, but for ports and folder."""
    settings = (
        f"store.path={json.dumps(str(folder / 'agent.db'))}",
        f'uplink.url="mqtt://127.0.0.1:{port}"',
        "uplink.keepalive_s=30",
        'page.listen="127.0.0.1:0"',
        f'printer=[{{name = "kitchen", uri = "tcp://127.0.0.1:{printer_port}", width_mm = 58}}]',
    )
    command = [sys.executable, "-m", "agent", "run", "--config", HOUSE / "config/demo/shop.toml"]
    for setting in settings:
        command += ["--set", setting]
    return Child(command, log=folder / "agent.log", cwd=HOUSE)


def measure(children: dict[str, Child], seconds: float) -> None:
    time.sleep(SETTLE_S)
    before = {name: (child.cpu_s(), child.wakeups()) for name, child in children.items()}
    time.sleep(seconds)
    rows, waking = [], []
    memory: dict[str, float] = {}
    for name, child in children.items():
        cpu, wakeups = before[name]
        spent = (child.cpu_s() - cpu) / seconds * 100
        after = child.wakeups()
        woken = {task: count - wakeups.get(task, 0) for task, count in after.items()}
        memory[name] = child.memory_mb("VmRSS")
        rows.append(
            (
                name,
                f"{memory[name]:.1f}",
                f"{spent:.2f}",
                f"{sum(woken.values()) / seconds:.1f}",
                len(after),
            )
        )
        waking += [
            (name, task.split(" ", 1)[1], f"{count / seconds:.2f}")
            for task, count in sorted(woken.items(), key=lambda item: -item[1])[:4]
            if count
        ]
    head = ("process", "RSS MB", "CPU % of a core", "wake-ups a second", "threads")
    table(f"Idle for {seconds:.0f} s", head, rows)
    table("What wakes up", ("process", "thread", "a second"), waking)
    print(f"\nRSS ratio: {memory['shop agent'] / memory['thingsboard']:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    peers.install()
    with tempfile.TemporaryDirectory(dir=peers.VENV.parent) as name:
        folder = Path(name)
        brokers = [Broker(folder / "a"), peers.cloud(folder / "b")]
        ends = [Child(python("sink.py", broker.port, 10**6)) for broker in brokers]
        for end in ends:
            end.hear()
        children = {
            "shop agent": agent(folder, brokers[0].port, printer()),
            "thingsboard": peers.thingsboard(folder / "tb", brokers[1].port, []),
        }
        try:
            measure(children, options.seconds)
        finally:
            for child in (*children.values(), *ends, *brokers):
                child.end()


if __name__ == "__main__":
    main()
